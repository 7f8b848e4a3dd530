//! The names an answer may use, as the person typed them and as the model writes them.

use super::sanitize;
use crate::concepts::Concept;

/// A concept by the names an answer may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownName {
    /// The concept's id.
    pub id: String,
    /// Its name and aliases.
    pub spellings: Vec<String>,
}

impl From<&Concept> for KnownName {
    fn from(concept: &Concept) -> Self {
        Self {
            id: concept.id.clone(),
            spellings: concept.names().map(str::to_owned).collect(),
        }
    }
}

/// A name or alias in the two forms it has.
#[derive(Debug, Clone)]
pub(super) struct Spelling {
    /// Position of the concept in `ids`; none for a name that was only asked about.
    pub(super) concept: Option<usize>,
    /// As the model reads and writes it, neutralised.
    pub(super) form: String,
    /// As the person typed it, where that differs.
    pub(super) typed: Option<String>,
}

impl Spelling {
    pub(super) fn new(concept: Option<usize>, typed: &str) -> Self {
        let form = sanitize::name(typed);
        Self {
            concept,
            typed: (typed != form).then(|| typed.to_owned()),
            form,
        }
    }
}
