//! The sampler: one seed gives a photo, the concepts in its prompt, the truth and a dialogue.

use std::ops::RangeInclusive;

use crate::cast::{cast, extras};
use crate::identity::Identity;
use crate::names;
use crate::place::Place;
use crate::render::{Rgb, photo};
use crate::rng::Rng;
use crate::scene::Scene;
use crate::split::Split;
use crate::tasks::{Story, Wish, ask};

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// A caption that names every concept in the photo.
    Caption,
    /// A caption without names.
    PlainCaption,
    /// A caption without names in few words, as those of COCO are: kinds of things and the place. No part of the training mix.
    BriefCaption,
    /// Whether a concept is in the photo.
    Recognize,
    /// The box of a concept.
    Locate,
    /// Something to be seen in the photo.
    VisualQa,
    /// Something only the info line knows.
    InfoQa,
    /// A question on a concept that is not in the photo, to be refused.
    RefuseAbsent,
    /// A question on a name that is no concept, to be refused.
    RefuseUnknown,
}

impl Task {
    /// Every task with its share in the training mix, in percent.
    pub const MIX: [(Self, usize); 8] = [
        (Self::Caption, 25),
        (Self::Locate, 14),
        (Self::Recognize, 13),
        (Self::VisualQa, 20),
        (Self::InfoQa, 7),
        (Self::RefuseAbsent, 7),
        (Self::RefuseUnknown, 8),
        (Self::PlainCaption, 6),
    ];

    /// A task drawn from [`Task::MIX`].
    pub fn random(rng: &mut Rng) -> Self {
        let mut roll = rng.below(100);
        for (task, share) in Self::MIX {
            if roll < share {
                return task;
            }
            roll -= share;
        }
        Self::Caption
    }
}

/// A concept as it stands in the prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct ConceptRef {
    /// What its owner calls it, without brackets.
    pub name: String,
    /// Kind of thing, one word.
    pub category: String,
    /// What its owner wrote about it; often a fact nobody can see, sometimes empty.
    pub info: String,
    /// A photo of it alone.
    pub image: Rgb,
    /// What it is.
    pub identity: Identity,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The kind of question.
    pub task: Task,
    /// Names stand in angle brackets.
    pub question: String,
    /// Names stand in angle brackets.
    pub answer: String,
    /// The concept it is about, when it is about one.
    pub subject: Option<usize>,
}

/// The truth about one thing in the photo.
#[derive(Debug, Clone, PartialEq)]
pub struct ThingTruth {
    /// What it is.
    pub identity: Identity,
    /// Tight box `x0, y0, x1, y1` of its visible pixels, in shares of the side (0 to 1).
    pub box_px: [f32; 4],
    /// The concept it shows; `None` for a thing nobody named.
    pub concept: Option<usize>,
    /// Its look in words, without an article: "red striped cat with a blue hat".
    pub description: String,
    /// What it is doing: "sitting".
    pub pose: String,
}

/// A photo, its prompt, its truth and a dialogue about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The photo asked about.
    pub photo: Rgb,
    /// Concepts present and absent, in a random order.
    pub concepts: Vec<ConceptRef>,
    /// What is in the photo, from left to right.
    pub things: Vec<ThingTruth>,
    /// The dialogue.
    pub turns: Vec<Turn>,
    /// Where the photo was taken.
    pub place: Place,
    /// The seed it was made from.
    pub seed: u64,
}

/// What samples are like.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// Where identities and names come from.
    pub split: Split,
    /// How many concepts are in the photo, 0 to 4.
    pub present: RangeInclusive<usize>,
    /// How many more concepts the prompt holds.
    pub noise: RangeInclusive<usize>,
    /// One concept only, as when the page asks "Is it here?": in the photo or not, as likely as not. `present`
    /// and `noise` do not count then, and questions that do not fit become ones that do.
    pub alone: bool,
    /// Least number of things in the photo that nobody named.
    pub strangers: usize,
    /// Questions a sample.
    pub turns: usize,
    /// Share of absent concepts that differ from a present one in exactly one attribute.
    pub lookalike_rate: f32,
    /// Side of all pictures in pixels.
    pub side: u32,
    /// 0 to 1: scales turns, light, blur, props in front, and unnamed things.
    pub difficulty: f32,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            split: Split::Train,
            present: 1..=4,
            noise: 0..=3,
            alone: false,
            strangers: 0,
            turns: 5,
            lookalike_rate: 0.3,
            side: 96,
            difficulty: 0.6,
        }
    }
}

