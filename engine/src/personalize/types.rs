//! What a caller asks for and what it gets back; serialised as JavaScript spells it.

use serde::{Deserialize, Serialize};

use super::messages::{Exchange, PromptStyle};
use crate::concepts::{Reason, Retrieved, retrieval};
use crate::generate::{Finish, SamplingOverrides, TokenLogprobs};

/// What to do with a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A caption that uses the names.
    Caption,
    /// An answer to a question.
    Ask,
    /// Whether one concept is in the photo.
    Recognize,
    /// Where one concept is.
    Locate,
}

/// Which concepts may take part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retrieval {
    /// Those named in the question or seen in the photo.
    #[default]
    Auto,
    /// All of them.
    All,
    /// None.
    Off,
    /// These ids.
    Ids(Vec<String>),
}

impl From<&Retrieval> for retrieval::Mode {
    fn from(value: &Retrieval) -> Self {
        match value {
            Retrieval::Auto => Self::Auto,
            Retrieval::All => Self::All,
            Retrieval::Off => Self::Off,
            Retrieval::Ids(ids) => Self::Explicit(ids.clone()),
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What to do.
    pub kind: Kind,
    /// The question of [`Kind::Ask`]; for a caption, how to ask for it.
    #[serde(default)]
    pub question: Option<String>,
    /// Id, name or alias, for [`Kind::Recognize`] and [`Kind::Locate`].
    #[serde(default)]
    pub concept: Option<String>,
    /// Which concepts may take part.
    #[serde(default)]
    pub retrieval: Retrieval,
    /// Whether the captioner hears where the retriever saw each concept, or has to find out by itself.
    #[serde(default = "yes")]
    pub hints: bool,
    /// Whether the photo is cut into tiles; as the checkpoint says when absent. Processors that never cut stay as they are.
    #[serde(default)]
    pub splitting: Option<bool>,
    /// How tokens are chosen; each option left out is as the checkpoint's `generation_config.json` says.
    #[serde(default)]
    pub sampling: Option<SamplingOverrides>,
    /// Longest answer, tokens.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// Texts that end the answer.
    #[serde(default)]
    pub stop: Vec<String>,
    /// How many of the likeliest tokens to tell with each token of the answer, at most
    /// [`MOST`](crate::generate::logprobs::MOST); without it nothing is told of tokens.
    #[serde(default)]
    pub top_logprobs: Option<usize>,
    /// What was asked and answered before about the same photo, oldest first.
    #[serde(default)]
    pub earlier: Vec<Exchange>,
    /// Whose prompt format; other ones than ours are for comparisons.
    #[serde(skip)]
    pub style: PromptStyle,
}

fn yes() -> bool {
    true
}

impl Request {
    /// A request with every option at its default.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            question: None,
            concept: None,
            retrieval: Retrieval::default(),
            hints: true,
            splitting: None,
            sampling: None,
            max_tokens: None,
            stop: Vec::new(),
            top_logprobs: None,
            earlier: Vec::new(),
            style: PromptStyle::default(),
        }
    }
}

/// A part of the work, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Bytes to pixels.
    Decode,
    /// Looking for known things.
    Retrieve,
    /// Photos to visual tokens.
    Vision,
    /// Reading the prompt.
    Prefill,
    /// Writing the answer.
    Generate,
    /// Finding the boxes of what was mentioned.
    Locate,
}

/// A retrieved concept as callers see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrievedView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Similarity, -1 to 1.
    pub score: f32,
    /// How sure it is that the thing is there, 0 to 1, where the retriever knows.
    pub confidence: Option<f32>,
    /// What the similarity was compared with.
    pub threshold: f32,
    /// `named`, `similar`, `listed` or `all`.
    pub reason: &'static str,
    /// The region it resembles, fractions of the photo.
    #[serde(rename = "box")]
    pub box_: Option<[f32; 4]>,
    /// Where more of the kind are, fractions of the photo.
    pub more_boxes: Vec<[f32; 4]>,
}

impl From<&Retrieved> for RetrievedView {
    fn from(found: &Retrieved) -> Self {
        let reason = match found.reason {
            Reason::Named => "named",
            Reason::Similar => "similar",
            Reason::Listed => "listed",
            Reason::All => "all",
        };
        Self {
            id: found.id.clone(),
            name: found.name.clone(),
            score: found.score,
            confidence: found.confidence,
            threshold: found.threshold,
            reason,
            box_: found.box_,
            more_boxes: found.more_boxes.clone(),
        }
    }
}

/// A place of the answer that names a concept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MentionView {
    /// Id of the concept.
    pub id: String,
    /// Its name.
    pub name: String,
    /// First UTF-16 code unit of the span.
    pub start: usize,
    /// End of the span, UTF-16 code units.
    pub end: usize,
    /// First character of the span.
    pub start_char: usize,
    /// End of the span, characters.
    pub end_char: usize,
    /// Where the thing is, fractions of the photo, once known.
    #[serde(rename = "box")]
    pub box_: Option<[f32; 4]>,
    /// How sure the model was of the box, 0 to 1; the similarity when the box is a retrieved region.
    pub confidence: f32,
}

/// What a caller hears while it waits.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Event {
    /// Progress of a stage.
    Stage {
        /// Which.
        stage: Stage,
        /// Steps done.
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// What was retrieved.
    Retrieved {
        /// The concepts that go into the prompt.
        concepts: Vec<RetrievedView>,
    },
    /// More of the answer.
    Text {
        /// The new piece.
        delta: String,
        /// The answer so far.
        text: String,
        /// Names in it so far.
        mentions: Vec<MentionView>,
    },
}

/// How long each part took, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "one field a stage, named like it")]
pub struct Timings {
    pub decode_ms: f64,
    pub retrieve_ms: f64,
    pub vision_ms: f64,
    pub prefill_ms: f64,
    pub generate_ms: f64,
    pub locate_ms: f64,
    pub total_ms: f64,
    /// Tokens of the answer a second of writing it.
    pub tokens_per_second: f64,
}

/// How many tokens were read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TokenCounts {
    /// Of the prompt, visual tokens included.
    pub prompt: usize,
    /// Of the prompt, how many were known from an earlier request about the same photo and not read again.
    pub reused: usize,
    /// Of the answer.
    pub generated: usize,
}

/// What an answer is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A captioner wrote it.
    #[default]
    Captioner,
    /// What recognition found, in sentences made of it.
    Recognition,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The answer, names without brackets.
    pub text: String,
    /// The answer as the model wrote it.
    pub raw: String,
    /// What it is made of.
    pub source: Source,
    /// Names in the answer.
    pub mentions: Vec<MentionView>,
    /// The concepts the model was told of.
    pub retrieved: Vec<RetrievedView>,
    /// Yes or no, for [`Kind::Recognize`].
    pub answer: Option<bool>,
    /// The box, for [`Kind::Locate`].
    #[serde(rename = "box")]
    pub box_: Option<[f32; 4]>,
    /// How sure the model was of its words, 0 to 1.
    pub confidence: f32,
    /// `absent` or `unknown` when the model refused.
    pub refused: Option<&'static str>,
    /// Why the answer ended.
    pub finish: Finish,
    /// The seed the answer was drawn with: given again, it gives the same answer. `None` when nothing was drawn.
    pub seed: Option<u64>,
    /// Each token the captioner wrote and how likely it was, where [`Request::top_logprobs`] asked for it. The end of the turn is
    /// none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobs>>,
    /// Times.
    pub timings: Timings,
    /// Token counts.
    pub tokens: TokenCounts,
}
