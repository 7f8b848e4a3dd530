//! Caption, ask, recognise, locate: prompts in, structured results out.

pub mod answer;
mod boxes;
mod captioner;
mod files;
pub mod inspect;
pub mod inventory;
mod known_names;
pub mod lens;
mod library_edits;
mod likeness;
mod look;
pub mod mentions;
pub mod prompt;
pub mod refusal;
pub mod retriever;
mod run;
pub mod sanitize;
mod scan;
mod scene;
pub mod seen;
pub mod types;
mod windows;

pub use files::ModelFiles;
pub use lens::Lens;
pub use library_edits::{Imported, Restored};
pub use types::{Event, Kind, Outcome, Request, Retrieval};
