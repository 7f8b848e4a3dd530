//! Prompts of a run: which one is the n-th, in every epoch in another order, as a function of seed and n alone.

use anyhow::{Result, ensure};
use namelens_engine::random::Stream;

use super::file_prompts::FilePrompts;
use super::playroom_prompts::PlayroomPrompts;
use super::prompt::Prompt;

/// Where prompts come from.
#[derive(Debug)]
pub enum Source {
    /// Drawn by the Playroom.
    Playroom(PlayroomPrompts),
    /// Rows of a file.
    File(FilePrompts),
}

/// The prompts of a run, epoch after epoch.
#[derive(Debug)]
pub struct Prompts {
    source: Source,
    /// Seed of their order; `None` keeps it.
    shuffle: Option<u64>,
}

impl Prompts {
    /// All of `source`, in an order of its own in every epoch where there is a seed for it.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(source: Source, shuffle: Option<u64>) -> Result<Self> {
        let prompts = Self { source, shuffle };
        ensure!(!prompts.is_empty(), "there are no prompts");
        Ok(prompts)
    }

    /// Prompts of an epoch.
    pub fn len(&self) -> u64 {
        match &self.source {
            Source::Playroom(prompts) => prompts.len(),
            Source::File(prompts) => prompts.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `serial`-th prompt of the run, from 0.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn get(&self, serial: u64) -> Result<Prompt> {
        let index = self.index(serial);
        match &self.source {
            Source::Playroom(prompts) => prompts.get(index),
            Source::File(prompts) => prompts.get(index),
        }
    }

    /// Which prompt of the source is the `serial`-th of the run.
    fn index(&self, serial: u64) -> u64 {
        let (epoch, place) = (serial / self.len(), serial % self.len());
        let Some(seed) = self.shuffle else {
            return place;
        };
        // Fisher and Yates; an order of a few thousand takes microseconds.
        let mut order: Vec<u64> = (0..self.len()).collect();
        let mut stream = Stream::keyed(&[seed, epoch]);
        for at in (1..order.len()).rev() {
            let other = (stream.uniform() * (at + 1) as f64) as usize;
            order.swap(at, other.min(at));
        }
        order[place as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::playroom_prompts::PlayroomOptions;
    use super::*;

    fn prompts(shuffle: Option<u64>) -> Prompts {
        let options = PlayroomOptions {
            prompts: 12,
            ..PlayroomOptions::default()
        };
        Prompts::new(Source::Playroom(PlayroomPrompts::new(options)), shuffle).unwrap()
    }

    #[test]
    fn an_epoch_has_every_prompt_once_and_the_next_another_order() {
        let shuffled = prompts(Some(3));
        let epoch =
            |n: u64| -> Vec<u64> { (12 * n..12 * n + 12).map(|s| shuffled.index(s)).collect() };
        for n in 0..3 {
            assert_eq!(epoch(n).into_iter().collect::<BTreeSet<_>>().len(), 12);
        }
        assert_ne!(epoch(0), epoch(1));
        assert_ne!(
            epoch(0),
            (0..12)
                .map(|s| prompts(Some(4)).index(s))
                .collect::<Vec<_>>()
        );
        assert_eq!(
            (0..12).map(|s| prompts(None).index(s)).collect::<Vec<_>>(),
            (0..12).collect::<Vec<_>>()
        );
    }
}
