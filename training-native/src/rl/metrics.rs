//! Figures under TRL's names that add up: each knows how parts of a step, on any shard or rank, become one number.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// One figure and what is needed to merge it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// A weighted mean.
    Mean {
        /// Sum of values times weights.
        sum: f64,
        /// Sum of weights.
        weight: f64,
    },
    /// A standard deviation with Bessel's correction.
    Std {
        /// How many values.
        count: f64,
        /// Their mean.
        mean: f64,
        /// Sum of squared distances from it.
        squares: f64,
    },
    /// A sum.
    Sum(f64),
    /// The least of the parts.
    Min(f64),
    /// The largest of the parts.
    Max(f64),
}

impl Figure {
    /// Mean of `values`.
    pub fn mean(values: impl IntoIterator<Item = f64>) -> Self {
        let (sum, weight) = values
            .into_iter()
            .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        Self::Mean { sum, weight }
    }

    /// Standard deviation of `values`.
    pub fn std(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self::Std {
            count,
            mean,
            squares,
        }
    }

    /// The number; `None` where there is nothing to say, as of an empty mean.
    pub fn value(&self) -> Option<f64> {
        let value = match *self {
            Self::Mean { sum, weight } => sum / weight,
            Self::Std { count, squares, .. } if count > 1.0 => (squares / (count - 1.0)).sqrt(),
            Self::Std { .. } => f64::NAN,
            Self::Sum(value) | Self::Min(value) | Self::Max(value) => value,
        };
        value.is_finite().then_some(value)
    }

    /// Both parts as one. Of two kinds under one name the later stays.
    fn merged(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::Mean { sum, weight },
                Self::Mean {
                    sum: more,
                    weight: with,
                },
            ) => Self::Mean {
                sum: sum + more,
                weight: weight + with,
            },
            (Self::Std { count: 0.0, .. }, other) => other,
            (one, Self::Std { count: 0.0, .. }) => one,
            (
                Self::Std {
                    count: n,
                    mean: a,
                    squares: s,
                },
                Self::Std {
                    count: m,
                    mean: b,
                    squares: t,
                },
            ) => {
                // Chan et al. 1983: no difference of large squares.
                let count = n + m;
                Self::Std {
                    count,
                    mean: (n * a + m * b) / count,
                    squares: s + t + (b - a).powi(2) * n * m / count,
                }
            }
            (Self::Sum(a), Self::Sum(b)) => Self::Sum(a + b),
            (Self::Min(a), Self::Min(b)) => Self::Min(a.min(b)),
            (Self::Max(a), Self::Max(b)) => Self::Max(a.max(b)),
            (_, other) => other,
        }
    }
}

/// Figures by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(BTreeMap<String, Figure>);

impl Metrics {
    /// Adds a figure; one that is there already is merged with it.
    pub fn add(&mut self, name: impl Into<String>, figure: Figure) {
        let name = name.into();
        let merged = match self.0.get(&name) {
            Some(known) => known.merged(figure),
            None => figure,
        };
        self.0.insert(name, merged);
    }

    /// Adds all of `other`, as of another shard or rank.
    pub fn merge(&mut self, other: Self) {
        for (name, figure) in other.0 {
            self.add(name, figure);
        }
    }

    /// All of them together, as of several ranks.
    pub fn merged(all: impl IntoIterator<Item = Self>) -> Self {
        let mut merged = Self::default();
        all.into_iter().for_each(|one| merged.merge(one));
        merged
    }

    /// The same figures below `prefix/`.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        let renamed = self.0.into_iter();
        Self(
            renamed
                .map(|(name, f)| (format!("{prefix}/{name}"), f))
                .collect(),
        )
    }

    /// The number of that name, where it has one.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Figure::value)
    }

    /// All numbers there are, by name in alphabetical order.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0
            .iter()
            .filter_map(|(name, figure)| Some((name.as_str(), figure.value()?)))
    }
}

/// What a figure on the device will be.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Mean,
    Sum,
    Min,
    Max,
}

/// Figures that are still on the device; reading waits for it, so it is done once, after the gradients are on their way.
#[derive(Debug, Default)]
pub struct Pending {
    entries: Vec<(String, Kind)>,
    /// A value and its weight for each entry.
    scalars: Vec<Tensor<1>>,
}

impl Pending {
    /// A mean: `sum` of values times weights, and the weights, each `[1]`.
    pub fn mean(&mut self, name: &str, sum: Tensor<1>, weight: Tensor<1>) {
        self.push(name, Kind::Mean, sum, weight);
    }

    /// A sum `[1]`.
    pub fn sum(&mut self, name: &str, value: Tensor<1>) {
        self.push(name, Kind::Sum, value.clone(), value);
    }

    /// The least of the parts, `[1]`; infinite says nothing.
    pub fn min(&mut self, name: &str, value: Tensor<1>) {
        self.push(name, Kind::Min, value.clone(), value);
    }

    /// The largest of the parts, `[1]`; infinite says nothing.
    pub fn max(&mut self, name: &str, value: Tensor<1>) {
        self.push(name, Kind::Max, value.clone(), value);
    }

    fn push(&mut self, name: &str, kind: Kind, value: Tensor<1>, weight: Tensor<1>) {
        self.entries.push((name.into(), kind));
        self.scalars.extend([value.detach(), weight.detach()]);
    }

    /// Waits for the device and reads all of them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(self) -> Result<Metrics> {
        let mut metrics = Metrics::default();
        if self.entries.is_empty() {
            return Ok(metrics);
        }
        let data = Tensor::cat(self.scalars, 0).try_into_data()?;
        let values: Vec<f32> = data.convert::<f32>().try_to_vec()?;
        ensure!(
            values.len() == 2 * self.entries.len(),
            "a figure of the loss was no single number"
        );
        for ((name, kind), pair) in self.entries.into_iter().zip(values.chunks_exact(2)) {
            let [value, weight] = [pair[0], pair[1]].map(f64::from);
            let figure = match kind {
                Kind::Mean => Figure::Mean { sum: value, weight },
                Kind::Sum => Figure::Sum(value),
                Kind::Min => Figure::Min(value),
                Kind::Max => Figure::Max(value),
            };
            metrics.add(name, figure);
        }
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0];
        for cut in 0..=values.len() {
            let (a, b) = values.split_at(cut);
            for make in [|v: &[f64]| Figure::mean(v.iter().copied()), Figure::std] {
                let merged = make(a).merged(make(b)).value().unwrap();
                // Sums in another order.
                assert!(
                    (merged - make(&values).value().unwrap()).abs() < 1e-12,
                    "cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let mut metrics = Metrics::default();
        metrics.add("mean", Figure::mean([]));
        metrics.add("std", Figure::std(&[]));
        metrics.add("min", Figure::Min(f64::INFINITY));
        metrics.add("sum", Figure::Sum(2.0));
        let mut again = metrics.clone();
        again.merge(metrics);
        assert_eq!(again.values().collect::<Vec<_>>(), [("sum", 4.0)]);
        assert_eq!(Figure::std(&[1.0]).value(), None, "one value has no spread");
    }
}
