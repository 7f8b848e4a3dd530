//! Short answers against the truth: recognition, refusals and boxes.

use namelens_engine::concepts::regions::iou;
use serde::Serialize;

use super::bootstrap;
use super::rates::{Estimate, ratio, wilson};

/// Least overlap of a box that counts as found.
pub const HIT_IOU: f32 = 0.5;

/// Yes-and-no answers, each class by itself: always answering `no` must not look good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recognition {
    /// How often a `yes` was right to expect and given.
    pub positive: Estimate,
    /// How often a `no` was right to expect and given.
    pub negative: Estimate,
    /// Mean of the two.
    pub balanced_accuracy: Estimate,
    /// Answers that were neither; they count as wrong.
    pub unreadable: usize,
}

/// Judges (answer, truth) pairs. The interval of the balanced accuracy resamples with `seed`.
pub fn recognition(answers: &[(Option<bool>, bool)], seed: u64) -> Recognition {
    let class = |truth: bool| {
        let of = answers.iter().filter(|(_, t)| *t == truth);
        wilson(
            of.clone().filter(|(a, _)| *a == Some(truth)).count(),
            of.count(),
        )
    };
    Recognition {
        positive: class(true),
        negative: class(false),
        balanced_accuracy: bootstrap::estimate(answers, seed, balanced_accuracy),
        unreadable: answers.iter().filter(|(a, _)| a.is_none()).count(),
    }
}

/// Mean of the accuracies on the two classes; of the one class if there is only one.
fn balanced_accuracy(answers: &[&(Option<bool>, bool)]) -> f64 {
    let classes = [true, false].map(|truth| {
        let of = answers.iter().filter(|(_, t)| *t == truth);
        (
            of.clone().filter(|(a, _)| *a == Some(truth)).count(),
            of.count(),
        )
    });
    let rates: Vec<f64> = classes
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(right, n)| ratio(*right, *n))
        .collect();
    rates.iter().sum::<f64>() / rates.len().max(1) as f64
}

/// Boxes against true boxes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Boxes {
    /// How often the overlap is at least [`HIT_IOU`].
    pub hits: Estimate,
    /// Mean intersection over union; an answer without a box counts 0.
    pub mean_iou: Estimate,
    /// Answers without a readable box.
    pub unreadable: usize,
}

/// Judges (answer, truth) pairs of boxes `[x0, y0, x1, y1]`.
pub fn boxes(answers: &[(Option<[f32; 4]>, [f32; 4])], seed: u64) -> Boxes {
    let overlaps: Vec<f32> = answers
        .iter()
        .map(|(a, truth)| a.map_or(0.0, |a| iou(&a, truth)))
        .collect();
    let mean = |sample: &[&f32]| {
        let sum: f64 = sample.iter().map(|x| f64::from(**x)).sum();
        sum / sample.len().max(1) as f64
    };
    Boxes {
        hits: wilson(
            overlaps.iter().filter(|x| **x >= HIT_IOU).count(),
            overlaps.len(),
        ),
        mean_iou: bootstrap::estimate(&overlaps, seed, mean),
        unreadable: answers.iter().filter(|(a, _)| a.is_none()).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_no_is_worth_one_half() {
        let mut answers = vec![(Some(false), false); 90];
        answers.extend([(Some(false), true); 10]);
        let r = recognition(&answers, 1);
        assert_eq!(
            (
                r.positive.value,
                r.negative.value,
                r.balanced_accuracy.value
            ),
            (0.0, 1.0, 0.5)
        );
        answers[0].0 = None;
        let r = recognition(&answers, 1);
        assert_eq!(r.unreadable, 1);
        assert!((r.negative.value - 89.0 / 90.0).abs() < 1e-12);
        assert_eq!(
            recognition(&[(Some(true), true)], 1)
                .balanced_accuracy
                .value,
            1.0
        );
        assert_eq!(recognition(&[], 1).balanced_accuracy.value, 0.0);
    }

    #[test]
    fn boxes_hit_from_one_half() {
        let truth = [0.0, 0.0, 0.5, 1.0];
        let answers = [
            (Some(truth), truth),
            (Some([0.0, 0.0, 0.5, 0.5]), truth),
            (Some([0.0, 0.0, 0.5, 0.49]), truth),
            (None, truth),
        ];
        let b = boxes(&answers, 1);
        assert_eq!((b.hits.value, b.unreadable), (0.5, 1));
        // Sums of three f32 overlaps.
        assert!((b.mean_iou.value - (1.0 + 0.5 + 0.49) / 4.0).abs() < 1e-6);
        assert_eq!(boxes(&[], 1).mean_iou.value, 0.0);
    }
}
