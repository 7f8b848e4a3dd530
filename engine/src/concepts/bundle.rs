//! Our own bundle: the whole library in one JSON file, photos and embeddings included.
//!
//! `{"format": "namelens-concepts", "version": 1, "concepts": [...]}`; photos are base64, embeddings
//! base64 of 32-bit little-endian floats, one after the other. Reading checks everything and
//! returns records; [`super::Library::import`] then applies all of them or none.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use super::library::Library;
use super::record::{Concept, ConceptTexts, Embedded, Reference};
use crate::{Error, Result};

/// What the `format` field says.
pub const FORMAT: &str = "namelens-concepts";
/// The version this build writes, and the newest it reads.
pub const VERSION: u64 = 1;
/// Most concepts in one bundle.
pub const MAX_CONCEPTS: usize = 10_000;
/// Largest bundle, in bytes.
pub const MAX_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
struct Header {
    format: Option<String>,
    version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u64,
    concepts: Vec<Record>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    texts: ConceptTexts,
    #[serde(default)]
    references: Vec<Photo>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Photo {
    photo: String,
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    box_: Option<[f32; 4]>,
    /// What the first encoder made of it; of none the encoder is empty.
    #[serde(flatten)]
    first: Embeddings,
    /// What others did; earlier builds pass over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Embeddings>,
}

/// What one encoder made of a photo.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embeddings {
    #[serde(default)]
    encoder: String,
    /// Numbers in one embedding.
    #[serde(default)]
    dim: usize,
    #[serde(default)]
    embeddings: String,
}

/// The library as a bundle.
///
/// # Errors
/// [`Error::Bundle`] if it would be larger than a bundle may be.
pub fn export(library: &Library) -> Result<Vec<u8>> {
    export_within(library, MAX_BYTES)
}

/// [`export`], of at most so many bytes: a program that keeps its library in a file may allow more than a page.
///
/// # Errors
/// As [`export`].
pub fn export_within(library: &Library, most: usize) -> Result<Vec<u8>> {
    if library.len() > MAX_CONCEPTS {
        return Err(too_many(library.len()));
    }
    let concepts = library.list().map(to_record).collect();
    let file = File {
        format: FORMAT.to_owned(),
        version: VERSION,
        concepts,
    };
    let bytes = serde_json::to_vec(&file).map_err(|e| problem("the file", e.to_string()))?;
    check_within(bytes.len(), most)?;
    Ok(bytes)
}

/// The concepts of a bundle, each checked by itself.
///
/// # Errors
/// [`Error::Bundle`] with the place in the file, if it is not a bundle, is of a newer version,
/// passes a limit, or holds a record the library would refuse.
pub fn read(bytes: &[u8]) -> Result<Vec<Concept>> {
    read_within(bytes, MAX_BYTES)
}

/// [`read`], of at most so many bytes.
///
/// # Errors
/// As [`read`].
pub fn read_within(bytes: &[u8], most: usize) -> Result<Vec<Concept>> {
    check_within(bytes.len(), most)?;
    let header: Header = serde_json::from_slice(bytes).map_err(|e| json_problem(&e))?;
    if header.format.as_deref() != Some(FORMAT) {
        return Err(problem(
            "format",
            format!("this is not a concept bundle: `format` must be `{FORMAT}`"),
        ));
    }
    match header.version {
        Some(VERSION) => {}
        Some(v) if v > VERSION => {
            let text = format!(
                "the bundle has version {v}, this build reads up to {VERSION}; update NameLens"
            );
            return Err(problem("version", text));
        }
        _ => {
            return Err(problem(
                "version",
                format!("`version` must be a number from 1 to {VERSION}"),
            ));
        }
    }
    let file: File = serde_json::from_slice(bytes).map_err(|e| json_problem(&e))?;
    if file.concepts.len() > MAX_CONCEPTS {
        return Err(too_many(file.concepts.len()));
    }
    file.concepts
        .into_iter()
        .enumerate()
        .map(|(at, record)| from_record(record, &format!("concepts[{at}]")))
        .collect()
}

/// Refuses a file larger than [`MAX_BYTES`].
pub(super) fn check_size(bytes: usize) -> Result<()> {
    check_within(bytes, MAX_BYTES)
}

