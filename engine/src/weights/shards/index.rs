//! `model.safetensors.index.json`: which shard holds which tensor, and the proof that it does.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::BuildHasher;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};

use super::{MAX_FILES, fail, open_all};
use crate::Result;
use crate::weights::header::MAX_TENSORS;
use crate::weights::{ByteSource, WeightFile, Weights};

/// What errors call the index.
const FILE: &str = "model.safetensors.index.json";
/// Largest index accepted; a model of 65,536 tensors needs about a tenth of it.
const MAX_JSON: usize = 64 << 20;
/// Longest file name of the file systems models live on.
const MAX_NAME: usize = 255;

/// The files of a sharded checkpoint, sorted by name: what [`ShardIndex::files`] says of a parsed index.
///
/// # Errors
/// As [`ShardIndex::parse`].
pub fn shard_files(index_json: &[u8]) -> Result<Vec<String>> {
    ShardIndex::parse(index_json).map(|index| index.files)
}

/// A parsed index: names of plain files, and the tensors each must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIndex {
    /// Sorted and distinct.
    files: Vec<String>,
    /// Tensor and the number of its file, as the index lists them.
    tensors: Vec<(String, usize)>,
}

impl ShardIndex {
    /// Parses the bytes of an index.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when it is not one, lists a tensor twice or absurdly many, or names something
    /// other than a `.safetensors` file beside it.
    pub fn parse(json: &[u8]) -> Result<Self> {
        if json.len() > MAX_JSON {
            let problem = format!("{} bytes, more than the {MAX_JSON} allowed", json.len());
            return Err(fail(FILE, "length", problem));
        }
        let index: Index = serde_json::from_slice(json).map_err(|e| {
            fail(
                FILE,
                "weight_map",
                format!("not an index of shards: {e}; take the file from the model's own folder"),
            )
        })?;
        let map = index.weight_map.0;
        let mut files: Vec<_> = map.iter().map(|(_, file)| file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        if files.is_empty() || files.len() > MAX_FILES {
            let problem = format!("{} files; 1 to {MAX_FILES} are possible", files.len());
            return Err(fail(FILE, "weight_map", problem));
        }
        for file in &files {
            check_name(file)?;
        }
        let files: Vec<String> = files.into_iter().map(str::to_owned).collect();
        let number = |file: &String| files.binary_search(file).unwrap_or_default();
        let tensors: Vec<_> = map
            .iter()
            .map(|(tensor, file)| (tensor.clone(), number(file)))
            .collect();
        let mut seen = HashSet::with_capacity(tensors.len());
        if let Some((twice, _)) = tensors.iter().find(|(tensor, _)| !seen.insert(tensor)) {
            return Err(fail(FILE, twice, "the tensor is listed twice".into()));
        }
        Ok(Self { files, tensors })
    }

    /// Names of the files, sorted; none has a folder in it.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Takes the files out of `sources`, by name, and opens them as one set.
    ///
    /// # Errors
    /// When a file is missing (nothing is taken then) or unusable, when a tensor is not in the file the index
    /// names, or when two files hold a tensor of one name.
    pub fn open<S: BuildHasher>(
        &self,
        sources: &mut HashMap<String, Box<dyn ByteSource>, S>,
    ) -> Result<Weights> {
        let files = open_all(&self.files, sources)?;
        self.check(&files)?;
        let mut weights = Weights::new();
        for file in files {
            weights.push(file)?;
        }
        Ok(weights)
    }

    /// Proves that every tensor is in the file the index names; `files` are in the order of [`Self::files`].
    fn check(&self, files: &[WeightFile]) -> Result<()> {
        // Tensors of foreign types count as present: they hurt only when the model asks for one.
        let unreadable: Vec<HashSet<&str>> = files
            .iter()
            .map(|file| file.unreadable().iter().map(|(n, _)| n.as_str()).collect())
            .collect();
        for (tensor, number) in &self.tensors {
            let found = files
                .get(*number)
                .is_some_and(|file| file.get(tensor).is_some())
                || unreadable
                    .get(*number)
                    .is_some_and(|names| names.contains(tensor.as_str()));
            if !found {
                let file = self.files.get(*number).map_or("", String::as_str);
                let problem = format!(
                    "not in this file, where `{FILE}` has it; fetch both again, they are of different models"
                );
                return Err(fail(file, tensor, problem));
            }
        }
        Ok(())
    }
}

/// Refuses everything that is not the plain name of a file beside the index.
fn check_name(name: &str) -> Result<()> {
    let plain = name.len() <= MAX_NAME
        && name.ends_with(".safetensors")
        && !name.starts_with('.')
        && !name.contains("..")
        && !name
            .contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '%' | '?' | '#'));
    if plain {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(fail(
        FILE,
        "weight_map",
        format!("{shown:?} is not the name of a .safetensors file in the model's own folder"),
    ))
}

#[derive(Deserialize)]
struct Index {
    weight_map: Map,
}

/// `weight_map` with duplicates kept, so that they can be refused, and stopped at the most a file may hold.
struct Map(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = Map;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensor names and file names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() as u64 == MAX_TENSORS {
                        return Err(A::Error::custom(format!("more than {MAX_TENSORS} tensors")));
                    }
                    entries.push(entry);
                }
                Ok(Map(entries))
            }
        }
        deserializer.deserialize_map(MapVisitor)
    }
}
