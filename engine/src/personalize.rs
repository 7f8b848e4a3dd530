//! Caption, ask, recognise, locate: prompts in, structured results out.

pub mod answer;
mod captioner;
pub mod engine;
mod file_choice;
pub mod file_plan;
mod files;
mod gguf_choice;
pub mod hint;
pub mod inspect;
pub mod inventory;
mod known_names;
mod library_edits;
mod likeness;
pub mod mentions;
pub mod messages;
mod model_folder;
mod needs;
mod photo_cache;
mod photo_features;
pub mod refusal;
pub mod retriever;
mod retriever_files;
pub mod sanitize;
mod scan;
mod stages;
pub mod types;
mod windows;

pub use crate::model::precision::Precision;
pub use engine::Engine;
pub use file_choice::Choice;
pub use file_plan::{FilePlan, Step};
pub use files::ModelFiles;
pub use library_edits::{Imported, Restored};
pub use model_folder::model_folder;
pub use stages::TokenCount;
pub use types::{Event, Kind, Outcome, Request, Retrieval};
