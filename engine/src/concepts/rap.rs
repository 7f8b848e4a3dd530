//! Import of `database.json`, the concept database of RAP and RePIC.
//!
//! `{"concept_dict": {"<anya>": {"name", "image", "info", "category"}, ...}, "path_to_concept":
//! {path: key, ...}}`. Its index files are not read: our own encoder sees the photos anew.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::bundle::{self, check_size, json_problem, problem, too_many};
use super::record::{Concept, Reference};
use super::spelling;
use crate::Result;

#[derive(Deserialize)]
struct Database {
    concept_dict: Map<String, Value>,
    #[serde(default)]
    path_to_concept: Map<String, Value>,
}

#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    image: Option<Paths>,
    info: Option<String>,
    category: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Paths {
    One(String),
    Many(Vec<String>),
}

/// The concepts of a `database.json`, in its order, without ids (an import gives them).
///
/// `photo` returns the bytes of the image at a path of the file. The key (`<anya>`) stays as an
/// alias; line breaks in texts become spaces. A concept's photos are its `image`, then the other
/// paths that `path_to_concept` maps to it.
///
/// # Errors
/// [`crate::Error::Bundle`] with the JSON path, also when a photo is not found.
pub fn read(
    json: &[u8],
    mut photo: impl FnMut(&str) -> Option<Vec<u8>>,
    now_ms: u64,
) -> Result<Vec<Concept>> {
    check_size(json.len())?;
    let database: Database = serde_json::from_slice(json).map_err(|e| json_problem(&e))?;
    if database.concept_dict.len() > bundle::MAX_CONCEPTS {
        return Err(too_many(database.concept_dict.len()));
    }
    let mut more = other_paths(&database)?;
    let mut concepts = Vec::with_capacity(database.concept_dict.len());
    for (key, value) in database.concept_dict {
        let place = format!("concept_dict[{key:?}]");
        let entry: Entry =
            serde_json::from_value(value).map_err(|e| problem(&place, e.to_string()))?;
        let mut paths = match entry.image {
            Some(Paths::One(path)) => vec![path],
            Some(Paths::Many(paths)) => paths,
            None => Vec::new(),
        };
        for path in more.remove(&key).unwrap_or_default() {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        let mut references = Vec::with_capacity(paths.len());
        for path in &paths {
            let missing = || {
                problem(
                    format!("{place}.image"),
                    format!("the photo `{path}` was not given; add it"),
                )
            };
            references.push(Reference::new(photo(path).ok_or_else(missing)?));
        }
        concepts.push(Concept {
            id: String::new(),
            name: entry
                .name
                .as_deref()
                .map_or_else(|| spelling::bare(&key).to_owned(), one_line),
            aliases: vec![key],
            category: one_line(&entry.category.unwrap_or_default()),
            info: one_line(&entry.info.unwrap_or_default()),
            references,
            created_ms: now_ms,
            updated_ms: now_ms,
        });
    }
    Ok(concepts)
}

/// `path_to_concept`, turned round.
fn other_paths(database: &Database) -> Result<HashMap<String, Vec<String>>> {
    let mut paths: HashMap<String, Vec<String>> = HashMap::new();
    for (path, key) in &database.path_to_concept {
        let known = key
            .as_str()
            .filter(|key| database.concept_dict.contains_key(*key));
        let unknown = || {
            problem(
                format!("path_to_concept[{path:?}]"),
                format!("{key} is no key of `concept_dict`"),
            )
        };
        paths
            .entry(known.ok_or_else(unknown)?.to_owned())
            .or_default()
            .push(path.clone());
    }
    Ok(paths)
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::concepts::{Library, OnCollision};

    const GOLDEN: &str = r#"{
      "concept_dict": {
        "<anya>": {"name": "Anya", "image": "./db/Anya.jpg", "info": "Anya is a girl\nwith pink hair.", "category": "person"},
        "<mr.krab>": {"name": "Mr.Krabs", "image": "./db/krab.png", "info": "", "category": "plush toy"}
      },
      "path_to_concept": {"./db/Anya.jpg": "<anya>", "./db/krab.png": "<mr.krab>", "./db/krab2.png": "<mr.krab>"}
    }"#;

    #[test]
    fn a_database_becomes_concepts() {
        let concepts = read(GOLDEN.as_bytes(), |path| Some(path.as_bytes().to_vec()), 9).unwrap();
        let anya = Concept {
            id: String::new(),
            name: "Anya".into(),
            aliases: vec!["<anya>".into()],
            category: "person".into(),
            info: "Anya is a girl with pink hair.".into(),
            references: vec![Reference::new(*b"./db/Anya.jpg")],
            created_ms: 9,
            updated_ms: 9,
        };
        assert_eq!(concepts[0], anya);
        let photos: Vec<&[u8]> = concepts[1].references.iter().map(|r| &*r.photo).collect();
        assert_eq!(photos, [&b"./db/krab.png"[..], b"./db/krab2.png"]);
        let mut library = Library::new("e");
        assert_eq!(
            library.import(concepts, OnCollision::Error).unwrap().added,
            ["anya", "mr-krabs"]
        );
        assert_eq!(
            library.find_by_name_or_alias("Mr.Krab").unwrap().name,
            "Mr.Krabs"
        );
        assert_eq!(library.get("anya").unwrap().aliases, ["<anya>"]);
    }

    #[test]
    fn errors_name_the_place() {
        let message = |json: &str| read(json.as_bytes(), |_| None, 0).unwrap_err().to_string();
        assert!(
            message(GOLDEN).contains(r#"concept_dict["<anya>"].image: the photo `./db/Anya.jpg`"#)
        );
        assert!(message("{}").contains("concept_dict"));
        assert!(message(r#"{"concept_dict": {"<a>": 3}}"#).contains(r#"concept_dict["<a>"]"#));
        let stray = r#"{"concept_dict": {}, "path_to_concept": {"x.jpg": "<b>"}}"#;
        assert!(
            message(stray).contains(r#"path_to_concept["x.jpg"]: "<b>" is no key"#),
            "{}",
            message(stray)
        );
    }
}
