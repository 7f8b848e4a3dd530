//! How sure a score and a margin make one that a thing is there: a logistic function, measured on photos.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// `sigmoid(score * s + margin * m + bias)`, stored beside a convolutional encoder as `retrieval.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Weight of the similarity.
    pub score: f32,
    /// Weight of the distance to the best rival.
    pub margin: f32,
    /// What is added.
    pub bias: f32,
}

impl Calibration {
    /// Reads `retrieval.json`.
    ///
    /// # Errors
    /// [`Error::Config`] when a value is missing, no number, or would make a likelier thing less sure.
    pub fn from_json(json: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Config {
            file: "retrieval.json".into(),
            key: "score, margin, bias".into(),
            problem,
        };
        let read: Self = serde_json::from_str(json).map_err(|error| refuse(error.to_string()))?;
        let usable = read.score > 0.0 && read.margin >= 0.0 && read.bias.is_finite();
        if !usable || !read.score.is_finite() || !read.margin.is_finite() {
            return Err(refuse("must be numbers, the weights positive".into()));
        }
        Ok(read)
    }

    /// The probability that a thing with this score and margin is there.
    pub fn confidence(&self, score: f32, margin: f32) -> f32 {
        let sum = self.score * score + self.margin * margin + self.bias;
        1.0 / (1.0 + (-sum).exp())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn confidence_grows_with_both_and_stays_a_probability() {
        let calibration =
            Calibration::from_json(r#"{"score": 9, "margin": 29, "bias": -7}"#).unwrap();
        assert!(calibration.confidence(0.8, 0.1) > calibration.confidence(0.7, 0.1));
        assert!(calibration.confidence(0.7, 0.1) > calibration.confidence(0.7, 0.0));
        let extremes = [
            calibration.confidence(1e9, 1.0),
            calibration.confidence(-1e9, -1.0),
        ];
        assert_eq!(extremes, [1.0, 0.0]);
    }

    #[test]
    fn what_is_no_calibration_is_refused() {
        for json in [
            "{}",
            r#"{"score": -1, "margin": 1, "bias": 0}"#,
            r#"{"score": 1e39, "margin": 1, "bias": 0}"#,
            r#"{"window": 0.5, "whole": 0.4}"#,
        ] {
            assert_eq!(
                Calibration::from_json(json).unwrap_err().code(),
                "config",
                "{json}"
            );
        }
    }
}
