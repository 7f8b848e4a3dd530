//! One model in several files: safetensors shards with an index, and split GGUF files.
//!
//! A loader asks which files are needed, fetches them, and hands them over by name; what comes back is one
//! [`Weights`] in which every file is proved present and every tensor where it was promised.

mod index;
mod split;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::{ByteSource, WeightFile};
use crate::{Error, Result};

pub use index::{ShardIndex, shard_files};
pub use split::{Split, open_split, split_files};

/// Most files a model may be in; the largest checkpoints have some hundreds.
const MAX_FILES: usize = 1024;

/// Takes `names` out of `sources` and opens them in that order; nothing is taken if one is missing.
fn open_all<S: BuildHasher>(
    names: &[String],
    sources: &mut HashMap<String, Box<dyn ByteSource>, S>,
) -> Result<Vec<WeightFile>> {
    let absent: Vec<_> = names
        .iter()
        .filter(|name| !sources.contains_key(*name))
        .map(String::as_str)
        .collect();
    if let Some(first) = absent.first() {
        let others = match absent.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        return Err(fail(
            first,
            "file",
            format!(
                "missing{others}; the model is in {} files and all must be in its folder",
                names.len()
            ),
        ));
    }
    names
        .iter()
        .filter_map(|name| sources.remove_entry(name))
        .map(|(name, source)| WeightFile::open(&name, source))
        .collect()
}

fn fail(file: &str, place: &str, problem: String) -> Error {
    Error::Weights {
        file: file.into(),
        place: place.into(),
        problem,
    }
}
