//! The NameLens engine: photo and names in, a caption that uses the names out.
//!
//! No JavaScript, no files, no network, no clock, no threads of its own.
//!
//! The walk of a photo, one call down ([`personalize::Lens::run`]), one stream of [`personalize::Event`]s up:
//!
//! 1. [`image`]: bytes are decoded, turned upright, resized: frames `[F, 3, S, S]`.
//! 2. [`personalize::retriever`]: the dual encoder ([`model::dual`]) makes patch features `[1, P, H]`; every patch proposes a
//!    box; each box is pooled to an embedding `[R, D]` and compared with those of the references.
//! 3. [`concepts::retrieval`]: names in the question first, then likeness: which concepts matter, where each was seen.
//! 4. [`model::vision`], [`model::connector`]: each reference and the photo become visual tokens `[T, H]`.
//! 5. [`personalize::prompt`]: name, what the retriever saw, info and reference of each concept, then the photo and the
//!    question; [`text`] makes token ids of it.
//! 6. [`generate`]: the decoder ([`model::decoder`]) reads the prompt in one pass and then writes token by token over its
//!    cache: logits `[1, V]` a step, names held to known ones, whole characters streamed.
//! 7. [`personalize::mentions`]: names in the text become `{concept, span, box, confidence}`.
//!
//! [`ops`] has every operation that has a fast kernel, with its plain body; [`kernels`] launches the WGSL ones; [`weights`]
//! reads safetensors and GGUF.

pub mod class_defaults;
pub mod concepts;
pub mod error;
pub mod foreign;
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
