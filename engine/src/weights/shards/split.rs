//! Split GGUF files (`model-00001-of-00003.gguf`): the parts of a model, each of which says which one it is.

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::{MAX_FILES, fail, open_all};
use crate::Result;
use crate::weights::{ByteSource, Metadata, WeightFile, Weights};

/// The number of a part, from 0.
const NUMBER: &str = "split.no";
/// How many parts there are.
const COUNT: &str = "split.count";
/// How many tensors all parts hold together.
const TENSORS: &str = "split.tensors.count";

/// What a part of a split file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Which part this is, from 0; the first one's metadata describes the model.
    pub number: usize,
    /// How many parts there are.
    pub count: usize,
    /// How many tensors all parts hold together.
    pub tensors: u64,
}

impl Split {
    /// Reads the `split.*` keys of a file: `None` for a file that is whole.
    ///
    /// # Errors
    /// When the keys are incomplete or contradict each other.
    pub fn of(file: &str, metadata: &Metadata) -> Result<Option<Self>> {
        let keys = [NUMBER, COUNT, TENSORS];
        if keys.iter().all(|key| metadata.get(key).is_none()) {
            return Ok(None);
        }
        let [number, count, tensors] = keys.map(|key| metadata.u64(key));
        let (Some(number), Some(count), Some(tensors)) = (number, count, tensors) else {
            let problem = format!(
                "a part of a split file needs the numbers {}",
                keys.join(", ")
            );
            return Err(fail(file, "split", problem));
        };
        let split = (usize::try_from(number), usize::try_from(count));
        match split {
            (Ok(number), Ok(count)) if number < count && count <= MAX_FILES => Ok(Some(Self {
                number,
                count,
                tensors,
            })),
            _ => Err(fail(
                file,
                COUNT,
                format!("part {number} (from 0) of {count}; 1 to {MAX_FILES} parts are possible"),
            )),
        }
    }
}

/// The names of all parts in order, from the name of any; `None` if it is not the name of a part.
///
/// # Errors
/// When the numbers in the name are impossible.
pub fn split_files(name: &str) -> Result<Option<Vec<String>>> {
    let Some((stem, number, count)) = parse_name(name) else {
        return Ok(None);
    };
    if number == 0 || number > count || count > MAX_FILES {
        let problem = format!("part {number} of {count}; 1 to {MAX_FILES} parts are possible");
        return Err(fail(name, "file name", problem));
    }
    let name = |number| format!("{stem}-{number:05}-of-{count:05}.gguf");
    Ok(Some((1..=count).map(name).collect()))
}

/// Takes all parts of a split GGUF out of `sources`, by name, and opens them as one set, the first part first.
///
/// `name` is the name of any of the parts.
///
/// # Errors
/// When `name` is not that of a part, a part is missing (nothing is taken then) or unusable, when a part is not
/// the one its name says, or when the parts do not hold the tensors they announce.
pub fn open_split<S: BuildHasher>(
    name: &str,
    sources: &mut HashMap<String, Box<dyn ByteSource>, S>,
) -> Result<Weights> {
    let names = split_files(name)?.ok_or_else(|| {
        fail(
            name,
            "file name",
            "not the name of a part; parts are called like model-00001-of-00003.gguf".into(),
        )
    })?;
    let files = open_all(&names, sources)?;
    check(&files)?;
    let mut weights = Weights::new();
    for file in files {
        weights.push(file)?;
    }
    Ok(weights)
}

/// Proves that `files` are the parts of one model in order, and together hold what they announce.
fn check(files: &[WeightFile]) -> Result<()> {
    let mut announced = None;
    let mut found = 0;
    for (number, file) in files.iter().enumerate() {
        let name = file.file();
        let split = Split::of(name, file.metadata())?.ok_or_else(|| {
            let problem = "the file is named as a part but has no `split.*` keys; rename it".into();
            fail(name, "split", problem)
        })?;
        if (split.number, split.count) != (number, files.len()) {
            let problem = format!(
                "named part {} of {} but it is part {} of {}; fetch it again under its own name",
                number + 1,
                files.len(),
                split.number + 1,
                split.count
            );
            return Err(fail(name, NUMBER, problem));
        }
        let tensors = *announced.get_or_insert(split.tensors);
        if split.tensors != tensors {
            let problem = format!(
                "{} tensors, but part 1 says {tensors}; the parts are of different models",
                split.tensors
            );
            return Err(fail(name, TENSORS, problem));
        }
        found += (file.tensors().len() + file.unreadable().len()) as u64;
    }
    match (announced, files.first()) {
        (Some(announced), Some(first)) if announced != found => Err(fail(
            first.file(),
            TENSORS,
            format!("{announced} tensors announced but the parts hold {found}; fetch them again"),
        )),
        _ => Ok(()),
    }
}

/// Stem, number and count of `<stem>-00001-of-00003.gguf`.
fn parse_name(name: &str) -> Option<(&str, usize, usize)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    Some((stem, five_digits(number)?, five_digits(count)?))
}

fn five_digits(text: &str) -> Option<usize> {
    let digits = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}
