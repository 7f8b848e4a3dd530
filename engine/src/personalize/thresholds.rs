//! From which similarities on a thing counts as found by a dual encoder.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Calibrated thresholds, stored beside the dual encoder as `retrieval.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Least similarity of a window to a reference.
    pub window: f32,
    /// Least similarity of the whole photo.
    pub whole: f32,
}

impl Thresholds {
    /// Reads `retrieval.json`.
    ///
    /// # Errors
    /// [`Error::Config`] when a value is missing or no cosine similarity.
    pub fn from_json(json: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Config {
            file: "retrieval.json".into(),
            key: "window, whole".into(),
            problem,
        };
        let thresholds: Self =
            serde_json::from_str(json).map_err(|error| refuse(error.to_string()))?;
        let cosine = |v: f32| (-1.0..=1.0).contains(&v);
        if !cosine(thresholds.window) || !cosine(thresholds.whole) {
            return Err(refuse("must be cosine similarities, -1 to 1".into()));
        }
        Ok(thresholds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_cosines() {
        assert!(Thresholds::from_json(r#"{"window": 0.5, "whole": 0.4}"#).is_ok());
        assert!(Thresholds::from_json(r#"{"window": 1.5, "whole": 0.4}"#).is_err());
        assert!(Thresholds::from_json("{}").is_err());
    }
}
