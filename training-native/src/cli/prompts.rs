//! The options that say where the prompts of reinforcement learning come from.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
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
        if let Some((learned, held)) = self.files()? {
            return among(Source::File(learned), Source::File(held), order);
        }
        let drawn =
            |split| Source::Playroom(PlayroomPrompts::new(self.playroom(split, config.seed)));
        among(drawn(Split::Train), drawn(Split::Val), order)
    }

    /// Photos to be captioned without names, to learn from and held out: those of --data, or of the Playroom, whose things nobody
    /// introduced.
    ///
    /// # Errors
    /// When other prompts were asked for, a file cannot be read, or a row shows no photo.
    pub(super) fn open_plain(&self, seed: u64) -> Result<(Prompts, Prompts)> {
        ensure!(
            self.tasks == [Asked::Caption],
            "captions without names are all that is learned here; leave --tasks out"
        );
        if let Some((learned, held)) = self.files()? {
            for rows in [&learned, &held] {
                if let Some(row) = rows.without_photo() {
                    bail!("\"{row}\" shows no photo; a caption is compared with one");
                }
            }
            return among(Source::File(learned), Source::File(held), Some(seed));
        }
        let of = |split| {
            let options = PlayroomOptions {
                absent: Some(0),
                tasks: vec![Task::PlainCaption],
                ..self.playroom(split, seed)
            };
            Source::Playroom(PlayroomPrompts::new(options))
        };
        among(of(Split::Train), of(Split::Val), Some(seed))
    }

    /// The rows of --data and the held-out ones; `None` without it.
    fn files(&self) -> Result<Option<(FilePrompts, FilePrompts)>> {
        let (learned, held) = match (&self.data, &self.eval_data) {
            (Some(data), Some(held)) => (FilePrompts::open(data)?, FilePrompts::open(held)?),
            (Some(data), None) => FilePrompts::open(data)?.hold_out(),
            (None, _) => return Ok(None),
        };
        ensure!(
            !held.is_empty(),
            "--data has fewer than 10 rows; name held-out ones with --eval-data"
        );
        Ok(Some((learned, held)))
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

/// Prompts to learn from, in the order that a seed gives, and held-out ones.
fn among(learned: Source, held: Source, order: Option<u64>) -> Result<(Prompts, Prompts)> {
    let held = Prompts::new(held, None)?;
    Ok((Prompts::new(learned, order)?, held))
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
