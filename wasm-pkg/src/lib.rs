//! The JavaScript face of the engine: classes, plain objects and typed errors, nothing else.
//!
//! Everything here runs in one worker. Heavy calls are async and return to the worker's loop every
//! few milliseconds (`host`), so that a cancellation is heard in the middle of them.
#![cfg_attr(
    not(target_family = "wasm"),
    doc = "\n\nOn other targets this crate is empty."
)]

#[cfg(target_family = "wasm")]
mod adapters;
#[cfg(target_family = "wasm")]
mod blob;
#[cfg(target_family = "wasm")]
mod concept_calls;
#[cfg(target_family = "wasm")]
mod concepts;
#[cfg(target_family = "wasm")]
mod digest;
#[cfg(target_family = "wasm")]
mod engine;
#[cfg(target_family = "wasm")]
mod enrolment;
#[cfg(target_family = "wasm")]
mod error;
#[cfg(target_family = "wasm")]
mod fault;
#[cfg(target_family = "wasm")]
mod file_plan;
#[cfg(target_family = "wasm")]
mod files;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(all(target_family = "wasm", feature = "threads"))]
mod shared;
#[cfg(target_family = "wasm")]
mod source;
#[cfg(target_family = "wasm")]
mod start;
#[cfg(all(target_family = "wasm", feature = "threads"))]
mod threads;
#[cfg(target_family = "wasm")]
mod tokens;
#[cfg(target_family = "wasm")]
mod value;
#[cfg(all(target_family = "wasm", feature = "webgpu"))]
mod webgpu;

#[cfg(target_family = "wasm")]
pub use digest::StreamDigest;
#[cfg(target_family = "wasm")]
pub use engine::NameLensEngine;
#[cfg(target_family = "wasm")]
pub use fault::{forget_faults, held_bytes, panic_message, refused_bytes};
#[cfg(target_family = "wasm")]
pub use file_plan::{JsFilePlan, model_folder};
#[cfg(target_family = "wasm")]
pub use host::CancelFlag;
#[cfg(all(target_family = "wasm", feature = "threads"))]
pub use threads::{counters, lend, piece};
