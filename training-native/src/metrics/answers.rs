//! Short answers against the truth: recognition, refusals and boxes.

use namelens_engine::concepts::regions::iou;
use serde::Serialize;

use super::bootstrap;
use super::rates::{Estimate, ratio};

/// Least overlap of a box that counts as found.
pub const HIT_IOU: f32 = 0.5;

/// A yes-or-no answer, `None` where it was neither, and the truth.
pub type YesNo = (Option<bool>, bool);

/// A box `[x0, y0, x1, y1]`, `None` where there was none to read, and the true one.
pub type Located = (Option<[f32; 4]>, [f32; 4]);

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

/// Judges the answers about each photo. The interval of the balanced accuracy resamples photos with `seed`.
pub fn recognition(photos: &[Vec<YesNo>], seed: u64) -> Recognition {
    let class = |truth: bool| {
        let right = |answers: &Vec<YesNo>| right_of(answers.iter(), truth);
        let asked: Vec<(usize, usize)> = photos
            .iter()
            .map(right)
            .filter(|(_, asked)| *asked > 0)
            .collect();
        bootstrap::rate(&asked, seed)
    };
    Recognition {
        positive: class(true),
        negative: class(false),
        balanced_accuracy: bootstrap::estimate(photos, seed, balanced_accuracy),
        unreadable: photos
            .iter()
            .flatten()
            .filter(|(answer, _)| answer.is_none())
            .count(),
    }
}

/// How many answers are right, and how many there are, where the truth is `truth`.
fn right_of<'a>(answers: impl Iterator<Item = &'a YesNo>, truth: bool) -> (usize, usize) {
    answers
        .filter(|(_, expected)| *expected == truth)
        .fold((0, 0), |(right, asked), (answer, _)| {
            (right + usize::from(*answer == Some(truth)), asked + 1)
        })
}

/// Mean of the accuracies on the two classes; of the one class if there is only one.
fn balanced_accuracy(photos: &[&Vec<YesNo>]) -> f64 {
    let rates: Vec<f64> = [true, false]
        .map(|truth| right_of(photos.iter().copied().flatten(), truth))
        .iter()
        .filter(|(_, asked)| *asked > 0)
        .map(|(right, asked)| ratio(*right, *asked))
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

/// Judges the boxes asked for in each photo; the intervals resample photos with `seed`.
pub fn boxes(photos: &[Vec<Located>], seed: u64) -> Boxes {
    let overlaps: Vec<Vec<f32>> = photos
        .iter()
        .filter(|answers| !answers.is_empty())
        .map(|answers| {
            let overlap = |(answer, truth): &Located| answer.map_or(0.0, |a| iou(&a, truth));
            answers.iter().map(overlap).collect()
        })
        .collect();
    let hits: Vec<(usize, usize)> = overlaps
        .iter()
        .map(|photo| {
            let hits = photo.iter().filter(|overlap| **overlap >= HIT_IOU);
            (hits.count(), photo.len())
        })
        .collect();
    let mean = |sample: &[&Vec<f32>]| {
        let all = || sample.iter().copied().flatten();
        all().map(|x| f64::from(*x)).sum::<f64>() / all().count().max(1) as f64
    };
    Boxes {
        hits: bootstrap::rate(&hits, seed),
        mean_iou: bootstrap::estimate(&overlaps, seed, mean),
        unreadable: photos
            .iter()
            .flatten()
            .filter(|(answer, _)| answer.is_none())
            .count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_no_is_worth_one_half() {
        let mut answers = vec![vec![(Some(false), false)]; 90];
        answers.extend(vec![vec![(Some(false), true)]; 10]);
        let r = recognition(&answers, 1);
        assert_eq!(
            (
                r.positive.value,
                r.negative.value,
                r.balanced_accuracy.value
            ),
            (0.0, 1.0, 0.5)
        );
        answers[0][0].0 = None;
        let r = recognition(&answers, 1);
        assert_eq!(r.unreadable, 1);
        assert!((r.negative.value - 89.0 / 90.0).abs() < 1e-12);
        let one = recognition(&[vec![(Some(true), true)]], 1);
        assert_eq!(one.balanced_accuracy.value, 1.0);
        assert_eq!(recognition(&[], 1).balanced_accuracy.value, 0.0);
    }

    #[test]
    fn boxes_hit_from_one_half() {
        let truth = [0.0, 0.0, 0.5, 1.0];
        let answers = [
            vec![(Some(truth), truth), (Some([0.0, 0.0, 0.5, 0.5]), truth)],
            vec![(Some([0.0, 0.0, 0.5, 0.49]), truth)],
            vec![(None, truth)],
            // A photo nothing was asked about.
            vec![],
        ];
        let b = boxes(&answers, 1);
        assert_eq!((b.hits.value, b.unreadable), (0.5, 1));
        // Sums of three f32 overlaps.
        assert!((b.mean_iou.value - (1.0 + 0.5 + 0.49) / 4.0).abs() < 1e-6);
        assert_eq!(boxes(&[], 1).mean_iou.value, 0.0);
    }
}