/// A sample with `options.turns` questions drawn from [`Task::MIX`].
pub fn sample(seed: u64, options: &SampleOptions) -> Sample {
    let mut rng = Rng::new(seed, 2);
    let tasks: Vec<Task> = (0..options.turns).map(|_| Task::random(&mut rng)).collect();
    sample_tasks(seed, options, &tasks)
}

/// A sample with one question for each task, in that order.
///
/// A task that needs a present or an absent concept raises `present` or `noise` to one where the options
/// allow zero, so every task gets its question and yes/no answers stay balanced.
pub fn sample_tasks(seed: u64, options: &SampleOptions, tasks: &[Task]) -> Sample {
    let mut rng = Rng::new(seed, 3);
    let mut wishes: Vec<Wish> = tasks
        .iter()
        .map(|&task| Wish::new(&mut rng, task))
        .collect();
    let mut options = options.clone();
    if options.alone {
        let here = rng.chance(0.5);
        (options.present, options.noise) = match here {
            true => (1..=1, 0..=0),
            false => (0..=0, 1..=1),
        };
        for wish in &mut wishes {
            *wish = wish.fitting(here);
        }
    }
    let options = &options;
    let cast = cast(&mut rng, options, &wishes);
    let mut members: Vec<(Identity, Option<usize>)> = cast
        .iter()
        .enumerate()
        .filter(|(_, role)| role.present)
        .map(|(index, role)| (role.identity, Some(index)))
        .collect();
    extras(&mut rng, options, &cast, &mut members);
    let scene = Scene::arrange(&mut rng, &members, options.difficulty);
    let drawn = photo(&scene, options.side);
    let things = truth(&scene, &drawn.boxes);
    // A scene of `arrange` always has a place.
    let place = scene.place.unwrap_or(Place::Bedroom);
    let names: Vec<&str> = cast.iter().map(|role| role.name.as_str()).collect();
    let stranger = names::fresh(&mut rng, options.split, &names);
    let facts = cast.iter().map(|role| role.facts.as_slice()).collect();
    let story = Story {
        names,
        facts,
        things: &things,
        place,
        stranger,
    };
    let turns = dialogue(&story, &wishes, &mut rng);
    let concepts = cast
        .iter()
        .map(|role| ConceptRef {
            name: role.name.clone(),
            category: role.identity.category.word().to_owned(),
            info: role.info.clone(),
            image: photo(
                &Scene::portrait(&mut rng, role.identity, options.difficulty),
                options.side,
            )
            .image,
            identity: role.identity,
        })
        .collect();
    Sample {
        photo: drawn.image,
        concepts,
        things,
        turns,
        place,
        seed,
    }
}

/// A photo of one thing alone, as a user would take it to introduce the thing.
pub fn reference(identity: Identity, seed: u64, side: u32) -> Rgb {
    let mut rng = Rng::new(seed, 4);
    photo(&Scene::portrait(&mut rng, identity, 0.3), side).image
}

/// The truth about the scene's actors, from left to right.
pub(crate) fn truth(scene: &Scene, boxes: &[[f32; 4]]) -> Vec<ThingTruth> {
    let mut things: Vec<ThingTruth> = scene
        .actors
        .iter()
        .zip(boxes)
        .map(|(actor, &box_px)| ThingTruth {
            identity: actor.identity,
            box_px,
            concept: actor.concept,
            description: actor.identity.describe(),
            pose: actor.pose.word().to_owned(),
        })
        .collect();
    things.sort_by(|a, b| (a.box_px[0] + a.box_px[2]).total_cmp(&(b.box_px[0] + b.box_px[2])));
    things
}

/// One turn a wish; a question is not asked twice as long as another can be found.
fn dialogue(story: &Story<'_>, wishes: &[Wish], rng: &mut Rng) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::with_capacity(wishes.len());
    for &wish in wishes {
        let mut drawn = ask(story, wish, rng);
        for _ in 0..8 {
            match &drawn {
                Some(turn) if turns.iter().any(|said| said.question == turn.question) => {
                    drawn = ask(story, wish, rng);
                }
                _ => break,
            }
        }
        turns.extend(drawn);
    }
    turns
}
