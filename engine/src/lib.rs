//! The NameLens engine: photo and names in, a caption that uses the names out.
//!
//! No JavaScript, no files, no network, no clock, no threads of its own: whoever embeds it hands those in as a
//! [`host::Host`] and as [`weights::ByteSource`]s.
//!
//! The walk of a photo, one call down ([`personalize::Engine::run`]), one stream of [`personalize::Event`]s up:
//!
//! 1. [`image`]: bytes are decoded, turned upright, resized: frames `[F, 3, S, S]`.
//! 2. [`personalize::retriever`]: the dual encoder ([`model::dual`]) makes patch features `[1, P, H]`; every patch proposes a
//!    box; each box is pooled to an embedding `[R, D]` and compared with those of the references.
//! 3. [`concepts::retrieval`]: names in the question first, then likeness: which concepts matter, where each was found;
//!    [`personalize::hint`] is what the prompt says of that.
//! 4. [`model::vision`], [`model::connector`]: each reference and the photo become visual tokens `[T, H]`.
//! 5. [`personalize::messages`]: name, hint, info and reference of each concept, then the photo and the question; [`text`] makes
//!    token ids of it.
//! 6. [`generate`]: the decoder ([`model::decoder`]) reads the prompt in one pass and then writes token by token over its
//!    cache: logits `[1, V]` a step, names held to known ones, whole characters streamed.
//! 7. [`personalize::mentions`]: names in the text become `{concept, span, box, confidence}`.
//!
//! [`ops`] has every operation that has a fast kernel, with its plain body; [`kernels`] launches the WGSL ones; [`weights`]
//! reads safetensors and GGUF.
//!
//! # Example
//!
//! The embedded model is given one thing by name, and captions a photo of the demo page's album:
//!
//! ```
//! # #[cfg(feature = "cpu")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use burn::tensor::Device;
//! use namelens_engine::concepts::{NewConcept, Reference};
//! use namelens_engine::host::Still;
//! use namelens_engine::personalize::{Engine, Kind, ModelFiles, Request};
//! use namelens_engine::weights::SliceSource;
//!
//! let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
//! let mut files = ModelFiles::default();
//! for name in [
//!     "config.json",
//!     "preprocessor_config.json",
//!     "tokenizer.json",
//!     "tokenizer_config.json",
//!     "chat_template.jinja",
//!     "model.safetensors",
//!     "retriever/config.json",
//!     "retriever/retrieval.json",
//!     "retriever/model.safetensors",
//! ] {
//!     let bytes = std::fs::read(root.join("models/playroom").join(name))?;
//!     files.insert(name, Box::new(SliceSource::from(bytes)));
//! }
//! let album = root.join("web-demo/public/album");
//!
//! let outcome = pollster::block_on(async {
//!     let mut engine = Engine::load(files, &Device::flex(), &Still, &mut |_, _| ()).await?;
//!     engine.library.add(
//!         NewConcept {
//!             name: "Mochi".into(),
//!             references: vec![Reference::new(std::fs::read(album.join("thing-0-0.png"))?)],
//!             ..NewConcept::default()
//!         },
//!         0,
//!     )?;
//!     engine.embed_references(&Still).await?;
//!     let photo = std::fs::read(album.join("scene-0.png"))?;
//!     let request = Request::new(Kind::Caption);
//!     let outcome = engine.run(&request, &photo, &Still, &mut |_| ()).await?;
//!     Ok::<_, Box<dyn std::error::Error>>(outcome)
//! })?;
//!
//! assert!(outcome.text.contains("Mochi"), "{}", outcome.text);
//! assert_eq!(outcome.mentions[0].name, "Mochi");
//! assert!(outcome.mentions[0].box_.is_some());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "cpu"))]
//! # fn main() {}
//! ```

pub mod class_defaults;
pub mod concepts;
pub mod error;
pub mod foreign;
pub mod generate;
pub mod host;
pub mod image;
pub mod model;
pub mod personalize;
pub mod text;
pub mod weights;

pub use error::{Error, Result};
pub use namelens_ops as ops;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub use namelens_ops::kernels;
pub use namelens_ops::random;
#[cfg(feature = "cpu")]
pub use namelens_ops::threads;
