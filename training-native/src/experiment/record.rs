//! The results of a run: one small JSON file, with what became of every held-out photo.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::metrics::rates::Counts;
use crate::whole_file;

/// Names of photo after photo that are right, wrong and missed.
///
/// In files a photo is three digits: `210` is two right, one wrong, none missed. Nine stands for nine and more, which no photo with four named
/// things and four absent ones needs but one with as many invented names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies(pub Vec<Counts>);

impl Serialize for Tallies {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.iter().flat_map(|c| [c.correct, c.wrong, c.missed]);
        let text: String = digits.map(|n| n.min(9).to_string()).collect();
        text.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Tallies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(from)?;
        let digits: Option<Vec<usize>> = text
            .chars()
            .map(|c| c.to_digit(10).map(|d| d as usize))
            .collect();
        let digits = digits.filter(|d| d.len().is_multiple_of(3));
        let digits = digits.ok_or_else(|| Error::custom("photos are three digits each"))?;
        Ok(Self(
            digits
                .chunks_exact(3)
                .map(|d| Counts {
                    correct: d[0],
                    wrong: d[1],
                    missed: d[2],
                })
                .collect(),
        ))
    }
}

/// What a model shows on the photos of one condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Who is named.
    pub strict: Tallies,
    /// Who is named with a look that is the thing's.
    pub binding: Tallies,
    /// Mean tokens of a caption.
    pub mean_length: f64,
}

/// Results of one condition after another, by the number of named things.
pub type Conditions = BTreeMap<usize, Shown>;

/// What a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Compute {
    /// Tokens of completions that were drawn.
    pub drawn_tokens: u64,
    /// Tokens of completions that gradients were computed of.
    pub learned_tokens: u64,
    /// Completions that gradients were computed of.
    pub learned_completions: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Time of the steps on one core, seconds; what else the machine did is in it.
    pub seconds: f64,
}

/// The results of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The arm.
    pub arm: String,
    /// Its learning rate; 0 for the base.
    pub learning_rate: f64,
    /// Its seed; 0 for the base.
    pub seed: u64,
    /// SHA-256 of the base's files.
    pub base: String,
    /// What it took.
    pub compute: Compute,
    /// Why it ended before its last step, where it did.
    pub stopped: Option<String>,
    /// Held-out photos by split.
    pub splits: BTreeMap<String, Conditions>,
}

impl Record {
    /// The name of a run in files.
    pub fn key(arm: &str, learning_rate: f64, seed: u64) -> String {
        format!("{arm}-lr{learning_rate:e}-seed{seed}")
    }

    /// Micro-averaged binding F1 of a split and condition, where it was measured.
    pub fn binding(&self, split: &str, condition: usize) -> Option<f64> {
        let shown = self.splits.get(split)?.get(&condition)?;
        Some(shown.binding.0.iter().sum::<Counts>().f1())
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let name = Self::key(&self.arm, self.learning_rate, self.seed) + ".json";
        let text = serde_json::to_string_pretty(self)? + "\n";
        whole_file::write(&folder.join(name), text.as_bytes())
    }
}

/// All results in `folder`, in the order of their names; none where there is no such folder.
///
/// # Errors
/// When a file cannot be read, is no result, or is of another base than the rest.
pub fn read(folder: &Path) -> Result<Vec<Record>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    paths.sort();
    let mut records: Vec<Record> = Vec::new();
    for path in paths {
        let text =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let record: Record = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no result of a run", path.display()))?;
        ensure!(
            records
                .first()
                .is_none_or(|first| first.base == record.base),
            "{} is of another base than the rest",
            path.display()
        );
        for (split, conditions) in &record.splits {
            for (condition, shown) in conditions {
                if shown.strict.0.len() != shown.binding.0.len() {
                    bail!(
                        "{}: {split}/{condition} has {} and {} photos",
                        path.display(),
                        shown.strict.0.len(),
                        shown.binding.0.len()
                    );
                }
            }
        }
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(super) mod tests {
    use super::*;

    /// A record whose photos all have these counts.
    pub(crate) fn record(arm: &str, rate: f64, seed: u64, photos: &[[usize; 3]]) -> Record {
        let tallies = || {
            let of = |&[correct, wrong, missed]: &[usize; 3]| Counts {
                correct,
                wrong,
                missed,
            };
            Tallies(photos.iter().map(of).collect())
        };
        let shown = Shown {
            strict: tallies(),
            binding: tallies(),
            mean_length: 20.0,
        };
        let conditions: Conditions = [(1, shown.clone()), (2, shown.clone()), (4, shown)].into();
        Record {
            arm: arm.into(),
            learning_rate: rate,
            seed,
            base: "b".into(),
            compute: Compute::default(),
            stopped: None,
            splits: [
                ("val".into(), conditions.clone()),
                ("test".into(), conditions),
            ]
            .into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_foreign_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("none")).unwrap(), []);
        let one = record("rl", 3e-4, 2, &[[2, 1, 0], [0, 12, 4]]);
        one.write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("rl-lr3e-4-seed2.json")).unwrap();
        assert!(text.contains("\"210094\""), "{text}");
        let read_back = read(folder.path()).unwrap();
        assert_eq!(read_back.len(), 1);
        assert_eq!(
            read_back[0].binding("val", 4),
            Some(4.0 / (4.0 + 10.0 + 4.0))
        );
        let other = Record {
            base: "c".into(),
            ..record("sft", 1e-3, 1, &[[1, 0, 0]])
        };
        other.write(folder.path()).unwrap();
        let said = read(folder.path()).unwrap_err().to_string();
        assert!(said.contains("another base"), "{said}");
        std::fs::write(
            folder.path().join("rl-lr3e-4-seed2.json"),
            text.replace("210094", "21009"),
        )
        .unwrap();
        assert!(format!("{:#}", read(folder.path()).unwrap_err()).contains("three digits"));
    }
}
