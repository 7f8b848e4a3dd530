//! The answers of a row on disk, a line a photo, so that an evaluation that is killed resumes where it was.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::record::Record;

/// What the answers of a row depend on; the first line of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The row's name.
    pub row: String,
    /// Name of the split.
    pub split: String,
    /// SHA-256 of what the split holds.
    pub split_digest: String,
    /// Seed of the photos.
    pub seed: u64,
    /// Side of the photos, pixels.
    pub side: u32,
    /// SHA-256 of the model's files.
    pub model: String,
    /// SHA-256 of the program that asks.
    pub program: String,
}

/// The file of one row.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    file: File,
    /// Whether this very program wrote what is there.
    own: bool,
}

impl Cache {
    /// Opens the file of a row in `folder`, or begins it, and reads the photos it has.
    ///
    /// A last line that was cut off, as a killed program leaves it, is removed. What another build of the program
    /// asked can be read, but not continued.
    ///
    /// # Errors
    /// When the file is of another model, split or seed, is damaged, or cannot be read or written.
    pub fn open(folder: &Path, origin: &Origin) -> Result<(Self, Vec<Record>)> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(format!("{}.jsonl", origin.row.replace('/', "-")));
        let shown = path.display().to_string();
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {shown}"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {shown}"))?;
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        bytes.truncate(whole);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::Start(whole as u64))?;
        let text = String::from_utf8(bytes).with_context(|| format!("{shown} is no text"))?;
        let mut lines = text.lines();
        let mut cache = Self {
            path,
            file,
            own: true,
        };
        let Some(first) = lines.next() else {
            cache.line(origin)?;
            return Ok((cache, Vec::new()));
        };
        let found: Origin = serde_json::from_str(first)
            .with_context(|| format!("{shown} does not begin as a file of `namelens eval`"))?;
        cache.own = found.program == origin.program;
        let same = Origin {
            program: origin.program.clone(),
            ..found
        };
        if same != *origin {
            bail!(
                "{shown} has answers of another model, split or seed; name another --cache folder"
            );
        }
        let records = lines
            .enumerate()
            .map(|(at, line)| {
                let record: Record = serde_json::from_str(line)
                    .with_context(|| format!("{shown} line {} is damaged", at + 2))?;
                if record.photo != at as u64 {
                    bail!("{shown} line {} is of photo {}", at + 2, record.photo);
                }
                Ok(record)
            })
            .collect::<Result<Vec<Record>>>()
            .with_context(|| format!("delete {shown} to ask again"))?;
        Ok((cache, records))
    }

    /// Adds the next photo.
    ///
    /// # Errors
    /// When the file was begun by another build of this program, or cannot be written.
    pub fn add(&mut self, record: &Record) -> Result<()> {
        if !self.own {
            bail!(
                "{} was begun by another build of this program, whose answers may differ; ask on with that one, or \
                 name another --cache folder",
                self.path.display()
            );
        }
        self.line(record)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::evaluate::record::Answers;

    fn origin(seed: u64) -> Origin {
        Origin {
            row: "locate/unaided".into(),
            split: "val".into(),
            split_digest: "d".into(),
            seed,
            side: 192,
            model: "m".into(),
            program: "p".into(),
        }
    }

    fn record(photo: u64) -> Record {
        Record {
            photo,
            ms: 3,
            answers: Answers::Boxes(vec![(Some([0.1, 0.2, 0.3, 1.0 / 3.0]), [0.7; 4])]),
        }
    }

    #[test]
    fn whatever_a_kill_leaves_behind_is_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut cache, records) = Cache::open(folder.path(), &origin(1)).unwrap();
        assert!(records.is_empty());
        for photo in 0..3 {
            cache.add(&record(photo)).unwrap();
        }
        let path = folder.path().join("locate-unaided.jsonl");
        let bytes = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == b'\n').collect();
        // Cut off after every single byte.
        for length in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let (mut cache, mut records) = Cache::open(folder.path(), &origin(1)).unwrap();
            let whole = ends.iter().filter(|&&end| end < length).count();
            assert_eq!(records.len(), whole.saturating_sub(1), "{length}");
            while records.len() < 3 {
                let next = record(records.len() as u64);
                cache.add(&next).unwrap();
                records.push(next);
            }
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{length}");
            let again = Cache::open(folder.path(), &origin(1)).unwrap().1;
            assert_eq!(again, records, "{length}");
        }
    }

    #[test]
    fn answers_of_another_build_are_read_but_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let (mut cache, _) = Cache::open(folder.path(), &origin(1)).unwrap();
        cache.add(&record(0)).unwrap();
        let rebuilt = Origin {
            program: "q".into(),
            ..origin(1)
        };
        let (mut cache, records) = Cache::open(folder.path(), &rebuilt).unwrap();
        assert_eq!(records, [record(0)]);
        let error = cache.add(&record(1)).unwrap_err().to_string();
        assert!(error.contains("another build"), "{error}");
        assert_eq!(Cache::open(folder.path(), &origin(1)).unwrap().1.len(), 1);
    }

    #[test]
    fn answers_to_other_questions_are_not_mixed_in() {
        let folder = tempfile::tempdir().unwrap();
        Cache::open(folder.path(), &origin(1)).unwrap();
        let error = Cache::open(folder.path(), &origin(2)).unwrap_err();
        assert!(error.to_string().contains("--cache"), "{error}");
        let path = folder.path().join("locate-unaided.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text += &serde_json::to_string(&record(1)).unwrap();
        text += "\n";
        std::fs::write(&path, text).unwrap();
        let error = Cache::open(folder.path(), &origin(1)).unwrap_err();
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    }
}
