//! One named thing and the limits every record keeps.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::spelling;
use crate::{Error, Result};

/// Longest name or alias, in characters after trimming.
pub const MAX_NAME: usize = 64;
/// Most aliases of one concept.
pub const MAX_ALIASES: usize = 32;
/// Longest category, in characters.
pub const MAX_CATEGORY: usize = 64;
/// Longest information text, in characters; prompts show less (see `personalize::sanitize`).
pub const MAX_INFO: usize = 4000;
/// Longest id, in characters.
pub const MAX_ID: usize = 128;
/// Most reference photos of one concept.
pub const MAX_REFERENCES: usize = 64;
/// Least side of a box, as a share of the photo's.
pub const LEAST_BOX_SIDE: f32 = 0.01;
/// How far from 1 the squared length of an embedding may be: f16 storage moves it by about 1e-3.
const NORM_TOLERANCE: f32 = 5e-3;

/// What one encoder made of a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// Digest of the encoder.
    pub encoder: String,
    /// Unit-length embeddings, all of one size; none where it found nothing to embed.
    pub embeddings: Vec<Vec<f32>>,
}

/// A photo that shows the thing, with what encoders made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The encoded image, byte for byte as given. Shared: a copy of the library copies no photos.
    pub photo: Arc<[u8]>,
    /// Where in the photo the thing is: left, top, right and bottom as fractions; `None` where nobody said.
    pub box_: Option<[f32; 4]>,
    /// What each encoder that has seen the photo made of it, no encoder twice.
    pub embedded: Vec<Embedded>,
}

impl Reference {
    /// A photo no encoder has seen yet.
    pub fn new(photo: impl Into<Arc<[u8]>>) -> Self {
        Self {
            photo: photo.into(),
            box_: None,
            embedded: Vec::new(),
        }
    }

    /// The same photo, the thing being inside this box.
    #[must_use]
    pub fn with_box(mut self, box_: Option<[f32; 4]>) -> Self {
        self.box_ = box_;
        self
    }

    /// The same photo, with what one encoder made of it.
    #[must_use]
    pub fn with_embeddings(
        mut self,
        encoder: impl Into<String>,
        embeddings: Vec<Vec<f32>>,
    ) -> Self {
        self.embedded.push(Embedded {
            encoder: encoder.into(),
            embeddings,
        });
        self
    }

    /// What the encoder with this digest made of it; `None` until it has seen it.
    pub fn embeddings_of(&self, encoder: &str) -> Option<&[Vec<f32>]> {
        let mut all = self.embedded.iter();
        let own = all.find(|embedded| embedded.encoder == encoder)?;
        Some(&own.embeddings)
    }

    /// Checks the box, and the embeddings: finite, of one size, unit length, with an encoder, each encoder once.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(box_) = &self.box_ {
            check_box(box_)?;
        }
        check_embedded(&self.embedded)
    }
}

/// The problem with a box of a reference, if any.
pub fn check_box(box_: &[f32; 4]) -> Result<(), String> {
    let [left, top, right, bottom] = *box_;
    // Asked this way round so that NaN fails.
    if !box_.iter().all(|edge| (0.0..=1.0).contains(edge)) {
        return Err(format!(
            "the box {left}, {top}, {right}, {bottom} leaves the photo; give left, top, right and bottom from 0 to 1"
        ));
    }
    if right - left < LEAST_BOX_SIDE || bottom - top < LEAST_BOX_SIDE {
        return Err(format!(
            "the box {left}, {top}, {right}, {bottom} has no area; right must be beyond left and bottom below top"
        ));
    }
    Ok(())
}

/// The problem with what encoders made of a photo, if any.
pub(super) fn check_embedded(embedded: &[Embedded]) -> Result<(), String> {
    for (at, one) in embedded.iter().enumerate() {
        check_embeddings(&one.encoder, &one.embeddings)?;
        if embedded[..at]
            .iter()
            .any(|other| other.encoder == one.encoder)
        {
            return Err(format!(
                "embeddings of the encoder `{}` twice in one reference",
                one.encoder
            ));
        }
    }
    Ok(())
}

/// The problem with `embeddings`, if any.
fn check_embeddings(encoder: &str, embeddings: &[Vec<f32>]) -> Result<(), String> {
    if encoder.is_empty() {
        return Err("embeddings without the digest of their encoder".into());
    }
    let Some(first) = embeddings.first() else {
        return Ok(());
    };
    if first.is_empty() || embeddings.iter().any(|e| e.len() != first.len()) {
        return Err("embeddings of different sizes in one reference".into());
    }
    for e in embeddings {
        let norm: f32 = e.iter().map(|x| x * x).sum();
        // Asked this way round so that NaN fails.
        let unit = (norm - 1.0).abs() <= NORM_TOLERANCE;
        if !unit {
            return Err(format!(
                "an embedding has squared length {norm}; it must be 1"
            ));
        }
    }
    Ok(())
}

/// All of a concept but its photos, as every stored form of it spells them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConceptTexts {
    /// See [`Concept::id`].
    pub id: String,
    /// See [`Concept::name`].
    pub name: String,
    /// See [`Concept::aliases`].
    #[serde(default)]
    pub aliases: Vec<String>,
    /// See [`Concept::category`].
    #[serde(default)]
    pub category: String,
    /// See [`Concept::info`].
    #[serde(default)]
    pub info: String,
    /// See [`Concept::created_ms`].
    #[serde(default)]
    pub created_ms: u64,
    /// See [`Concept::updated_ms`].
    #[serde(default)]
    pub updated_ms: u64,
}

