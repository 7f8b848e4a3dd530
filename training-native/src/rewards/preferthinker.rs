//! PreferThinker's reward (arXiv 2511.00609): 0.7 predicted profiles + 0.3 format + 1.0 right choice.
//!
//! The paper compares pictures that a generator makes of both profiles, and embeddings of their texts. Here a profile is
//! compared through [`ProfileSimilarity`]; without models it is the share of dimensions whose words are the same.

use anyhow::{Context, Result};

use super::preferthinker_parse::{Preference, Profile, answer, only, profile};
use super::{Reward, Row, columns};
use crate::rl::metrics::{Figure, Metrics};

/// Weights of prediction, format and accuracy.
pub const WEIGHTS: [f32; 3] = [0.7, 0.3, 1.0];

/// The reward of the three terms, each from 0 to 1.
pub fn combine(predict: f32, format: f32, accuracy: f32) -> f32 {
    WEIGHTS[0] * predict + WEIGHTS[1] * format + WEIGHTS[2] * accuracy
}

/// How alike two profiles are, from 0 to 1.
pub trait ProfileSimilarity: Send {
    /// The likeness of a predicted to the true profile.
    ///
    /// # Errors
    /// When a model behind it fails.
    fn similarity(&mut self, predicted: &Profile, truth: &Profile) -> Result<f32>;
}

/// The share of dimensions said in the same words: the vocabulary is closed.
#[derive(Debug, Clone, Copy, Default)]
pub struct SameWords;

impl ProfileSimilarity for SameWords {
    fn similarity(&mut self, predicted: &Profile, truth: &Profile) -> Result<f32> {
        let same = predicted.iter().zip(truth).filter(|(p, t)| p == t);
        Ok(same.count() as f32 / truth.len() as f32)
    }
}

/// The reward `preferthinker`; it reads `liked`, `disliked` (profiles) and `solution` (A or B). Rows whose profiles are null are none
/// of its business.
#[derive(Debug)]
pub struct PreferThinker<S> {
    /// Compares profiles.
    pub similarity: S,
}

impl<S: ProfileSimilarity> Reward for PreferThinker<S> {
    fn name(&self) -> &str {
        "preferthinker"
    }

    fn score(&mut self, rows: &[Row], log: &mut Metrics) -> Result<Vec<Option<f32>>> {
        let mut rewards = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            if ["liked", "disliked"]
                .iter()
                .all(|column| columns::is_null(row, column))
            {
                rewards.push(None);
                continue;
            }
            let terms = self.terms(row);
            let terms = terms.with_context(|| format!("reward 'preferthinker', row {}", at + 1))?;
            for (name, term) in ["predict", "format", "accuracy"].iter().zip(terms) {
                log.add(*name, Figure::mean([f64::from(term)]));
            }
            rewards.push(Some(combine(terms[0], terms[1], terms[2])));
        }
        Ok(rewards)
    }
}

impl<S: ProfileSimilarity> PreferThinker<S> {
    /// Prediction, format and accuracy of a row.
    ///
    /// A text that cannot be read whole may still have predicted and chosen rightly; a choice against its own scores has no
    /// format.
    fn terms(&mut self, row: &Row) -> Result<[f32; 3]> {
        let text = &row.completion;
        let mut predict = 0.0;
        for (tag, column) in [("liked", "liked"), ("disliked", "disliked")] {
            let truth = columns::texts(row, column)?.join("; ");
            let truth = profile(&truth)
                .with_context(|| format!("column '{column}' is no profile of five dimensions"))?;
            if let Some(predicted) = only(text, tag).and_then(profile) {
                predict += self.similarity.similarity(&predicted, &truth)? / 2.0;
            }
        }
        let whole = Preference::read(text).is_some_and(|p| p.is_consistent());
        let truth = columns::texts(row, "solution")?.concat();
        let right = answer(text).is_some_and(|letter| truth.trim() == letter.to_string());
        Ok([predict, f32::from(whole), f32::from(right)])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIKED: &str =
        "art style: ink; color: teal; art medium: paper; saturation: low; detail: high";
    const DISLIKED: &str =
        "art style: pop; color: red; art medium: oil; saturation: high; detail: low";

    fn text(scores_a: u8, answer: &str) -> String {
        let dimension = |name: &str| format!("{name}: {scores_a}, 5");
        let scores = super::super::preferthinker_parse::DIMENSIONS
            .map(dimension)
            .join("; ");
        format!(
            "<liked>{LIKED}</liked>\n<disliked>{DISLIKED}</disliked><scores>{scores}</scores><answer>{answer}</answer>"
        )
    }

    fn of(text: &str) -> f32 {
        let row =
            json!({"completion": text, "liked": LIKED, "disliked": DISLIKED, "solution": "A"});
        let mut reward = PreferThinker {
            similarity: SameWords,
        };
        reward
            .score(&[Row::from_json(row).unwrap()], &mut Metrics::default())
            .unwrap()[0]
            .unwrap()
    }

    #[test]
    fn a_row_without_profiles_is_none_of_its_business() {
        let row = json!({"completion": "x", "liked": null, "disliked": null, "solution": "Yes"});
        let rows = [Row::from_json(row).unwrap()];
        let mut reward = PreferThinker {
            similarity: SameWords,
        };
        let given = reward.score(&rows, &mut Metrics::default()).unwrap();
        assert_eq!(given, [None]);
    }

    #[test]
    fn golden_weights() {
        assert!((combine(0.85, 1.0, 1.0) - 1.895).abs() < 1e-6);
        assert!((combine(0.85, 1.0, 0.0) - 0.895).abs() < 1e-6);
    }

    #[test]
    fn each_term_is_earned_by_itself() {
        assert!((of(&text(7, "A")) - 2.0).abs() < 1e-6);
        assert!(
            (of(&text(3, "A")) - 1.7).abs() < 1e-6,
            "chosen against its own scores"
        );
        assert!(
            (of(&text(3, "B")) - 1.0).abs() < 1e-6,
            "consistent and wrong"
        );
        assert!(
            (of(&text(5, "A")) - 1.7).abs() < 1e-6,
            "a tie chooses nobody"
        );
        assert_eq!(of("A"), 0.0, "no tags");
        assert_eq!(
            of("<answer>A</answer><answer>B</answer>"),
            0.0,
            "both answers"
        );
        assert_eq!(of("<answer>A or B</answer>"), 0.0);
        let half = text(7, "A").replace("teal", "blue").replace("ink", "pop");
        assert!(
            (of(&half) - (0.7 * 0.8 + 1.3)).abs() < 1e-6,
            "two of ten dimensions wrong"
        );
        assert!((of(&text(7, "A").replace("detail: 7, 5", "detail: 7")) - 1.7).abs() < 1e-6);
    }
}
