//! The things a person named: records, library, bundles, retrieval.
//!
//! Plain data and plain functions: no tensors, no files, no clock. Times are passed in as
//! milliseconds since 1970, embeddings and similarities come from the dual encoder.

pub mod bundle;
pub mod calibrate;
mod contents;
pub mod file;
mod file_path;
pub mod import;
pub mod index;
pub mod library;
mod loose_json;
pub mod photo_paths;
pub mod rap;
pub mod record;
mod references;
pub mod regions;
pub mod repic;
pub mod retrieval;
pub mod spelling;

pub use contents::{Contents, GivenPhoto};
pub use file::ConceptFile;
pub use import::{ImportReport, OnCollision};
pub use index::FlatIndex;
pub use library::Library;
pub use record::{Concept, ConceptPatch, ConceptTexts, Embedded, NewConcept, Reference, check_box};
pub use retrieval::{Reason, Retrieved};
