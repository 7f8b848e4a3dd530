//! A file of concepts, whatever wrote it: our own bundle or a database of RAP and RePIC, told apart by what is in it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::bundle::{self, check_size, json_problem, problem};
use super::contents::{Contents, GivenPhoto};
use super::rap::Database;
use super::record::Concept;
use crate::Result;

/// A file of concepts that was read.
#[derive(Debug)]
pub enum ConceptFile {
    /// Our own, with its photos in it.
    Bundle(Vec<Concept>),
    /// `database.json`, whose photos are files of their own.
    Database(Database),
}

impl ConceptFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`crate::Error::Bundle`] with the place in the file, if it is neither of the two or cannot be read as a whole.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            format: Option<IgnoredAny>,
            concept_dict: Option<IgnoredAny>,
        }
        check_size(bytes.len())?;
        let text = utf8(bytes)?;
        let kind: Kind = serde_json::from_slice(&text).map_err(|e| json_problem(&e))?;
        match (kind.format, kind.concept_dict) {
            (None, Some(_)) => Ok(Self::Database(Database::parse(&text)?)),
            (Some(_), _) => Ok(Self::Bundle(bundle::read(&text)?)),
            (None, None) => Err(problem(
                "the file",
                format!(
                    "it holds no things: neither `format` (`{}`) nor `concept_dict` (a database.json of RAP or RePIC) is in it; choose another file",
                    bundle::FORMAT
                ),
            )),
        }
    }

    /// Positions in `given` (names or paths of files) of the photos the file needs. `path` is its own path among them,
    /// where that is known.
    pub fn needs(&self, given: &[&str], path: Option<&str>) -> Vec<usize> {
        match self {
            Self::Bundle(_) => Vec::new(),
            Self::Database(database) => database.needs(given, path),
        }
    }

    /// Its concepts, with those of the given photos that are theirs.
    ///
    /// # Errors
    /// [`crate::Error::Bundle`] if there are things in the file and none of them can be imported.
    pub fn contents(
        self,
        given: &[GivenPhoto],
        path: Option<&str>,
        now_ms: u64,
    ) -> Result<Contents> {
        match self {
            Self::Bundle(concepts) => Ok(Contents {
                concepts,
                problems: Vec::new(),
            }),
            Self::Database(database) => database.concepts(given, path, now_ms),
        }
    }
}

/// The text without a byte order mark; UTF-16, which editors and shells of Windows write, is turned into UTF-8.
fn utf8(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        match text {
            Ok(text) if bytes.len().is_multiple_of(2) => Ok(Cow::Owned(text.into_bytes())),
            _ => Err(problem(
                "the file",
                "it says that it is UTF-16 but is not whole; save it as UTF-8",
            )),
        }
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(Cow::Borrowed(rest)),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => Ok(Cow::Borrowed(bytes)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::concepts::{Library, NewConcept};

    fn names(bytes: &[u8]) -> Vec<String> {
        let contents = ConceptFile::parse(bytes).unwrap().contents(&[], None, 0);
        let concepts = contents.unwrap().concepts;
        concepts.into_iter().map(|concept| concept.name).collect()
    }

    #[test]
    fn both_kinds_are_read_with_any_byte_order_mark() {
        let mut library = Library::new("");
        let new = NewConcept {
            name: "Mochi".into(),
            ..NewConcept::default()
        };
        library.add(new, 0).unwrap();
        let ours = String::from_utf8(bundle::export(&library).unwrap()).unwrap();
        let theirs = r#"{"concept_dict": {"<m>": {"name": "Mochi"}}}"#;
        for text in [ours.as_str(), theirs] {
            let units: Vec<u16> = format!("\u{feff}{text}").encode_utf16().collect();
            for bytes in [
                text.as_bytes().to_vec(),
                format!("\u{feff}{text}").into_bytes(),
                units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
                units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
            ] {
                assert_eq!(names(&bytes), ["Mochi"], "{text}");
            }
        }
        assert!(names(br#"{"concept_dict": {}, "path_to_concept": {}}"#).is_empty());
    }

    #[test]
    fn other_files_are_named() {
        let message = |bytes: &[u8]| {
            let error = ConceptFile::parse(bytes).unwrap_err();
            assert_eq!(error.code(), "bundle");
            error.to_string()
        };
        let ids = message(br#"{"0": "./db/Anya.jpg"}"#);
        assert!(ids.contains("concept_dict"), "{ids}");
        assert!(message(b"\xff\xfe{").contains("UTF-16"));
        assert!(message(b"\xff\xfe\x00\xd8").contains("UTF-16"));
        assert!(message(b"").contains("line 1"));
        assert!(message(b"[1]").contains("line 1"));
        assert!(message(br#"{"format": 3}"#).contains("line 1"));
    }
}
