//! The options that say where prompts come from.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use namelens::rl::config::GrpoConfig;
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::file_prompts::FilePrompts;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use playroom::{Split, Task};

/// The reward of a preset that has none.
pub(super) const REWARD: &str = "set-f1";

/// What prompts of the Playroom ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Asked {
    /// A caption with names.
    Caption,
    /// Whether a thing is in the photo.
    Recognize,
    /// Where a thing is.
    Locate,
}

/// Where prompts come from.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Prompts, a JSON object a line; paths of photos begin at the file's folder.
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<PathBuf>,
    /// Held-out prompts in the same form; every tenth row of --data where it is not given.
    #[arg(long, value_name = "FILE.jsonl", requires = "data")]
    eval_data: Option<PathBuf>,
    /// Playroom: prompts of an epoch.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    prompts: u64,
    /// Playroom: named things in a photo, 1 to 4: a number or a range.
    #[arg(long, default_value = "1-2", value_name = "N-M", value_parser = range)]
    present: RangeInclusive<usize>,
    /// Playroom: concepts of the prompt that are not in the photo, up to 4; as many as are there where it is not given.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=4))]
    absent: Option<u8>,
    /// Playroom: what is asked, in turns.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "caption")]
    tasks: Vec<Asked>,
}

impl SourceArgs {
    /// Prompts to learn from, and held-out ones.
    ///
    /// # Errors
    /// When a file cannot be read, or a row of it lacks its photo.
    pub(super) fn open(&self, config: &GrpoConfig) -> Result<(Prompts, Prompts)> {
        let order = config.shuffle_dataset.then_some(config.seed);
        let (learned, held) = match (&self.data, &self.eval_data) {
            (Some(data), Some(held)) => (FilePrompts::open(data)?, FilePrompts::open(held)?),
            (Some(data), None) => FilePrompts::open(data)?.hold_out(),
            (None, _) => {
                let drawn =
                    |split| Source::Playroom(PlayroomPrompts::new(self.playroom(split, config)));
                let held = Prompts::new(drawn(Split::Val), None)?;
                return Ok((Prompts::new(drawn(Split::Train), order)?, held));
            }
        };
        ensure!(
            !held.is_empty(),
            "--data has fewer than 10 rows; name held-out ones with --eval-data"
        );
        let held = Prompts::new(Source::File(held), None)?;
        Ok((Prompts::new(Source::File(learned), order)?, held))
    }

    fn playroom(&self, split: Split, config: &GrpoConfig) -> PlayroomOptions {
        let task = |asked: &Asked| match asked {
            Asked::Caption => Task::Caption,
            Asked::Recognize => Task::Recognize,
            Asked::Locate => Task::Locate,
        };
        PlayroomOptions {
            split,
            seed: config.seed,
            prompts: self.prompts,
            present: self.present.clone(),
            absent: self.absent.map(usize::from),
            tasks: self.tasks.iter().map(task).collect(),
            ..PlayroomOptions::default()
        }
    }
}

/// `2` or `1-3`, within 1 to 4.
fn range(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<usize>().ok();
    match (number(low), number(high)) {
        (Some(low), Some(high)) if (1..=high).contains(&low) && high <= 4 => Ok(low..=high),
        _ => Err("write a number or a range within 1 to 4, such as 1-2".into()),
    }
}
