//! Things in thousands of photos: which files are photos, what was seen of each, and what is told of it.

pub mod cache;
pub mod draw;
pub mod file_kind;
pub mod key;
pub mod labels;
pub mod prepare;
pub mod report;
pub mod search;
pub mod walk;
