//! Who stands where: the layout of a photo before a pixel is drawn.

use crate::identity::Identity;
use crate::place::Place;
use crate::pose::Pose;
use crate::rng::Rng;

/// One thing in a scene, with everything about it that changes from photo to photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Actor {
    /// What it is.
    pub identity: Identity,
    /// The concept it shows, when it is one: an index into the caller's list.
    pub concept: Option<usize>,
    /// What it is doing.
    pub pose: Pose,
    /// Mirrored left to right.
    pub flip: bool,
    /// Extra turn in degrees clockwise, within 20 of upright.
    pub angle: f32,
    /// Middle of the thing and the ground under it, as shares of the side.
    pub at: (f32, f32),
    /// Its longer side as a share of the photo's side.
    pub size: f32,
    /// Whether a prop of the place hides a little of its lower part.
    pub hidden: bool,
}

/// A photo in numbers; [`crate::render::photo`] draws it at any size.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Where it is; `None` is the plain studio of reference photos.
    pub place: Option<Place>,
    /// Seed of the background's details and the props.
    pub seed: u64,
    /// The things, in no particular order.
    pub actors: Vec<Actor>,
    /// Factor on red, green and blue.
    pub light: [f32; 3],
    /// Strength of the blur, 0 (sharp) to 1.
    pub blur: f32,
}

/// Most things a scene has room for.
pub const MAX_THINGS: usize = 5;

impl Scene {
    /// A scene of one to [`MAX_THINGS`] things, each at its own place from left to right.
    pub fn arrange(rng: &mut Rng, members: &[(Identity, Option<usize>)], difficulty: f32) -> Self {
        let mut members = members.to_vec();
        members.truncate(MAX_THINGS);
        rng.shuffle(&mut members);
        let spots = spots(rng, members.len());
        let actors = members
            .into_iter()
            .zip(spots)
            .map(|((identity, concept), (at, size))| Actor {
                hidden: rng.chance(0.22 * difficulty),
                concept,
                at,
                size,
                ..actor(rng, identity, difficulty)
            })
            .collect();
        let place = Some(rng.pick(Place::ALL));
        Self {
            actors,
            ..empty(rng, place, difficulty)
        }
    }

    /// A reference photo: one thing alone, large, before a plain wall.
    pub fn portrait(rng: &mut Rng, identity: Identity, difficulty: f32) -> Self {
        let size = rng.range(0.64, 0.82);
        let at = (
            0.5 + 0.04 * rng.swing(),
            0.5 + size / 2.0 + 0.03 * rng.swing(),
        );
        let mut shown = Actor {
            at,
            size,
            ..actor(rng, identity, difficulty * 0.6)
        };
        if shown.pose.airborne() {
            // Room for the gap above the ground.
            shown.at.1 = 0.95;
        }
        Self {
            actors: vec![shown],
            ..empty(rng, None, difficulty * 0.6)
        }
    }
}

fn empty(rng: &mut Rng, place: Option<Place>, difficulty: f32) -> Scene {
    // Darker rather than brighter: clipped whites would lose the pale things.
    let gain = 1.0 + difficulty * rng.range(-0.26, 0.1);
    let warm = 0.07 * difficulty * rng.swing();
    let blur = if rng.chance(0.3 * difficulty) {
        rng.range(0.2, 1.0) * difficulty
    } else {
        0.0
    };
    Scene {
        place,
        seed: rng.seed(),
        actors: Vec::new(),
        light: [gain + warm, gain, gain - warm],
        blur,
    }
}

fn actor(rng: &mut Rng, identity: Identity, difficulty: f32) -> Actor {
    Actor {
        identity,
        concept: None,
        pose: rng.pick(Pose::of(identity.category)),
        flip: rng.chance(0.5),
        angle: 20.0 * difficulty * rng.swing() * rng.unit(),
        at: (0.5, 0.9),
        size: 0.5,
        hidden: false,
    }
}

/// Ground point and size for each of `count` things, left to right.
///
/// From three things on, neighbours stand in different rows: boxes stay apart although each thing is
/// wider than its share of the width, and the order from left to right is never in doubt.
fn spots(rng: &mut Rng, count: usize) -> Vec<((f32, f32), f32)> {
    let front_first = rng.chance(0.5);
    (0..count)
        .map(|index| {
            let column = (index as f32 + 0.5) / count as f32;
            let front = (index % 2 == 0) == front_first;
            match count {
                1 => {
                    let size = rng.range(0.42, 0.6);
                    ((0.5 + 0.18 * rng.swing(), rng.range(0.76, 0.94)), size)
                }
                2 => {
                    let x = column + if index == 0 { 0.02 } else { -0.02 } + 0.03 * rng.swing();
                    ((x, rng.range(0.66, 0.95)), rng.range(0.36, 0.45))
                }
                _ => {
                    let spread = if count == 3 { 0.92 } else { 0.95 };
                    let x = 0.5 + (column - 0.5) * spread + 0.02 * rng.swing();
                    let y = if front {
                        rng.range(0.91, 0.97)
                    } else {
                        rng.range(0.51, 0.57)
                    };
                    let size = match count {
                        3 => rng.range(0.31, 0.37),
                        4 => rng.range(0.29, 0.35),
                        _ => rng.range(0.27, 0.32),
                    };
                    ((x, y), size)
                }
            }
        })
        .collect()
}
