//! The options that say where the prompts of reinforcement learning come from.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use namelens::digests::digest;
use namelens::rl::config::GrpoConfig;
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::file_prompts::FilePrompts;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use playroom::{Split, Task};

/// Seed of held-out prompts, whatever that of the run is: runs are compared on the same ones.
const HELD_OUT: u64 = 42;

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
    /// Held-out prompts in the same form; about a tenth of --data where it is not given, all rows of the same names together.
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
            return of_files(learned, held, order);
        }
        let drawn = |options| Source::Playroom(PlayroomPrompts::new(options));
        let learned = Prompts::new(drawn(self.playroom(Split::Train, config.seed)), order)?;
        let held = Prompts::new(drawn(self.playroom(Split::Val, HELD_OUT)), None)?;
        Ok((learned, held))
    }

    /// What prompts are drawn from, in words: a run resumes only where it goes on with the same prompts, learned from and held out.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn told(&self, seed: u64) -> Result<String> {
        let said = format!("{self:?}");
        let files: Vec<PathBuf> = self.data.iter().chain(&self.eval_data).cloned().collect();
        Ok(match files.is_empty() {
            false => format!("{said}; rows {}", digest(&files)?),
            // As it always was.
            true if seed == HELD_OUT => said,
            true => format!("{said}; held out by seed {HELD_OUT}"),
        })
    }

    /// Whether captions with names may be asked for.
    pub(super) fn may_ask_names(&self) -> bool {
        self.data.is_some() || self.tasks.contains(&Asked::Caption)
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
            return of_files(learned, held, Some(seed));
        }
        let of = |split, seed| {
            let options = PlayroomOptions {
                absent: Some(0),
                tasks: vec![Task::PlainCaption],
                ..self.playroom(split, seed)
            };
            Source::Playroom(PlayroomPrompts::new(options))
        };
        let learned = Prompts::new(of(Split::Train, seed), Some(seed))?;
        Ok((learned, Prompts::new(of(Split::Val, HELD_OUT), None)?))
    }

    /// The rows of --data and the held-out ones; `None` without it.
    fn files(&self) -> Result<Option<(FilePrompts, FilePrompts)>> {
        let (learned, held) = match (&self.data, &self.eval_data) {
            (Some(data), Some(held)) => (FilePrompts::open(data)?, FilePrompts::open(held)?),
            (Some(data), None) => {
                let split = FilePrompts::open(data)?.hold_out();
                split.with_context(|| data.display().to_string())?
            }
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

/// Rows to learn from, in the order that a seed gives, and held-out ones. Those are in one order, which is not the file's: an
/// evaluation of a few of them is one of all their kinds.
fn of_files(
    learned: FilePrompts,
    held: FilePrompts,
    order: Option<u64>,
) -> Result<(Prompts, Prompts)> {
    let held = Prompts::new(Source::File(held), Some(HELD_OUT))?;
    Ok((Prompts::new(Source::File(learned), order)?, held))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn playroom() -> PromptArgs {
        PromptArgs {
            data: None,
            eval_data: None,
            prompts: 8,
            present: 1..=2,
            absent: None,
            tasks: vec![Asked::Caption],
        }
    }

    fn settings(seed: u64) -> GrpoConfig {
        GrpoConfig {
            seed,
            ..GrpoConfig::default()
        }
    }

    #[test]
    fn runs_of_other_seeds_are_measured_on_the_same_photos() {
        let args = playroom();
        let photos = |prompts: &Prompts| {
            let of = |at| prompts.get(at).unwrap().photos;
            (0..4).map(of).collect::<Vec<_>>()
        };
        for plain in [false, true] {
            let [one, other] = [1, 2].map(|seed| match plain {
                true => args.open_plain(seed).unwrap(),
                false => args.open(&settings(seed)).unwrap(),
            });
            assert_ne!(photos(&one.0), photos(&other.0), "what is learned from");
            assert_eq!(photos(&one.1), photos(&other.1), "what is held out");
        }
    }

    #[test]
    fn a_run_tells_what_it_is_measured_on() {
        let args = playroom();
        let usual = GrpoConfig::default().seed;
        assert_eq!(args.told(usual).unwrap(), format!("{args:?}"));
        assert_ne!(args.told(usual + 1).unwrap(), format!("{args:?}"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.jsonl");
        let args = PromptArgs {
            data: Some(file.clone()),
            ..args
        };
        let told = |text: &str| {
            std::fs::write(&file, text).unwrap();
            args.told(usual).unwrap()
        };
        let first = told("{}\n");
        assert_ne!(told("{}\n{}\n"), first);
        assert_eq!(told("{}\n"), first);
    }

    #[test]
    fn the_first_of_held_out_rows_are_not_the_first_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.jsonl");
        let row = |n: usize| format!("{{\"problem\": \"{n}\", \"n\": {n}}}\n");
        std::fs::write(&file, (0..40).map(row).collect::<String>()).unwrap();
        let args = PromptArgs {
            data: Some(file.clone()),
            eval_data: Some(file),
            ..playroom()
        };
        let first = |seed: u64| {
            let (_, held) = args.open(&settings(seed)).unwrap();
            let number = |at| held.get(at).unwrap().columns["n"].as_u64().unwrap();
            (0..8).map(number).collect::<Vec<_>>()
        };
        assert!(first(1).iter().any(|n| *n >= 20), "{:?}", first(1));
        assert_eq!(first(1), first(2));
    }
}
