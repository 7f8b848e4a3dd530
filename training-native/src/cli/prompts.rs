//! The options that say where the prompts of reinforcement learning come from.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use namelens::rl::config::GrpoConfig;
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::file_prompts::FilePrompts;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use playroom::{Split, Task};

/// What prompts of the Playroom ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Asked {
    /// A caption with names.
    Caption,
    /// Whether a thing is in the photo.
    Recognize,
    /// Where a thing is.
    Locate,
    /// A caption without names; to be learned from references (`--set teacher=gold`).
    Plain,
    /// The same, saying no more than kinds of things and the place.
    Brief,
}

/// Where prompts come from.
#[derive(Debug, Args)]
pub(super) struct PromptArgs {
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

impl PromptArgs {
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
                let drawn = |split| {
                    Source::Playroom(PlayroomPrompts::new(self.playroom(split, config.seed)))
                };
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

    /// Photos of the Playroom whose things nobody introduced, to learn from and held out.
    ///
    /// # Errors
    /// When other prompts were asked for.
    pub(super) fn open_plain(&self, seed: u64) -> Result<(Prompts, Prompts)> {
        ensure!(
            self.data.is_none() && self.tasks == [Asked::Caption],
            "captions without names are asked for of photos of the Playroom; leave --data and --tasks out"
        );
        let of = |split| {
            let options = PlayroomOptions {
                absent: Some(0),
                tasks: vec![Task::PlainCaption],
                ..self.playroom(split, seed)
            };
            Source::Playroom(PlayroomPrompts::new(options))
        };
        let held = Prompts::new(of(Split::Val), None)?;
        Ok((Prompts::new(of(Split::Train), Some(seed))?, held))
    }

    fn playroom(&self, split: Split, seed: u64) -> PlayroomOptions {
        let task = |asked: &Asked| match asked {
            Asked::Caption => Task::Caption,
            Asked::Recognize => Task::Recognize,
            Asked::Locate => Task::Locate,
            Asked::Plain => Task::PlainCaption,
            Asked::Brief => Task::BriefCaption,
        };
        PlayroomOptions {
            split,
            seed,
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
