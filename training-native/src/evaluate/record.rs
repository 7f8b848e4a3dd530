//! What became of the questions about one photo: all that a report is made of, as one line of a log.

use serde::{Deserialize, Serialize};

use crate::metrics::answers::{Located, YesNo};
use crate::metrics::rates::Counts;
use crate::metrics::repic_compat;

/// The questions about one photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which photo of the row, from 0.
    pub photo: u64,
    /// How long the questions took, milliseconds.
    pub ms: u64,
    /// What was answered.
    pub answers: Answers,
}

/// What was answered, and what would have been right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// A caption.
    Caption(Captioned),
    /// Yes or no.
    YesNo(Vec<YesNo>),
    /// Boxes.
    Boxes(Vec<Located>),
    /// A question that should be refused.
    Refusal {
        /// Whether it was, for the right reason.
        right: bool,
        /// The answer.
        text: String,
    },
    /// A question that should be answered.
    Answer {
        /// The answer.
        text: String,
        /// The right one.
        expected: String,
        /// Whether it was refused.
        refused: bool,
    },
    /// A caption without names.
    Words {
        /// Words for the colour and kind of things that it has.
        found: usize,
        /// Words it should have.
        total: usize,
    },
}

/// A caption with names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Captioned {
    /// Names that are right, wrong and missed.
    pub names: Counts,
    /// The same, where a name is right with a look or a box that is its thing's; absent in answers kept before it was measured.
    #[serde(default)]
    pub bound: Option<Counts>,
    /// The caption and the names in brackets it should have.
    pub repic: repic_compat::Row,
    /// Expected names that were not handed to the model.
    pub lost_in_retrieval: usize,
    /// Expected names that were handed over but not written.
    pub lost_in_generation: usize,
    /// Concepts handed over that are not in the photo.
    pub retrieved_wrongly: usize,
    /// Boxes of the names in the caption.
    pub mention_boxes: Vec<Located>,
    /// Regions that retrieval found for things that are in the photo.
    pub regions: Vec<Located>,
}

impl Record {
    /// How many questions were asked.
    pub fn questions(&self) -> usize {
        match &self.answers {
            Answers::YesNo(answers) => answers.len(),
            Answers::Boxes(answers) => answers.len(),
            Answers::Caption(_)
            | Answers::Refusal { .. }
            | Answers::Answer { .. }
            | Answers::Words { .. } => 1,
        }
    }
}
