//! A chat with photos to token ids: template, image placeholders and tokenizer in one place.

use super::{ChatTemplate, ImageMarkup, Message, Part, PhotoLayout, Specials, Tokenizer};
use crate::host::LocalTime;
use crate::{Error, Result};

/// Encodes chats for one checkpoint.
#[derive(Debug, Clone)]
pub struct ChatEncoder {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    specials: Specials,
    markup: ImageMarkup,
    /// Each ends an answer; the first ends every turn of the template.
    ends: Vec<u32>,
    /// Stands for one visual token; `None` where the model reads text only.
    image_token: Option<u32>,
    /// What stands between the end of a turn and an answer; empty when the template does not say.
    header: Vec<u32>,
}

impl ChatEncoder {
    /// Joins the parts of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the end-of-turn or the image token is not in the vocabulary.
    pub fn new(
        tokenizer: Tokenizer,
        template: ChatTemplate,
        specials: Specials,
        markup: ImageMarkup,
    ) -> Result<Self> {
        let end_of_turn = tokenizer
            .token_id(&specials.eos)
            .ok_or_else(|| Error::Tokenizer {
                problem: format!("has no token `{}`, which ends a turn", specials.eos),
            })?;
        let image_token = tokenizer.token_id(&specials.image);
        if image_token.is_none() && markup != ImageMarkup::Absent {
            return Err(Error::Tokenizer {
                problem: format!("has no token `{}`, which stands for photos", specials.image),
            });
        }
        Ok(Self {
            tokenizer,
            template,
            specials,
            markup,
            ends: vec![end_of_turn],
            image_token,
            header: Vec::new(),
        }
        .find_header())
    }

    /// The same encoder with further tokens that end an answer, as a `generation_config.json` lists them.
    pub fn with_ends(mut self, more: &[u32]) -> Self {
        for &end in more {
            if !self.ends.contains(&end) {
                self.ends.push(end);
            }
        }
        self.find_header()
    }

    /// Sets the time that the template may tell the model.
    pub fn set_time(&mut self, now: Option<LocalTime>) {
        self.template.set_time(now);
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The token that ends every turn.
    pub fn end_of_turn(&self) -> u32 {
        self.ends[0]
    }

    /// Every token that ends an answer, the end of a turn first.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The token that holds the place of a visual token; `None` where the model reads text only.
    pub fn image_token(&self) -> Option<u32> {
        self.image_token
    }

    /// The token that fills rows up in a batch.
    pub fn pad(&self) -> u32 {
        self.tokenizer
            .token_id(&self.specials.pad)
            .unwrap_or_else(|| self.end_of_turn())
    }

    /// Token ids of a chat; `layouts` are those of its photos, in order.
    ///
    /// # Errors
    /// When the template refuses the chat, or the photos do not match it or the model.
    pub fn encode(
        &self,
        messages: &[Message],
        layouts: &[PhotoLayout],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>> {
        let segments = self.template.render_segments(
            messages,
            add_generation_prompt,
            &self.specials,
            &self.tokenizer,
        )?;
        let images: Vec<String> = layouts
            .iter()
            .map(|&layout| self.markup.expand(&self.specials.image, layout))
            .collect::<Result<_>>()?;
        self.tokenizer.encode_segments(&segments, &images)
    }

    /// Which tokens of an encoded chat a model should learn to say: the assistant's words and the
    /// end of each of its turns.
    ///
    /// # Errors
    /// [`Error::Template`] when the template does not say where an answer begins.
    pub fn answer_mask(&self, ids: &[u32]) -> Result<Vec<bool>> {
        if self.header.is_empty() {
            return Err(Error::Template {
                problem: "it prints nothing after a user's turn when an answer is to follow, or no end of a turn; answers cannot be told from questions".into(),
            });
        }
        let mut mask = vec![false; ids.len()];
        let mut start = 0;
        for end in (0..ids.len()).filter(|&i| self.ends.contains(&ids[i])) {
            if ids[start..].starts_with(&self.header) {
                mask[start + self.header.len()..=end].fill(true);
            }
            start = end + 1;
        }
        Ok(mask)
    }

    /// Learns from the template itself what it prints between a user's turn and an answer.
    fn find_header(mut self) -> Self {
        let turn = [Message {
            role: "user".into(),
            content: vec![Part::Text("?".into())],
        }];
        let after = |prompt| {
            let ids = self.encode(&turn, &[], prompt).ok()?;
            let end = ids.iter().rposition(|id| self.ends.contains(id))?;
            Some(ids[end + 1..].to_vec())
        };
        let (bare, header) = (after(false), after(true));
        self.header = header
            .filter(|header| bare.as_ref() != Some(header))
            .unwrap_or_default();
        self
    }
}
