//! A chat with photos to token ids: template, image placeholders and tokenizer in one place.

use super::{ChatTemplate, Message, Specials, Tokenizer};
use crate::image::{ImageTokens, image_prompt};
use crate::{Error, Result};

/// Encodes chats for one checkpoint.
#[derive(Debug, Clone)]
pub struct ChatEncoder {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    specials: Specials,
    image_tokens: ImageTokens,
    /// Visual tokens a frame.
    image_seq_len: usize,
    /// Ends every turn.
    end_of_turn: u32,
    /// Stands for one visual token.
    image_token: u32,
}

impl ChatEncoder {
    /// Joins the parts of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the end-of-turn token is not in the vocabulary.
    pub fn new(
        tokenizer: Tokenizer,
        template: ChatTemplate,
        specials: Specials,
        image_seq_len: usize,
    ) -> Result<Self> {
        let end_of_turn = tokenizer
            .token_id(&specials.eos)
            .ok_or_else(|| Error::Tokenizer {
                problem: format!("has no token `{}`, which ends a turn", specials.eos),
            })?;
        let image_token = tokenizer
            .token_id(&specials.image)
            .ok_or_else(|| Error::Tokenizer {
                problem: format!("has no token `{}`, which stands for photos", specials.image),
            })?;
        Ok(Self {
            tokenizer,
            template,
            specials,
            image_tokens: ImageTokens::default(),
            image_seq_len,
            end_of_turn,
            image_token,
        })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The token that ends every turn.
    pub fn end_of_turn(&self) -> u32 {
        self.end_of_turn
    }

    /// The token that holds the place of a visual token.
    pub fn image_token(&self) -> u32 {
        self.image_token
    }

    /// The token that fills rows up in a batch.
    pub fn pad(&self) -> u32 {
        self.tokenizer
            .token_id(&self.specials.pad)
            .unwrap_or(self.end_of_turn)
    }

    /// Token ids of a chat; `layouts` are the (rows, columns) of tiles of each photo, in order.
    ///
    /// # Errors
    /// When the template refuses the chat or the photos do not match it.
    pub fn encode(
        &self,
        messages: &[Message],
        layouts: &[(usize, usize)],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>> {
        let segments =
            self.template
                .render_segments(messages, add_generation_prompt, &self.specials)?;
        let images: Vec<String> = layouts
            .iter()
            .map(|&(rows, cols)| image_prompt(&self.image_tokens, rows, cols, self.image_seq_len))
            .collect();
        self.tokenizer.encode_segments(&segments, &images)
    }

    /// Which tokens of an encoded chat a model should learn to say: the assistant's words and the
    /// end of each of its turns.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn answer_mask(&self, ids: &[u32]) -> Result<Vec<bool>> {
        let header = self.tokenizer.encode("\nAssistant:", false)?;
        let mut mask = vec![false; ids.len()];
        let mut start = 0;
        for end in (0..ids.len()).filter(|&i| ids[i] == self.end_of_turn) {
            if ids[start..].starts_with(&header) {
                mask[start + header.len()..=end].fill(true);
            }
            start = end + 1;
        }
        Ok(mask)
    }
}
