//! A prompt: the chat, its photos, and what rewards may know about it.

use namelens_engine::text::{Message, Part};
use serde_json::{Map, Value};

use crate::rewards::Row;
use crate::rewards::row::Photo;

/// What a model is asked, and what rewards may know about it.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The chat, an answer being due.
    pub messages: Vec<Message>,
    /// Its photos, in the order of the chat's image parts.
    pub photos: Vec<Photo>,
    /// Everything else that is known: `solution`, `concepts`, ...
    pub columns: Map<String, Value>,
}

impl Prompt {
    /// The last turn in words, without its photos.
    pub fn question(&self) -> String {
        let parts = self.messages.last().map_or(&[][..], |last| &last.content);
        let texts = parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.trim()),
            Part::Image => None,
        });
        texts.collect::<Vec<_>>().join(" ").trim().to_owned()
    }

    /// A completion of it, as rewards see it.
    pub fn row(&self, completion: &str, ids: &[u32]) -> Row {
        Row {
            prompt: self.question(),
            completion: completion.to_owned(),
            ids: Some(ids.to_vec()),
            photos: self.photos.clone(),
            columns: self.columns.clone(),
        }
    }
}