impl ConceptTexts {
    /// The concept with these texts and photos.
    pub fn with(self, references: Vec<Reference>) -> Concept {
        Concept {
            id: self.id,
            name: self.name,
            aliases: self.aliases,
            category: self.category,
            info: self.info,
            references,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
        }
    }
}

impl From<&Concept> for ConceptTexts {
    fn from(concept: &Concept) -> Self {
        Self {
            id: concept.id.clone(),
            name: concept.name.clone(),
            aliases: concept.aliases.clone(),
            category: concept.category.clone(),
            info: concept.info.clone(),
            created_ms: concept.created_ms,
            updated_ms: concept.updated_ms,
        }
    }
}

/// A thing a person named.
#[derive(Debug, Clone, PartialEq)]
pub struct Concept {
    /// Identifier, unique in the library and never changed.
    pub id: String,
    /// What the person calls it: 1 to 64 characters.
    pub name: String,
    /// Other spellings. A database key such as `<anya>` is kept as one.
    pub aliases: Vec<String>,
    /// Free text such as `cat` or `plush toy`; may be empty.
    pub category: String,
    /// What cannot be seen ("loves jam"); may be empty.
    pub info: String,
    /// Photos of the thing.
    pub references: Vec<Reference>,
    /// When it was added, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: u64,
}

impl Concept {
    /// The name, then the aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Trims the texts, drops repeated aliases and checks every limit.
    ///
    /// # Errors
    /// [`Error::Concept`] that names the field and its limit.
    pub fn normalise(&mut self) -> Result<()> {
        self.check().map_err(|problem| Error::Concept {
            concept: shown(&self.name, &self.id),
            problem,
        })
    }

    fn check(&mut self) -> Result<(), String> {
        self.name = check_name("name", &self.name)?;
        let mut aliases: Vec<String> = Vec::with_capacity(self.aliases.len().min(MAX_ALIASES));
        for alias in &self.aliases {
            let alias = check_name("alias", alias)?;
            if alias != self.name && !aliases.contains(&alias) {
                aliases.push(alias);
            }
            if aliases.len() > MAX_ALIASES {
                return Err(format!("more than {MAX_ALIASES} aliases; remove some"));
            }
        }
        self.aliases = aliases;
        self.category = check_text("category", &self.category, MAX_CATEGORY)?;
        self.info = check_text("info", &self.info, MAX_INFO)?;
        if self.references.len() > MAX_REFERENCES {
            return Err(format!("more than {MAX_REFERENCES} photos; remove some"));
        }
        for (i, reference) in self.references.iter().enumerate() {
            reference
                .validate()
                .map_err(|p| format!("photo {}: {p}", i + 1))?;
        }
        Ok(())
    }
}

/// What is needed to add a concept; the library gives the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewConcept {
    /// The id to use, or `None` for one made from the name.
    pub id: Option<String>,
    /// See [`Concept::name`].
    pub name: String,
    /// See [`Concept::aliases`].
    pub aliases: Vec<String>,
    /// See [`Concept::category`].
    pub category: String,
    /// See [`Concept::info`].
    pub info: String,
    /// See [`Concept::references`].
    pub references: Vec<Reference>,
}

/// A change of a concept: fields that are `None` stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConceptPatch {
    /// New name.
    pub name: Option<String>,
    /// New aliases, replacing all.
    pub aliases: Option<Vec<String>>,
    /// New category.
    pub category: Option<String>,
    /// New information text.
    pub info: Option<String>,
}

/// Checks an id given by a caller.
pub(super) fn check_id(id: &str) -> Result<()> {
    let problem = if id.is_empty() || id.trim() != id {
        "an id must not be empty nor start or end with a space".to_owned()
    } else if id.chars().count() > MAX_ID {
        format!("an id has at most {MAX_ID} characters")
    } else if id.chars().any(char::is_control) {
        "an id must not hold control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Concept {
        concept: shown(id, id),
        problem,
    })
}

/// An id made from a name: its letters and digits in lower case, joined by `-`.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in spelling::key(name).chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !(slug.is_empty() || slug.ends_with('-')) {
            slug.push('-');
        }
    }
    // Leaves room for the counter that tells two equal slugs apart.
    let slug: String = slug.trim_end_matches('-').chars().take(MAX_NAME).collect();
    if slug.is_empty() {
        "concept".to_owned()
    } else {
        slug
    }
}

pub(super) fn check_name(field: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if spelling::key(text).is_empty() {
        return Err(format!(
            "the {field} is empty; give 1 to {MAX_NAME} visible characters"
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!(
            "the {field} holds a control character or line break; remove it"
        ));
    }
    let length = spelling::bare(text).chars().count();
    if length > MAX_NAME {
        return Err(format!(
            "the {field} has {length} characters; at most {MAX_NAME} are possible"
        ));
    }
    Ok(text.to_owned())
}

fn check_text(field: &str, text: &str, limit: usize) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length > limit {
        return Err(format!(
            "the {field} has {length} characters; at most {limit} are possible"
        ));
    }
    Ok(text.to_owned())
}

/// How an error calls a concept: its name cut to a readable length, or its id.
pub(super) fn shown(name: &str, id: &str) -> String {
    let text = if name.trim().is_empty() { id } else { name };
    // As it was typed, for a person reads it; but on one line, and nothing that disguises the rest of the message.
    let visible =
        |c: char| spelling::neutral_char(c).map(|plain| if plain == ' ' { ' ' } else { c });
    let line: String = text.trim().chars().filter_map(visible).collect();
    line.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
