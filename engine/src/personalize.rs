//! Caption, ask, recognise, locate: prompts in, structured results out.

pub mod answer;
mod captioner;
pub mod engine;
mod files;
pub mod hint;
pub mod inspect;
pub mod inventory;
pub mod mentions;
pub mod messages;
mod photo_cache;
mod photo_features;
pub mod refusal;
pub mod retriever;
pub mod sanitize;
mod stages;
pub mod types;
mod windows;

pub use engine::Engine;
pub use files::ModelFiles;
pub use types::{Event, Kind, Outcome, Request, Retrieval};
