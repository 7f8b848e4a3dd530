//! What comes out of a file of concepts, and what may be given together with it.

use std::sync::Arc;

use super::record::Concept;
use crate::Error;

/// What came out of a file of concepts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Concepts that can be imported.
    pub concepts: Vec<Concept>,
    /// What was left out, an error an entry.
    pub problems: Vec<Error>,
}

/// A photo that was given together with a file, by its name or path.
pub type GivenPhoto = (String, Arc<[u8]>);
