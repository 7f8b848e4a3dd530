//! Rates from counts: precision, recall, F1, and the Wilson interval of a proportion.

use std::iter::Sum;

use serde::{Deserialize, Serialize};

/// 95 % of a normal distribution lie within this many standard deviations.
const Z95: f64 = 1.959_963_984_540_054;

/// A figure with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The measured value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What was found, what was found wrongly, and what was missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Expected and found.
    pub correct: usize,
    /// Found but not expected.
    pub wrong: usize,
    /// Expected but not found.
    pub missed: usize,
}

impl Counts {
    /// Correct among the found; 0 if nothing was found.
    pub fn precision(&self) -> f64 {
        ratio(self.correct, self.correct + self.wrong)
    }

    /// Correct among the expected; 0 if nothing was expected.
    pub fn recall(&self) -> f64 {
        ratio(self.correct, self.correct + self.missed)
    }

    /// Harmonic mean of precision and recall; 0 if both are 0.
    pub fn f1(&self) -> f64 {
        ratio(
            2 * self.correct,
            2 * self.correct + self.wrong + self.missed,
        )
    }
}

impl<'a> Sum<&'a Counts> for Counts {
    fn sum<I: Iterator<Item = &'a Counts>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, c| Self {
            correct: sum.correct + c.correct,
            wrong: sum.wrong + c.wrong,
            missed: sum.missed + c.missed,
        })
    }
}

/// `part / whole`, 0 where there is no whole.
pub fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A proportion with its Wilson score interval (Wilson 1927), which stays sensible near 0 and 1.
///
/// Without trials nothing is known: 0, from 0 to 1.
pub fn wilson(successes: usize, trials: usize) -> Estimate {
    if trials == 0 {
        return Estimate {
            value: 0.0,
            low: 0.0,
            high: 1.0,
        };
    }
    let (n, p) = (trials as f64, ratio(successes, trials));
    let z2 = Z95 * Z95;
    let centre = p + z2 / (2.0 * n);
    let spread = Z95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    // Rounding may step over the ends by one unit in the last place.
    let [low, high] = [centre - spread, centre + spread].map(|x| (x / scale).clamp(0.0, 1.0));
    Estimate {
        value: p,
        low: low.min(p),
        high: high.max(p),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_counts() {
        let c = Counts {
            correct: 7,
            wrong: 3,
            missed: 11,
        };
        assert!((c.precision() - 0.7).abs() < 1e-12);
        assert!((c.recall() - 7.0 / 18.0).abs() < 1e-12);
        assert!((c.f1() - 0.5).abs() < 1e-12);
        let none = Counts::default();
        assert_eq!(
            (none.precision(), none.recall(), none.f1()),
            (0.0, 0.0, 0.0)
        );
        let total: Counts = [c, c].iter().sum();
        assert_eq!(
            total,
            Counts {
                correct: 14,
                wrong: 6,
                missed: 22
            }
        );
    }

    #[test]
    fn wilson_intervals() {
        // Published values to four places.
        for (successes, trials, low, high) in [
            (8, 10, 0.4902, 0.9433),
            (0, 10, 0.0, 0.2775),
            (10, 10, 0.7225, 1.0),
            (50, 100, 0.4038, 0.5962),
        ] {
            let e = wilson(successes, trials);
            assert!(
                (e.low - low).abs() < 5e-5 && (e.high - high).abs() < 5e-5,
                "{e:?}"
            );
            assert!(e.low <= e.value && e.value <= e.high);
        }
        assert_eq!(
            wilson(0, 0),
            Estimate {
                value: 0.0,
                low: 0.0,
                high: 1.0
            }
        );
    }
}
