//! One completion with all that a reward may look at, and how it is read from a line of JSON.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// A photo of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Photo {
    /// A file.
    File(PathBuf),
    /// The bytes of one, as of a world that draws its photos.
    Bytes(Arc<[u8]>),
}

/// What a completion was asked and what it says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The question.
    pub prompt: String,
    /// The answer.
    pub completion: String,
    /// Its tokens, where they are known.
    pub ids: Option<Vec<u32>>,
    /// The photos, references first, as the prompt shows them.
    pub photos: Vec<Photo>,
    /// Everything else the sample says: `solution`, `concepts`, ...
    pub columns: Map<String, Value>,
}

/// Names of the question in data sets: TRL's, RePIC's and VLM-R1's, EasyR1's.
pub(crate) const PROMPTS: [&str; 3] = ["prompt", "problem", "question"];
/// Names of the photos.
pub(crate) const PHOTOS: [&str; 2] = ["image", "images"];

impl Row {
    /// Reads a row: `completion` (a text, or chat messages of which the last counts), and optionally `completion_ids`,
    /// the prompt and the photos; whatever else there is becomes a column.
    ///
    /// # Errors
    /// When it is no object, or one of those fields is of another kind.
    pub fn from_json(value: Value) -> Result<Self> {
        let Value::Object(mut columns) = value else {
            bail!("a row is an object with \"completion\"");
        };
        let completion = columns
            .remove("completion")
            .context("there is no \"completion\"")?;
        let completion =
            text_of(&completion).context("\"completion\" is neither text nor messages")?;
        let ids = match columns.remove("completion_ids") {
            None | Some(Value::Null) => None,
            Some(ids) => Some(
                serde_json::from_value(ids)
                    .context("\"completion_ids\" is no list of token ids")?,
            ),
        };
        let prompt = PROMPTS.iter().find_map(|name| columns.remove(*name));
        let prompt = match prompt {
            Some(prompt) => text_of(&prompt).context("the prompt is neither text nor messages")?,
            None => String::new(),
        };
        let mut photos = Vec::new();
        for value in PHOTOS.iter().filter_map(|name| columns.remove(*name)) {
            let paths: Vec<String> = match value {
                Value::String(path) => vec![path],
                Value::Null => Vec::new(),
                list => {
                    serde_json::from_value(list).context("photos are a path or a list of paths")?
                }
            };
            photos.extend(paths.into_iter().map(|path| Photo::File(path.into())));
        }
        Ok(Self {
            prompt,
            completion,
            ids,
            photos,
            columns,
        })
    }

    /// Reads JSON lines; empty ones are passed over.
    ///
    /// # Errors
    /// Names the line.
    pub fn from_lines(text: &str) -> Result<Vec<Self>> {
        let lines = text.lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(at, line)| {
                serde_json::from_str(line)
                    .map_err(anyhow::Error::from)
                    .and_then(Self::from_json)
                    .with_context(|| format!("line {}", at + 1))
            })
            .collect()
    }
}

/// A text, or that of the last message, whose content may be in parts.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts)
            if !parts.is_empty() && parts.iter().all(|part| part["type"].is_string()) =>
        {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            Some(texts.collect())
        }
        Value::Array(messages) => text_of(messages.last()?.get("content")?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_trainers_are_read() {
        let text = r#"{"problem": "Caption?", "completion": "<Anya>", "image": "a.png", "solution": "<Anya>"}

{"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": [{"type": "text", "text": "Yes"}]}], "images": ["b", "c"], "completion_ids": [1, 2]}"#;
        let rows = Row::from_lines(text).unwrap();
        assert_eq!(
            (rows[0].prompt.as_str(), rows[0].completion.as_str()),
            ("Caption?", "<Anya>")
        );
        assert_eq!(rows[0].photos, [Photo::File("a.png".into())]);
        assert_eq!(rows[0].columns["solution"], "<Anya>");
        assert_eq!(
            (rows[1].prompt.as_str(), rows[1].completion.as_str()),
            ("Hi", "Yes")
        );
        assert_eq!(
            (rows[1].photos.len(), rows[1].ids.clone()),
            (2, Some(vec![1, 2]))
        );
    }

    #[test]
    fn broken_lines_are_named() {
        let said = |text: &str| format!("{:#}", Row::from_lines(text).unwrap_err());
        assert!(said("{\"completion\": \"\"}\n{").starts_with("line 2"));
        assert!(said("{\"prompt\": \"\"}").contains("no \"completion\""));
        assert!(said("[]").contains("object"));
        assert!(said("{\"completion\": 3}").contains("neither"));
        assert!(said("{\"completion\": [], \"x\": 1}").contains("neither"));
        assert!(said("{\"completion\": \"\", \"completion_ids\": \"x\"}").contains("token ids"));
    }
}
