//! What a caller chooses among the files of a repository, and the errors of a choice that cannot be followed.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What somebody chose where a repository has more than one model needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Choice {
    /// The file of the text model's weights; of one in parts, any part.
    pub weights: Option<String>,
    /// The file of the vision projector.
    pub mmproj: Option<String>,
    /// Names of the adapters to take; all that are known to be there when absent.
    pub adapters: Option<Vec<String>>,
    /// What of the model is wanted.
    pub part: Part,
}

/// All of a model, or one half of it where another model gives the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// What writes captions; a retriever that lies with it is left out.
    Captioner,
    /// What searches photos for known things, and nothing else.
    Retriever,
}

/// The error of a file that is needed and not there.
pub(super) fn missing(file: &str, problem: &str) -> Error {
    Error::Missing {
        file: file.into(),
        problem: problem.into(),
    }
}

/// The error of a choice.
pub(super) fn option(option: &str, problem: String) -> Error {
    Error::Option {
        option: option.into(),
        problem,
    }
}
