//! Text to token ids and back: tokenizer, chat template, streaming detokeniser.
//!
//! What a user writes is never interpreted: a [`ChatTemplate`] keeps user text apart from the
//! template's own ([`Segment`]), and [`Tokenizer::encode_segments`] gives special meaning to the
//! template's part only.

mod chat;
mod json;
mod segment;
mod stream;
mod template;
mod tokenizer;

pub use chat::ChatEncoder;
pub use segment::Segment;
pub use stream::TokenStream;
pub use template::{ChatTemplate, Message, Part, Specials};
pub use tokenizer::Tokenizer;

#[cfg(test)]
mod chat_tests;
#[cfg(test)]
mod tests;
