//! Figures of recognition: rank, area under the curve, found at few false alarms, calibration, overlap.

use serde::Serialize;

/// How sure something was, and whether it was so.
pub type Judged = (f32, bool);

/// The area under the ROC curve: how often what is there scores higher than what is not, ties counting half.
pub fn auc(judged: &[Judged]) -> f64 {
    let mut order: Vec<&Judged> = judged.iter().collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut positives, mut at) = (0.0, 0usize, 0);
    while at < order.len() {
        let same = order[at..]
            .iter()
            .take_while(|j| j.0 == order[at].0)
            .count();
        // All of equal scores have their mean rank.
        let rank = at as f64 + (same as f64 + 1.0) / 2.0;
        let here = order[at..at + same].iter().filter(|j| j.1).count();
        rank_sum += rank * here as f64;
        positives += here;
        at += same;
    }
    let negatives = order.len() - positives;
    let (p, n) = (positives as f64, negatives as f64);
    (rank_sum - p * (p + 1.0) / 2.0) / (p * n)
}

/// The score that `share` of what is not there exceeds.
pub fn threshold(judged: &[Judged], share: f64) -> f32 {
    let mut absent: Vec<f32> = judged.iter().filter(|j| !j.1).map(|j| j.0).collect();
    absent.sort_by(f32::total_cmp);
    let at = ((absent.len() as f64 * (1.0 - share)).ceil() as usize).min(absent.len().max(1) - 1);
    absent.get(at).copied().unwrap_or(f32::MIN)
}

/// The share of what is there that exceeds a score.
pub fn found_above(judged: &[Judged], score: f32) -> f64 {
    let there: Vec<&Judged> = judged.iter().filter(|j| j.1).collect();
    let found = there.iter().filter(|j| j.0 > score).count();
    found as f64 / there.len().max(1) as f64
}

/// Recall at the lowest score from which precision is at least `precision`.
pub fn recall_at(judged: &[Judged], precision: f64) -> f64 {
    let mut order: Vec<&Judged> = judged.iter().collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total = judged.iter().filter(|j| j.1).count().max(1);
    let (mut right, mut best) = (0, 0);
    for (at, judged) in order.iter().enumerate() {
        right += usize::from(judged.1);
        if right as f64 >= precision * (at + 1) as f64 {
            best = right;
        }
    }
    best as f64 / total as f64
}

/// A group of answers about as sure as each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// How sure they were on average.
    pub confidence: f64,
    /// How many of them were right.
    pub accuracy: f64,
    /// How many there are.
    pub count: usize,
}

/// Ten bins of equal width that are not empty.
pub fn bins(judged: &[Judged]) -> Vec<Bin> {
    (0..10)
        .filter_map(|bin| {
            let inside = |confidence: f32| ((confidence * 10.0) as usize).min(9) == bin;
            let own: Vec<&Judged> = judged.iter().filter(|j| inside(j.0)).collect();
            let count = own.len();
            (count > 0).then(|| Bin {
                confidence: own.iter().map(|j| f64::from(j.0)).sum::<f64>() / count as f64,
                accuracy: own.iter().filter(|j| j.1).count() as f64 / count as f64,
                count,
            })
        })
        .collect()
}

/// Expected calibration error (Naeini et al., AAAI 2015): how far confidence and accuracy are apart, weighed by how many.
pub fn calibration_error(judged: &[Judged]) -> f64 {
    let total = judged.len().max(1) as f64;
    let apart = |bin: &Bin| (bin.confidence - bin.accuracy).abs() * bin.count as f64;
    bins(judged).iter().map(apart).sum::<f64>() / total
}

/// Logistic regression by Newton's method with a little shrinkage; one of the numbers of a sample may be a constant 1.
pub fn fit_logistic<const N: usize>(samples: &[([f64; N], bool)]) -> [f64; N] {
    let mut weights = [0.0f64; N];
    for _ in 0..50 {
        let mut gradient = weights.map(|w| -1e-3 * w);
        let mut curvature = [[0.0; N]; N];
        for (row, line) in curvature.iter_mut().enumerate() {
            line[row] = 1e-3;
        }
        for (x, there) in samples {
            let sum: f64 = x.iter().zip(&weights).map(|(a, b)| a * b).sum();
            let p = 1.0 / (1.0 + (-sum).exp());
            let error = f64::from(u8::from(*there)) - p;
            for (row, slope) in gradient.iter_mut().enumerate() {
                *slope += error * x[row];
                for column in 0..N {
                    curvature[row][column] += p * (1.0 - p) * x[row] * x[column];
                }
            }
        }
        let step = solve(curvature, gradient);
        weights.iter_mut().zip(step).for_each(|(w, s)| *w += s);
        if step.iter().all(|s| s.abs() < 1e-9) {
            break;
        }
    }
    weights
}

/// Solves equations by elimination; the matrix is positive definite.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for pivot in 0..N {
        for row in pivot + 1..N {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            let above = matrix[pivot];
            for (value, above) in matrix[row].iter_mut().zip(above) {
                *value -= factor * above;
            }
            right[row] -= factor * right[pivot];
        }
    }
    let mut out = [0.0; N];
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N)
            .map(|column| matrix[row][column] * out[column])
            .sum();
        out[row] = (right[row] - known) / matrix[row][row];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_thresholds_of_known_scores() {
        let judged = [
            (0.9, true),
            (0.8, false),
            (0.7, true),
            (0.7, false),
            (0.1, false),
        ];
        // Pairs in order: .9 beats three, .7 beats one and ties with one.
        assert!((auc(&judged) - (3.0 + 1.5) / 6.0).abs() < 1e-12);
        let many: Vec<Judged> = (0..100)
            .map(|i| (i as f32, false))
            .chain([(98.5, true), (50.0, true)])
            .collect();
        assert_eq!(threshold(&many, 0.01), 99.0);
        assert_eq!(threshold(&many, 0.02), 98.0);
        assert_eq!(found_above(&many, 98.0), 0.5);
        assert_eq!(recall_at(&judged, 0.6), 1.0);
        assert_eq!(recall_at(&judged, 0.95), 0.5);
    }

    #[test]
    fn calibration_of_honest_and_of_boastful_confidences() {
        let honest: Vec<Judged> = (0..100).map(|i| (0.75, i % 4 != 0)).collect();
        assert!(calibration_error(&honest) < 1e-6);
        let boastful: Vec<Judged> = (0..100).map(|i| (0.95, i % 2 == 0)).collect();
        assert!((calibration_error(&boastful) - 0.45).abs() < 1e-6);
    }

    #[test]
    fn a_logistic_function_is_found_again() {
        let wanted = [4.0, -2.0, 0.5];
        let mut samples = Vec::new();
        for a in -10..=10 {
            for b in -10..=10 {
                let x = [f64::from(a) / 5.0, f64::from(b) / 5.0];
                let p = 1.0 / (1.0 + (-(wanted[0] * x[0] + wanted[1] * x[1] + wanted[2])).exp());
                // As many of a hundred as the function says.
                let there = (p * 100.0).round() as usize;
                samples.extend((0..100).map(|i| ([x[0], x[1], 1.0], i < there)));
            }
        }
        let found = fit_logistic(&samples);
        assert!(
            found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.1),
            "{found:?}"
        );
    }
}
