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
