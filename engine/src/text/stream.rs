//! Token ids to text while they arrive, in whole characters.

use super::Tokenizer;
use crate::Result;

/// A streaming detokeniser: byte-level tokens split characters, so text is held back until complete.
///
/// The pieces, [`TokenStream::finish`] included, add up to [`Tokenizer::decode`] of all ids.
#[derive(Debug)]
pub struct TokenStream {
    tokenizer: Tokenizer,
    skip_special: bool,
    /// The last ids that gave text (decoders treat the first token apart, so one is kept as
    /// context), then the ids not yet turned into text.
    window: Vec<u32>,
    /// How many of `window` are context.
    context: usize,
}

impl TokenStream {
    /// A stream over a tokenizer; with `skip_special`, special tokens give no text.
    pub fn new(tokenizer: &Tokenizer, skip_special: bool) -> Self {
        Self {
            tokenizer: tokenizer.clone(),
            skip_special,
            window: Vec::new(),
            context: 0,
        }
    }

    /// Adds a token; returns the text that is now complete, if any.
    ///
    /// # Errors
    /// When the tokenizer's decoder fails.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.window.push(id);
        let fresh = self.fresh()?;
        // A replacement character at the end is most often a character still to be completed.
        if fresh.is_empty() || fresh.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(None);
        }
        self.window.drain(..self.context);
        self.context = self.window.len();
        Ok(Some(fresh))
    }

    /// The text held back, once no more tokens come: characters cut off become U+FFFD.
    ///
    /// # Errors
    /// When the tokenizer's decoder fails.
    pub fn finish(self) -> Result<Option<String>> {
        Ok(Some(self.fresh()?).filter(|text| !text.is_empty()))
    }

    /// Text of the window beyond that of its context.
    fn fresh(&self) -> Result<String> {
        let context = self
            .tokenizer
            .decode(&self.window[..self.context], self.skip_special)?;
        let text = self.tokenizer.decode(&self.window, self.skip_special)?;
        Ok(text.strip_prefix(&context).unwrap_or_default().to_owned())
    }
}
