//! Text to token ids and back: tokenizer, chat template, streaming detokeniser, and the settings
//! of a checkpoint folder ([`TextSettings`]) that they are made of.
//!
//! What a user writes is never interpreted: a [`ChatTemplate`] keeps user text apart from the
//! template's own ([`Segment`]), and [`Tokenizer::encode_segments`] gives special meaning to the
//! template's part only.

mod chat;
mod declared;
mod generation;
mod gguf;
mod gguf_writer;
mod image_markup;
mod jinja;
mod json;
mod marks;
mod pieces;
mod provenance;
mod segment;
mod settings;
mod stream;
mod template;
mod tokenizer;

pub use chat::ChatEncoder;
pub use generation::GenerationSettings;
pub use gguf::GgufSpecials;
pub use gguf_writer::{Vocabulary, write_settings, write_tokenizer};
pub use image_markup::{ImageMarkup, PhotoLayout};
pub use pieces::Pieces;
pub use segment::Segment;
pub use settings::{ReadText, TextSettings};
pub use stream::TokenStream;
pub use template::{ChatTemplate, Message, Part, Specials};
pub use tokenizer::Tokenizer;

#[cfg(test)]
mod chat_tests;
#[cfg(test)]
mod damaged_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tokenizer_tests;
