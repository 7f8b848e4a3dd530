//! The similarity threshold, chosen from measured positives and negatives.

use crate::{Error, Result};

/// A threshold and how well it separates the samples it was chosen on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// A score of at least this counts as the same thing.
    pub threshold: f32,
    /// Mean of the two rates below.
    pub balanced_accuracy: f64,
    /// Fraction of positives at or over the threshold.
    pub true_positive_rate: f64,
    /// Fraction of negatives under the threshold.
    pub true_negative_rate: f64,
}

/// The threshold with the highest balanced accuracy.
///
/// Thresholds lie half-way between neighbouring scores. Of equally good ones the widest gap is
/// taken, because unseen scores are least likely to fall on its wrong side.
///
/// # Errors
/// [`Error::Option`] if either list is empty or holds a number that is not finite.
pub fn calibrate(positives: &[f32], negatives: &[f32]) -> Result<Calibration> {
    for (name, scores) in [("positives", positives), ("negatives", negatives)] {
        if scores.is_empty() || !scores.iter().all(|s| s.is_finite()) {
            let problem = "needs at least one score, all of them finite".to_owned();
            return Err(Error::Option {
                option: name.into(),
                problem,
            });
        }
    }
    let mut scores: Vec<(f32, bool)> = positives
        .iter()
        .map(|s| (*s, true))
        .chain(negatives.iter().map(|s| (*s, false)))
        .collect();
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (all_positives, all_negatives) = (positives.len() as f64, negatives.len() as f64);
    let measure = |threshold: f32, missed: usize, rejected: usize| {
        let true_positive_rate = 1.0 - missed as f64 / all_positives;
        let true_negative_rate = rejected as f64 / all_negatives;
        let balanced_accuracy = (true_positive_rate + true_negative_rate) / 2.0;
        Calibration {
            threshold,
            balanced_accuracy,
            true_positive_rate,
            true_negative_rate,
        }
    };
    // Accepting everything is the start; each step rejects one more score.
    let (mut missed, mut rejected) = (0, 0);
    let lowest = scores.first().map_or(0.0, |s| s.0);
    let mut best = (measure(lowest, 0, 0), 0.0);
    for pair in scores.windows(2) {
        let [(low, positive), (high, _)] = pair else {
            continue;
        };
        if *positive {
            missed += 1
        } else {
            rejected += 1
        }
        let gap = high - low;
        // Between equal scores no threshold can lie, nor between two with no float in the middle.
        let threshold = low + gap / 2.0;
        if gap <= 0.0 || threshold <= *low {
            continue;
        }
        let here = measure(threshold, missed, rejected);
        let better = here.balanced_accuracy - best.0.balanced_accuracy;
        if better > 1e-12 || (better > -1e-12 && gap > best.1) {
            best = (here, gap);
        }
    }
    Ok(best.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn separable_scores_meet_half_way() {
        let c = calibrate(&[0.9, 0.7], &[0.1, 0.3]).unwrap();
        assert!((c.threshold - 0.5).abs() < 1e-6);
        assert_eq!(
            (
                c.balanced_accuracy,
                c.true_positive_rate,
                c.true_negative_rate
            ),
            (1.0, 1.0, 1.0)
        );
    }

    #[test]
    fn unequal_counts_do_not_tilt_it() {
        // One positive against a hundred negatives: plain accuracy would reject everything.
        let negatives: Vec<f32> = (0..100).map(|i| i as f32 * 0.008).collect();
        let c = calibrate(&[0.75], &negatives).unwrap();
        assert!(
            c.true_positive_rate == 1.0 && c.true_negative_rate > 0.9,
            "{c:?}"
        );
    }

    #[test]
    fn useless_scores_give_one_half_and_bad_ones_an_error() {
        assert_eq!(calibrate(&[0.5], &[0.5]).unwrap().balanced_accuracy, 0.5);
        assert_eq!(calibrate(&[], &[0.5]).unwrap_err().code(), "option");
        assert_eq!(calibrate(&[f32::NAN], &[0.5]).unwrap_err().code(), "option");
    }

    proptest! {
        #[test]
        fn no_sample_score_would_do_better(
            positives in proptest::collection::vec(-1.0f32..1.0, 1..30),
            negatives in proptest::collection::vec(-1.0f32..1.0, 1..30),
        ) {
            let rate = |t: f32| {
                let tp = positives.iter().filter(|s| **s >= t).count() as f64 / positives.len() as f64;
                let tn = negatives.iter().filter(|s| **s < t).count() as f64 / negatives.len() as f64;
                (tp + tn) / 2.0
            };
            let c = calibrate(&positives, &negatives).unwrap();
            prop_assert!((rate(c.threshold) - c.balanced_accuracy).abs() < 1e-9);
            for t in positives.iter().chain(&negatives) {
                prop_assert!(rate(*t) <= c.balanced_accuracy + 1e-9);
            }
        }
    }
}
