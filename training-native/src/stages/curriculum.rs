//! What the chats of a supervised step are about: how many things, how many absent concepts, with hints of the retriever or without.

use namelens_engine::personalize::hint::Hint;
use playroom::{Rng, Sample, SampleOptions, Split, Task};

use super::hint_sampling;
use crate::train::fit::BatchKey;

/// Share of chats in which no concept is known.
const NO_CONCEPTS: f32 = 0.08;

/// How much the prompts of a step hold at most, once the world has grown.
#[derive(Clone, Copy, Debug)]
pub struct Prompts {
    /// Named things in a photo, 1 to 4.
    pub things: usize,
    /// Concepts that are not in the photo.
    pub absent: usize,
}

impl Prompts {
    /// Prompts of at most so many named things and absent concepts.
    #[must_use]
    pub fn of_at_most(things: u8, absent: u8) -> Self {
        let (things, absent) = (usize::from(things), usize::from(absent));
        Self { things, absent }
    }
}

/// The chats of a run, step after step.
#[derive(Clone, Debug)]
pub struct Curriculum {
    /// Questions a chat.
    pub turns: usize,
    /// Steps over which scenes grow from easy to the full world.
    pub steps: u64,
    /// Prompts that say where the retriever sees a thing.
    pub hinted: Prompts,
    /// Prompts that do not, so that the captioner has to compare the references itself.
    pub unhinted: Prompts,
    /// Share of the steps with such prompts, 0 to 1.
    pub unhinted_share: f32,
}

impl Curriculum {
    /// One chat's photo, concepts and dialogue, with a hint a concept; now and then without concepts, as the page is at first.
    pub(super) fn draw(&self, seed: u64, batch: BatchKey) -> (Sample, Vec<Hint>) {
        let options = self.options(seed, batch);
        let mut sample = if Rng::new(seed, 0x53).chance(NO_CONCEPTS) {
            let options = SampleOptions {
                strangers: *options.present.end(),
                present: 0..=0,
                noise: 0..=0,
                alone: false,
                ..options
            };
            let tasks = [Task::Caption, Task::PlainCaption, Task::RefuseUnknown];
            playroom::sample_tasks(seed, &options, &tasks)
        } else {
            playroom::sample(seed, &options)
        };
        let hints = match self.is_hinted(batch) {
            true => hint_sampling::draw(&mut sample),
            false => vec![Hint::None; sample.concepts.len()],
        };
        (sample, hints)
    }

    /// Whether the prompts of a step have hints.
    fn is_hinted(&self, batch: BatchKey) -> bool {
        !Rng::new(of_step(batch), 0x54).chance(self.unhinted_share)
    }

    /// The world of one sample: one thing in the beginning, all of them and the full mess at the end.
    ///
    /// All chats of a step have as many things, so that little of a batch is padding and no shard waits.
    fn options(&self, seed: u64, batch: BatchKey) -> SampleOptions {
        let grown = (batch.step as f32 / self.steps.max(1) as f32).min(1.0);
        let mut counts = Rng::new(of_step(batch), 0x51);
        let prompts = match self.is_hinted(batch) {
            true => self.hinted,
            false => self.unhinted,
        };
        let more = prompts.things.saturating_sub(1);
        let most = 1 + ((counts.unit() * (1.0 + more as f32 * grown)) as usize).min(more);
        let noise = (counts.unit() * (1.0 + prompts.absent as f32 * grown)) as usize;
        // Half of the steps are as the page asks about one thing among things it does not know.
        let alone = counts.unit() < 0.5;
        let mut rng = Rng::new(seed, 0x52);
        SampleOptions {
            split: Split::Train,
            present: most..=most,
            noise: noise..=noise,
            alone,
            strangers: if alone { most - 1 } else { 0 },
            turns: self.turns,
            lookalike_rate: 0.15 + 0.2 * grown,
            side: [96, 96, 96, 128, 192][rng.below(5)],
            difficulty: 0.3 + 0.7 * grown,
        }
    }
}

/// What all chats of a step share.
fn of_step(batch: BatchKey) -> u64 {
    batch.seed ^ batch.step.wrapping_mul(0x2545_f491)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(step: u64, part: u64) -> BatchKey {
        BatchKey {
            seed: 5,
            step,
            part,
            parts: 2,
        }
    }

    #[test]
    fn steps_without_hints_are_as_many_as_asked_for_and_hold_what_they_may() {
        let mut curriculum = Curriculum {
            turns: 2,
            steps: 1,
            hinted: Prompts::of_at_most(4, 2),
            unhinted: Prompts::of_at_most(2, 6),
            unhinted_share: 0.5,
        };
        let steps = 1..401;
        let hinted = steps.clone().filter(|&s| curriculum.is_hinted(batch(s, 0)));
        // Four standard deviations of 400 coins.
        assert!((160..=240).contains(&hinted.count()));
        let (mut most, mut noisiest) = ([0, 0], [0, 0]);
        for step in steps.clone() {
            let is_hinted = curriculum.is_hinted(batch(step, 0));
            assert_eq!(is_hinted, curriculum.is_hinted(batch(step, 1)));
            let options = curriculum.options(step, batch(step, 0));
            let other = curriculum.options(step + 1, batch(step, 1));
            assert_eq!(options.present, other.present, "all of a step are alike");
            let at = usize::from(is_hinted);
            most[at] = most[at].max(*options.present.end());
            noisiest[at] = noisiest[at].max(*options.noise.end());
        }
        assert_eq!((most, noisiest), ([2, 4], [6, 2]));
        for (share, expected) in [(0.0, 400), (1.0, 0)] {
            curriculum.unhinted_share = share;
            let hinted = steps.clone().filter(|&s| curriculum.is_hinted(batch(s, 0)));
            assert_eq!(hinted.count(), expected);
        }
    }

    #[test]
    fn a_chat_without_hints_has_none() {
        let mut curriculum = Curriculum {
            turns: 1,
            steps: 1,
            hinted: Prompts::of_at_most(2, 2),
            unhinted: Prompts::of_at_most(2, 2),
            unhinted_share: 1.0,
        };
        let hints = |curriculum: &Curriculum| -> Vec<Hint> {
            let drawn = (0..12).map(|seed| curriculum.draw(seed, batch(3, 0)));
            drawn.flat_map(|(_, hints)| hints).collect()
        };
        let none = hints(&curriculum);
        assert!(none.len() > 12 && none.iter().all(|hint| *hint == Hint::None));
        curriculum.unhinted_share = 0.0;
        assert!(hints(&curriculum).iter().any(|hint| *hint != Hint::None));
    }
}
