//! A rendered chat in pieces, each knowing who wrote it: the template, a person, or a photo.

use crate::Error;

/// A piece of a rendered chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text of the template: special tokens count.
    Template(String),
    /// Text of a [`super::Part::Text`]: always ordinary.
    User(String),
    /// The photo of this number.
    Image(usize),
}

/// The error of templates and what they render.
pub(super) fn fail(problem: String) -> Error {
    Error::Template { problem }
}