fn check_within(bytes: usize, most: usize) -> Result<()> {
    if bytes <= most {
        return Ok(());
    }
    let (is, limit) = (bytes.div_ceil(1 << 20), most >> 20);
    Err(problem(
        "the file",
        format!("it has {is} MiB; at most {limit} are possible: use fewer or smaller photos"),
    ))
}

/// An error about `count` concepts.
pub(super) fn too_many(count: usize) -> Error {
    problem(
        "concepts",
        format!("there are {count} concepts; at most {MAX_CONCEPTS} are possible: split the file"),
    )
}

/// Shorthand for [`Error::Bundle`].
pub(super) fn problem(place: impl Into<String>, problem: impl Into<String>) -> Error {
    Error::Bundle {
        place: place.into(),
        problem: problem.into(),
    }
}

/// A JSON error at its line and column.
pub(super) fn json_problem(error: &serde_json::Error) -> Error {
    problem(
        format!("line {}, column {}", error.line(), error.column()),
        format!("not the expected JSON: {error}"),
    )
}

fn to_record(concept: &Concept) -> Record {
    Record {
        texts: concept.into(),
        references: concept.references.iter().map(to_photo).collect(),
    }
}

fn to_photo(reference: &Reference) -> Photo {
    let mut all = reference.embedded.iter().map(to_embeddings);
    Photo {
        photo: BASE64.encode(&reference.photo),
        box_: reference.box_,
        first: all.next().unwrap_or_default(),
        others: all.collect(),
    }
}

fn to_embeddings(embedded: &Embedded) -> Embeddings {
    let floats = embedded.embeddings.iter().flatten();
    let bytes: Vec<u8> = floats.flat_map(|x| x.to_le_bytes()).collect();
    Embeddings {
        encoder: embedded.encoder.clone(),
        dim: embedded.embeddings.first().map_or(0, Vec::len),
        embeddings: BASE64.encode(bytes),
    }
}

fn from_record(record: Record, place: &str) -> Result<Concept> {
    let references: Result<Vec<Reference>> = record
        .references
        .into_iter()
        .enumerate()
        .map(|(at, photo)| from_photo(photo, &format!("{place}.references[{at}]")))
        .collect();
    let mut concept = record.texts.with(references?);
    super::record::check_id(&concept.id)
        .and_then(|()| concept.normalise())
        .map_err(|error| match error {
            Error::Concept {
                concept,
                problem: text,
            } => problem(place, format!("`{concept}`: {text}")),
            other => other,
        })?;
    Ok(concept)
}

fn from_photo(photo: Photo, place: &str) -> Result<Reference> {
    let bytes = decode(place, "photo", &photo.photo)?;
    // A file without embeddings names no encoder.
    let first = (!photo.first.encoder.is_empty() || !photo.first.embeddings.is_empty())
        .then_some(photo.first);
    let all = first.into_iter().chain(photo.others);
    Ok(Reference {
        photo: bytes.into(),
        box_: photo.box_,
        embedded: all
            .map(|one| from_embeddings(one, place))
            .collect::<Result<_>>()?,
    })
}

fn from_embeddings(one: Embeddings, place: &str) -> Result<Embedded> {
    let floats = decode(place, "embeddings", &one.embeddings)?;
    let row = one.dim.saturating_mul(4);
    let whole = if floats.is_empty() {
        true
    } else {
        row > 0 && floats.len() % row == 0
    };
    if !whole {
        let text = format!(
            "{} bytes do not hold whole embeddings of {} floats",
            floats.len(),
            one.dim
        );
        return Err(problem(format!("{place}.embeddings"), text));
    }
    let float = |b: &[u8]| b.try_into().map_or(f32::NAN, f32::from_le_bytes);
    Ok(Embedded {
        encoder: one.encoder,
        embeddings: floats
            .chunks(row.max(1))
            .map(|e| e.chunks_exact(4).map(float).collect())
            .collect(),
    })
}

fn decode(place: &str, field: &str, text: &str) -> Result<Vec<u8>> {
    BASE64
        .decode(text)
        .map_err(|e| problem(format!("{place}.{field}"), format!("not base64: {e}")))
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
