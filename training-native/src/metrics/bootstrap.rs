//! Confidence intervals by resampling (percentile bootstrap), for figures that are no plain rate.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::rates::Estimate;

/// Resamples of an interval: its ends then move by less than a tenth of its width between seeds.
const RESAMPLES: usize = 1000;

/// `statistic` of `items` with its 95 % interval. The same seed gives the same interval.
///
/// Items are drawn with replacement, so one item must be what is independent: a photo with all its
/// names, not a name. `NaN` values of the statistic are counted as 0.
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
    let cut = RESAMPLES / 40;
    Estimate {
        value,
        low: values[cut],
        high: values[RESAMPLES - 1 - cut],
    }
}

/// A number below `limit`: multiply and shift, whose bias (under 2^-32 here) does not matter.
fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    ((u128::from(rng.next_u64()) * limit as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rates::wilson;

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
        let sure = estimate(&[true; 9], 1, mean);
        assert_eq!((sure.value, sure.low, sure.high), (1.0, 1.0, 1.0));
    }
}
