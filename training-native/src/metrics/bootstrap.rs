//! Confidence intervals by resampling (percentile bootstrap), for figures that are no plain rate.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::rates::{Estimate, ratio, wilson};

/// Resamples of an interval: its ends then move by less than a tenth of its width between seeds.
const RESAMPLES: usize = 1000;

/// `statistic` of `items` with its 95 % interval. The same seed gives the same interval.
///
/// Items are drawn with replacement, so one item must be what is independent: a photo with all its
/// names, not a name. `NaN` values of the statistic are counted as 0. Where every resample gives the
/// same 0 or the same 1, resampling knows nothing of the spread: the ends are then those of [`wilson`] for
/// as many trials as there are items.
pub fn estimate<T>(items: &[T], seed: u64, statistic: impl Fn(&[&T]) -> f64) -> Estimate {
    let statistic = |sample: &[&T]| {
        let value = statistic(sample);
        if value.is_nan() { 0.0 } else { value }
    };
    let all: Vec<&T> = items.iter().collect();
    let value = statistic(&all);
    if items.is_empty() {
        return Estimate {
            value,
            low: value,
            high: value,
        };
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut sample = Vec::with_capacity(items.len());
    let mut values: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            sample.clear();
            sample.extend((0..items.len()).map(|_| &items[below(&mut rng, items.len())]));
            statistic(&sample)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[RESAMPLES - 1]);
    if least == most && (value == 0.0 || value == 1.0) {
        let trials = items.len();
        return wilson(if value == 1.0 { trials } else { 0 }, trials);
    }
    let cut = RESAMPLES / 40;
    Estimate {
        value,
        low: values[cut],
        high: values[RESAMPLES - 1 - cut],
    }
}

/// The share of right answers when each item has `(right, asked)` questions; by [`wilson`] where every item has
/// one, else by resampling items, because questions about one photo are right or wrong together.
pub fn rate(items: &[(usize, usize)], seed: u64) -> Estimate {
    let share = |sample: &[&(usize, usize)]| {
        let (right, asked) = sample
            .iter()
            .fold((0, 0), |sum, item| (sum.0 + item.0, sum.1 + item.1));
        ratio(right, asked)
    };
    if items.iter().all(|(_, asked)| *asked == 1) {
        return wilson(items.iter().map(|(right, _)| right).sum(), items.len());
    }
    estimate(items, seed, share)
}

/// A number below `limit`: multiply and shift, whose bias (under 2^-32 here) does not matter.
pub(crate) fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    ((u128::from(rng.next_u64()) * limit as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(sample: &[&bool]) -> f64 {
        sample.iter().filter(|x| ***x).count() as f64 / sample.len() as f64
    }

    #[test]
    fn it_agrees_with_the_formula_for_a_plain_rate() {
        let items: Vec<bool> = (0..400).map(|i| i % 4 == 0).collect();
        let (by_draws, by_formula) = (estimate(&items, 7, mean), wilson(100, 400));
        assert_eq!(by_draws.value, 0.25);
        // A tenth of the interval's width of 0.085.
        assert!(
            (by_draws.low - by_formula.low).abs() < 0.0085,
            "{by_draws:?} {by_formula:?}"
        );
        assert!(
            (by_draws.high - by_formula.high).abs() < 0.0085,
            "{by_draws:?} {by_formula:?}"
        );
    }

    #[test]
    fn it_is_deterministic_and_survives_the_edges() {
        let items: Vec<bool> = (0..50).map(|i| i % 3 == 0).collect();
        assert_eq!(estimate(&items, 1, mean), estimate(&items, 1, mean));
        let fine: Vec<f64> = (0..50).map(|i| f64::from(i).sqrt()).collect();
        let average = |sample: &[&f64]| sample.iter().copied().sum::<f64>() / sample.len() as f64;
        assert_ne!(estimate(&fine, 1, average), estimate(&fine, 2, average));
        let none = estimate(&[], 1, mean);
        assert_eq!((none.value, none.low, none.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn nothing_is_certain_because_nothing_went_wrong_yet() {
        assert_eq!(estimate(&[true; 60], 1, mean), wilson(60, 60));
        assert_eq!(estimate(&[false; 60], 1, mean), wilson(0, 60));
        assert!(estimate(&[true; 60], 1, mean).low < 0.95);
    }

    #[test]
    fn questions_about_one_photo_are_not_independent() {
        assert_eq!(rate(&[(1, 1), (0, 1), (1, 1), (1, 1)], 1), wilson(3, 4));
        // A hundred photos whose four questions are right or wrong together say no more than a hundred questions.
        let together: Vec<(usize, usize)> = (0..100).map(|i| (4 * (i % 2), 4)).collect();
        let (clustered, naive) = (rate(&together, 1), wilson(200, 400));
        assert_eq!(clustered.value, 0.5);
        assert!(clustered.high - clustered.low > 1.7 * (naive.high - naive.low));
        assert_eq!(rate(&[], 1).value, 0.0);
    }
}
