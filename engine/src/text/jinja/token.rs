//! A token of a tag.

/// A piece of a tag.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    /// In decimal digits.
    Integer(String),
    Float(f64),
    Operator(&'static str),
}
