//! How sure figures and differences are: hierarchical bootstrap over seeds and photos, and Holm's correction.
//!
//! A resample draws seeds with replacement, and photos with replacement; the photos are the same for all seeds and, in a
//! difference, for both arms, because all were shown the same photos. The figure of a resample is the mean over its seeds of
//! the micro-averaged F1. Photos are the finer level and seeds the coarser: with few seeds the interval is a little too
//! narrow (the spread of a mean of n drawn from n is (n - 1) / n of what it should be), which the page that shows it says.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

use crate::metrics::bootstrap::below;
use crate::metrics::rates::{Counts, Estimate};

/// Resamples of an interval.
const RESAMPLES: usize = 4000;

/// A difference of two arms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The first less the second, with its 95 % interval.
    pub estimate: Estimate,
    /// Two-sided: how likely so large a difference would be without any, by the share of resamples on the other side of 0.
    pub p: f64,
}

/// What became of each photo under each seed of an arm.
pub type Seeds<'a> = [&'a [Counts]];

/// The mean over seeds of the micro-averaged F1, with its 95 % interval. 0 where nothing was measured.
pub fn interval(arm: &Seeds<'_>, seed: u64) -> Estimate {
    let photos = shared(&[arm]);
    if photos == 0 {
        return Estimate {
            value: 0.0,
            low: 0.0,
            high: 0.0,
        };
    }
    let values = resampled(seed, |rng| {
        let chosen = draw(rng, photos);
        mean_of_drawn(arm, &chosen, rng)
    });
    estimate(plain(arm, photos), values)
}

/// How much better `better` is than `than` on the same photos.
pub fn difference(better: &Seeds<'_>, than: &Seeds<'_>, seed: u64) -> Difference {
    let photos = shared(&[better, than]);
    let zero = Estimate {
        value: 0.0,
        low: 0.0,
        high: 0.0,
    };
    if photos == 0 {
        return Difference {
            estimate: zero,
            p: 1.0,
        };
    }
    let values = resampled(seed, |rng| {
        let chosen = draw(rng, photos);
        mean_of_drawn(better, &chosen, rng) - mean_of_drawn(than, &chosen, rng)
    });
    let side = |of: fn(&f64) -> bool| values.iter().filter(|v| of(v)).count();
    let least = side(|v| *v <= 0.0).min(side(|v| *v >= 0.0));
    // One is added, so that a p is never 0: it is known to one in so many resamples only.
    let p = (2.0 * (least + 1) as f64 / (RESAMPLES + 1) as f64).min(1.0);
    Difference {
        estimate: estimate(plain(better, photos) - plain(than, photos), values),
        p,
    }
}

/// Holm's step-down correction (1979): what each p is worth when all are looked at. In the order they came.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![0.0; p.len()];
    let mut most = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        most = most.max((p[at] * (p.len() - rank) as f64).min(1.0));
        corrected[at] = most;
    }
    corrected
}

/// Photos that every seed of every arm was shown; 0 where an arm has no seed.
fn shared(arms: &[&Seeds<'_>]) -> usize {
    if arms.iter().any(|arm| arm.is_empty()) {
        return 0;
    }
    let all = arms.iter().flat_map(|arm| arm.iter());
    all.map(|photos| photos.len()).min().unwrap_or(0)
}

fn resampled(seed: u64, mut statistic: impl FnMut(&mut ChaCha8Rng) -> f64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..RESAMPLES).map(|_| statistic(&mut rng)).collect()
}

/// How often each photo was drawn.
fn draw(rng: &mut ChaCha8Rng, photos: usize) -> Vec<u32> {
    let mut times = vec![0; photos];
    for _ in 0..photos {
        times[below(rng, photos)] += 1;
    }
    times
}

