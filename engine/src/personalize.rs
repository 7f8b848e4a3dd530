//! Caption, ask, recognise, locate: prompts in, structured results out.

pub mod answer;
mod boxes;
mod captioner;
pub mod file_plan;
mod files;
mod gguf_choice;
pub mod inspect;
pub mod inventory;
pub mod lens;
mod look;
pub mod mentions;
mod model_folder;
pub mod prompt;
pub mod refusal;
pub mod retriever;
mod run;
pub mod sanitize;
mod scene;
pub mod seen;
mod token_count;
pub mod types;
mod windows;

pub use crate::model::precision::Precision;
pub use file_plan::{Choice, FilePlan, Step};
pub use files::ModelFiles;
pub use lens::Lens;
pub use model_folder::model_folder;
pub use token_count::TokenCount;
pub use types::{Event, Kind, Outcome, Request, Retrieval};
