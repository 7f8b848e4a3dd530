//! Photos with described regions, alone and in pairs, for contrastive training.

use crate::identity::Identity;
use crate::render::{Rgb, photo};
use crate::rng::Rng;
use crate::sample::truth;
use crate::scene::{MAX_THINGS, Scene};
use crate::split::Split;

/// How hard these photos are, on the scale of `SampleOptions::difficulty`.
const DIFFICULTY: f32 = 0.6;

/// A photo and all things in it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionSample {
    /// The photo.
    pub photo: Rgb,
    /// For each thing, left to right: box in shares of the side, description, identity.
    pub regions: Vec<([f32; 4], String, Identity)>,
}

/// A scene of one to five things or, in three of ten draws, a reference photo of one.
pub fn regions(seed: u64, split: Split, side: u32) -> RegionSample {
    let mut rng = Rng::new(seed, 5);
    if rng.chance(0.3) {
        let identity = Identity::random(&mut rng, split);
        return shoot(&Scene::portrait(&mut rng, identity, DIFFICULTY), side);
    }
    let count = rng.between(1, MAX_THINGS);
    let mut members: Vec<Identity> = Vec::with_capacity(count);
    while members.len() < count {
        // A near miss in the same photo is the most telling negative.
        let near = !members.is_empty() && rng.chance(0.25);
        let close = if near {
            rng.pick(&members).lookalike(&mut rng)
        } else {
            None
        };
        let identity = close.unwrap_or_else(|| Identity::random(&mut rng, split));
        if !members.contains(&identity) {
            members.push(identity);
        }
    }
    stage(&mut rng, &members, side)
}

/// Two photos that share one to three identities, each in another state; the second one also holds near
/// misses of the first one's things. In a third of the draws the second is a reference photo of one of them.
pub fn pair(seed: u64, split: Split, side: u32) -> (RegionSample, RegionSample) {
    let mut rng = Rng::new(seed, 6);
    let mut first: Vec<Identity> = Vec::new();
    let count = rng.between(1, 4);
    while first.len() < count {
        let identity = Identity::random(&mut rng, split);
        if !first.contains(&identity) {
            first.push(identity);
        }
    }
    let one = stage(&mut rng, &first, side);
    rng.shuffle(&mut first);
    if rng.chance(0.33) {
        let scene = Scene::portrait(&mut rng, first[0], DIFFICULTY);
        return (one, shoot(&scene, side));
    }
    let shared = rng.between(1, first.len().min(3));
    let mut second = first[..shared].to_vec();
    for _ in 0..rng.between(0, 2) {
        let Some(near) = rng.pick(&first).lookalike(&mut rng) else {
            continue;
        };
        if !first.contains(&near) && !second.contains(&near) {
            second.push(near);
        }
    }
    (one, stage(&mut rng, &second, side))
}

fn stage(rng: &mut Rng, members: &[Identity], side: u32) -> RegionSample {
    let members: Vec<_> = members.iter().map(|&identity| (identity, None)).collect();
    shoot(&Scene::arrange(rng, &members, DIFFICULTY), side)
}

fn shoot(scene: &Scene, side: u32) -> RegionSample {
    let drawn = photo(scene, side);
    let regions = truth(scene, &drawn.boxes)
        .into_iter()
        .map(|thing| (thing.box_px, thing.description, thing.identity))
        .collect();
    RegionSample {
        photo: drawn.image,
        regions,
    }
}