fn mean_of_drawn(arm: &Seeds<'_>, times: &[u32], rng: &mut ChaCha8Rng) -> f64 {
    let scores = (0..arm.len()).map(|_| f1(arm[below(rng, arm.len())], times));
    scores.sum::<f64>() / arm.len() as f64
}

fn plain(arm: &Seeds<'_>, photos: usize) -> f64 {
    let once = vec![1; photos];
    arm.iter().map(|seed| f1(seed, &once)).sum::<f64>() / arm.len() as f64
}

fn f1(photos: &[Counts], times: &[u32]) -> f64 {
    let mut sum = Counts::default();
    for (counts, &times) in photos.iter().zip(times) {
        let times = times as usize;
        sum.correct += counts.correct * times;
        sum.wrong += counts.wrong * times;
        sum.missed += counts.missed * times;
    }
    sum.f1()
}

fn estimate(value: f64, mut values: Vec<f64>) -> Estimate {
    values.sort_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    Estimate {
        value,
        low: values[cut],
        high: values[RESAMPLES - 1 - cut],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Photos of one name each, right with probability `share`.
    fn photos(seed: u64, share: f64, count: usize) -> Vec<Counts> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let right = |rng: &mut ChaCha8Rng| below(rng, 1000) < (share * 1000.0) as usize;
        let one = |right: bool| Counts {
            correct: usize::from(right),
            wrong: usize::from(!right),
            missed: usize::from(!right),
        };
        (0..count).map(|_| one(right(&mut rng))).collect()
    }

    fn refs(seeds: &[Vec<Counts>]) -> Vec<&[Counts]> {
        seeds.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn one_seed_gives_the_interval_of_a_proportion_and_seeds_that_differ_widen_it() {
        let alike = vec![photos(1, 0.5, 400)];
        let found = interval(&refs(&alike), 3);
        // A proportion of 400: 1.96 times 0.025 either way; a tenth of that for the resamples.
        assert!((found.high - found.low - 0.098).abs() < 0.01, "{found:?}");
        let apart: Vec<_> = [0.3, 0.5, 0.7].map(|share| photos(2, share, 400)).into();
        let wide = interval(&refs(&apart), 3);
        assert!(wide.high - wide.low > 0.2, "{wide:?}");
        assert_eq!(interval(&refs(&apart), 3), wide, "the same seed");
        assert_eq!(interval(&[], 3).value, 0.0);
    }

    #[test]
    fn differences_are_found_where_they_are_and_only_there() {
        let low: Vec<_> = (0..5).map(|s| photos(s, 0.60, 600)).collect();
        let high: Vec<_> = (0..5).map(|s| photos(50 + s, 0.70, 600)).collect();
        let found = difference(&refs(&high), &refs(&low), 1);
        assert!(found.p < 0.01 && found.estimate.low > 0.0, "{found:?}");
        let back = difference(&refs(&low), &refs(&high), 1);
        assert!((back.estimate.value + found.estimate.value).abs() < 1e-12);
        let same = difference(&refs(&low), &refs(&low), 1);
        assert_eq!(same.estimate.value, 0.0);
        assert!(same.p > 0.5, "{same:?}");
        assert_eq!(difference(&refs(&low), &[], 1).p, 1.0);
    }

    #[test]
    fn under_no_difference_few_are_called_one() {
        // 60 comparisons of arms of the same quality: 3 are expected below 0.05. The bootstrap of 5 seeds is a little too bold,
        // 9 (15 %) is three standard deviations above what that gives.
        let called = (0..60).filter(|trial| {
            let arm = |from: u64| -> Vec<Vec<Counts>> {
                (0..5)
                    .map(|s| photos(1000 * trial + from + s, 0.6, 120))
                    .collect()
            };
            let (one, two) = (arm(0), arm(500));
            difference(&refs(&one), &refs(&two), *trial).p < 0.05
        });
        let called = called.count();
        assert!(called <= 9, "{called}");
    }

    #[test]
    fn holm_steps_down() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, want) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - want).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }
}
