//! Caption, ask, recognise, locate: prompts in, structured results out.

pub mod answer;
mod boxes;
mod captioner;
mod files;
pub mod inspect;
pub mod inventory;
pub mod lens;
mod look;
pub mod mentions;
mod needs;
pub mod prompt;
pub mod refusal;
pub mod retriever;
mod retriever_files;
mod run;
pub mod sanitize;
mod scene;
pub mod seen;
pub mod types;
mod windows;

pub use files::ModelFiles;
pub use lens::Lens;
pub use types::{Event, Kind, Outcome, Request, Retrieval};
