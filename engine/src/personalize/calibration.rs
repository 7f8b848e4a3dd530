//! How sure a score and a margin make one that a thing is there: a logistic function, measured on photos.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// `sigmoid(score * s + margin * m + bias)`, for a library of many things and for one of a single thing.
///
/// A margin says little where nothing competes: in a library of `n` things the weights are those of many, and `1 / n` of the way from
/// there to those of a lone thing. Stored beside an encoder of feature maps as `retrieval.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Weights in a large library.
    #[serde(flatten)]
    pub many: Weights,
    /// Weights of a thing that is the only one.
    pub lone: Weights,
}

/// Weights of the logistic function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Of the similarity.
    pub score: f32,
    /// Of the distance to the best rival.
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
            key: "score, margin, bias, lone".into(),
            problem,
        };
        let read: Self = serde_json::from_str(json).map_err(|error| refuse(error.to_string()))?;
        for weights in [read.many, read.lone] {
            let Weights {
                score,
                margin,
                bias,
            } = weights;
            let numbers = [score, margin, bias].iter().all(|v| v.is_finite());
            if !(numbers && score > 0.0 && margin >= 0.0) {
                return Err(refuse("must be numbers, the weights positive".into()));
            }
        }
        Ok(read)
    }

    /// The probability that a thing with this score and margin is there, in a library of so many things.
    pub fn confidence(&self, score: f32, margin: f32, things: usize) -> f32 {
        let share = 1.0 / things.max(1) as f32;
        let between = |many: f32, lone: f32| many + (lone - many) * share;
        let (many, lone) = (self.many, self.lone);
        let sum = between(many.score, lone.score) * score
            + between(many.margin, lone.margin) * margin
            + between(many.bias, lone.bias);
        1.0 / (1.0 + (-sum).exp())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn confidence_grows_with_both_and_stays_a_probability() {
        let json = r#"{"score": 9, "margin": 29, "bias": -7, "lone": {"score": 20, "margin": 1, "bias": -16}}"#;
        let calibration = Calibration::from_json(json).unwrap();
        for things in [0, 1, 2, 40] {
            let sure = |score, margin| calibration.confidence(score, margin, things);
            assert!(sure(0.8, 0.1) > sure(0.7, 0.1) && sure(0.7, 0.1) > sure(0.7, 0.0));
            assert_eq!([sure(1e9, 1.0), sure(-1e9, -1.0)], [1.0, 0.0]);
        }
        // The margin of a lone thing says little: 20 * .7 + .15 - 16 against 9 * .7 + 29 * .15 - 7.
        let close = |a: f32, b: f32| (a - b).abs() < 1e-3;
        assert!(close(
            calibration.confidence(0.7, 0.15, 1),
            1.0 / (1.0 + 1.85f32.exp())
        ));
        assert!(close(
            calibration.confidence(0.7, 0.15, 1_000_000),
            1.0 / (1.0 + (-3.65f32).exp())
        ));
    }

    #[test]
    fn what_is_no_calibration_is_refused() {
        for json in [
            "{}",
            r#"{"score": 1, "margin": 1, "bias": 0}"#,
            r#"{"score": -1, "margin": 1, "bias": 0, "lone": {"score": 1, "margin": 1, "bias": 0}}"#,
            r#"{"score": 1, "margin": 1, "bias": 0, "lone": {"score": 0, "margin": 1, "bias": 0}}"#,
            r#"{"score": 1e39, "margin": 1, "bias": 0, "lone": {"score": 1, "margin": 1, "bias": 0}}"#,
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
