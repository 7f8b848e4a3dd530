//! `database.json`, the concept database of RAP and RePIC.
//!
//! `{"concept_dict": {"<anya>": {"name", "image", "info", "category"}, ...}, "path_to_concept": {path: key, ...}}`. Its
//! index files are not read: our own encoder sees the photos anew. The databases in circulation have stray lines, so
//! what cannot be used is reported entry by entry and the rest is taken.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::bundle::{self, json_problem, problem, too_many};
use super::contents::{Contents, GivenPhoto};
use super::loose_json::{Pairs, text_of};
use super::photo_paths::{self, Wanted};
use super::record::{Concept, MAX_REFERENCES, Reference, check_name};
use super::spelling;
use crate::{Error, Result};

/// A database as it was read, its photos still being paths.
#[derive(Debug)]
pub struct Database {
    entries: Vec<Entry>,
    problems: Vec<Error>,
}

/// One thing.
#[derive(Debug)]
struct Entry {
    /// What it is filed under: `<anya>`.
    key: String,
    name: String,
    category: String,
    info: String,
    /// Its `image`, then what `path_to_concept` adds; each photo once.
    paths: Vec<String>,
}

impl Database {
    /// Reads the JSON of a database.
    ///
    /// # Errors
    /// [`Error::Bundle`] with the place, if the file as a whole is no database.
    pub fn parse(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct File {
            concept_dict: Pairs,
            #[serde(default)]
            path_to_concept: Value,
        }
        let file: File = serde_json::from_slice(json).map_err(|e| json_problem(&e))?;
        if file.concept_dict.0.len() > bundle::MAX_CONCEPTS {
            return Err(too_many(file.concept_dict.0.len()));
        }
        let mut problems = Vec::new();
        let mut entries = IndexMap::new();
        for (key, value) in file.concept_dict.0 {
            let place = format!("concept_dict[{key:?}]");
            match Entry::read(&place, &key, &value, &mut problems) {
                Ok(entry) => {
                    // Of two under one key the last counts, as in Python.
                    if entries.insert(key, entry).is_some() {
                        let text = "stands in the file twice; the last one was taken";
                        problems.push(problem(place, text));
                    }
                }
                Err(error) => problems.push(error),
            }
        }
        let mut database = Self {
            entries: entries.into_values().collect(),
            problems,
        };
        database.other_paths(&file.path_to_concept);
        Ok(database)
    }

    /// Positions in `given` of the photos that are needed; see [`super::file::ConceptFile::needs`].
    pub fn needs(&self, given: &[&str], path: Option<&str>) -> Vec<usize> {
        let found = photo_paths::find(&self.wanted(), given, path);
        let mut needed: Vec<usize> = found.into_iter().flatten().collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// The concepts in the order of the file, without ids (an import gives them). The key stays as an alias; line breaks
    /// in texts become spaces. A thing whose photos are all missing is left out and reported.
    ///
    /// # Errors
    /// [`Error::Bundle`] if there are things and none of them can be imported.
    pub fn concepts(
        self,
        given: &[GivenPhoto],
        path: Option<&str>,
        now_ms: u64,
    ) -> Result<Contents> {
        let names: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
        let mut found = photo_paths::find(&self.wanted(), &names, path).into_iter();
        let any = !(self.entries.is_empty() && self.problems.is_empty());
        let stray = self.problems.len();
        let mut contents = Contents {
            concepts: Vec::with_capacity(self.entries.len()),
            problems: self.problems,
        };
        for entry in self.entries {
            let place = format!("concept_dict[{:?}]", entry.key);
            let mut photos: Vec<usize> = Vec::new();
            for photo in found.by_ref().take(entry.paths.len()) {
                match photo {
                    Ok(at) if photos.contains(&at) => {}
                    Ok(at) => photos.push(at),
                    Err(why) => contents.problems.push(problem(&place, why)),
                }
            }
            // It was reported above why.
            if photos.is_empty() && !entry.paths.is_empty() {
                continue;
            }
            let photos = photos.iter().map(|&at| Arc::clone(&given[at].1)).collect();
            match entry.concept(photos, now_ms) {
                Ok(concept) => contents.concepts.push(concept),
                Err(error) => contents.problems.push(at_place(&place, error)),
            }
        }
        // What is wrong with a thing says more of why there is none than a stray line does.
        let reason = contents.problems.get(stray);
        match reason.or(contents.problems.first()) {
            Some(first) if any && contents.concepts.is_empty() => {
                let more = contents.problems.len() - 1;
                Err(problem(
                    "concept_dict",
                    format!("nothing in it can be imported: {first} (and {more} more)"),
                ))
            }
            _ => Ok(contents),
        }
    }

    fn wanted(&self) -> Vec<Wanted<'_>> {
        self.entries
            .iter()
            .enumerate()
            .flat_map(|(thing, entry)| entry.paths.iter().map(move |path| Wanted { path, thing }))
            .collect()
    }

