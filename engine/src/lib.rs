//! The NameLens engine: photo and names in, a caption that uses the names out.
//!
//! No JavaScript, no files, no network, no clock, no threads of its own.

pub mod concepts;
pub mod error;
pub mod generate;
pub mod host;
pub mod image;
pub mod kernels;
pub mod model;
pub mod ops;
pub mod personalize;
pub mod text;
pub mod weights;

pub use error::{Error, Result};