    /// The photos `path_to_concept` adds. A line that contradicts another is nobody's.
    fn other_paths(&mut self, lines: &Value) {
        let lines = match lines {
            Value::Object(lines) => lines,
            Value::Null => return,
            _ => {
                let text = "must be an object of paths and keys; left out";
                return self.problems.push(problem("path_to_concept", text));
            }
        };
        let by_key: HashMap<&str, usize> = self
            .entries
            .iter()
            .enumerate()
            .map(|(at, entry)| (entry.key.as_str(), at))
            .collect();
        // Whose `image` a path is, or that of a line before.
        let mut owners: HashMap<String, usize> = HashMap::new();
        for (at, entry) in self.entries.iter().enumerate() {
            for path in &entry.paths {
                owners.entry(photo_paths::normal(path)).or_insert(at);
            }
        }
        let mut added: Vec<(usize, &str)> = Vec::new();
        let mut problems = Vec::new();
        for (path, key) in lines {
            let place = || format!("path_to_concept[{path:?}]");
            let Some(&thing) = key.as_str().and_then(|key| by_key.get(key)) else {
                problems.push(problem(
                    place(),
                    format!("{key} is no key of `concept_dict` that can be imported; left out"),
                ));
                continue;
            };
            if path.trim().is_empty() {
                problems.push(problem(place(), "is no path of a photo; left out"));
                continue;
            }
            match *owners.entry(photo_paths::normal(path)).or_insert(thing) {
                owner if owner == thing => added.push((thing, path)),
                _ if self.entries[thing].has(path) => {}
                owner => problems.push(problem(
                    place(),
                    format!(
                        "is the photo of {:?} and of {key}; not taken for the second",
                        self.entries[owner].key
                    ),
                )),
            }
        }
        for (thing, path) in added {
            let paths = &mut self.entries[thing].paths;
            if paths.len() < MOST_PATHS {
                add_path(paths, path);
            }
        }
        for entry in self
            .entries
            .iter_mut()
            .filter(|e| e.paths.len() > MAX_REFERENCES)
        {
            let left = entry.paths.len() - MAX_REFERENCES;
            entry.paths.truncate(MAX_REFERENCES);
            problems.push(problem(
                format!("concept_dict[{:?}]", entry.key),
                format!("at most {MAX_REFERENCES} photos are possible; {left} were left out"),
            ));
        }
        self.problems.extend(problems);
    }
}

impl Entry {
    /// What stands under `key`; a photo that is no path is a problem of its own.
    fn read(place: &str, key: &str, value: &Value, problems: &mut Vec<Error>) -> Result<Self> {
        let Value::Object(fields) = value else {
            let text = "must be an object with `name`, `image`, `info` and `category`; left out";
            return Err(problem(place, text));
        };
        let name = match fields.get("name") {
            None | Some(Value::Null) => String::new(),
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err(problem(format!("{place}.name"), "must be a text; left out"));
            }
            Some(value) => text_of(value),
        };
        let words = |field: &str| fields.get(field).map(text_of).unwrap_or_default();
        let (category, info) = (words("category"), words("info"));
        let mut paths = Vec::new();
        let images = match fields.get("image") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        if images.len() > MOST_PATHS {
            problems.push(problem(
                format!("{place}.image"),
                format!(
                    "lists {} photos; those behind the first {MOST_PATHS} were left out",
                    images.len()
                ),
            ));
        }
        for image in images.iter().take(MOST_PATHS) {
            match image.as_str().filter(|path| !path.trim().is_empty()) {
                Some(path) => add_path(&mut paths, path),
                None => problems.push(problem(
                    format!("{place}.image"),
                    format!("{image} is no path of a photo; left out"),
                )),
            }
        }
        Ok(Self {
            name: match name.is_empty() {
                true => spelling::bare(key).to_owned(),
                false => name,
            },
            key: key.to_owned(),
            category,
            info,
            paths,
        })
    }

    fn has(&self, path: &str) -> bool {
        self.paths
            .iter()
            .any(|known| photo_paths::same(known, path))
    }

    fn concept(self, photos: Vec<Arc<[u8]>>, now_ms: u64) -> Result<Concept> {
        // A key that is no possible name is only left out: nobody typed it.
        let aliases = check_name("alias", &self.key).map_or_else(|_| Vec::new(), |key| vec![key]);
        let mut concept = Concept {
            id: String::new(),
            name: self.name,
            aliases,
            category: self.category,
            info: self.info,
            references: photos.into_iter().map(Reference::new).collect(),
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        concept.normalise()?;
        Ok(concept)
    }
}

/// Most paths of a thing that are compared with each other: far more than the photos it may have.
const MOST_PATHS: usize = 8 * MAX_REFERENCES;

/// Adds a path unless it is there, whatever its slashes.
fn add_path(paths: &mut Vec<String>, path: &str) {
    if !paths.iter().any(|known| photo_paths::same(known, path)) {
        paths.push(path.to_owned());
    }
}

/// The error of a record, at its place in the file.
fn at_place(place: &str, error: Error) -> Error {
    match error {
        Error::Concept {
            concept,
            problem: text,
        } => problem(place, format!("`{concept}`: {text}")),
        other => other,
    }
}

#[cfg(test)]
#[path = "rap_tests.rs"]
mod tests;
