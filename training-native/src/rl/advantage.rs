//! Advantages: how much better each completion was rewarded than its group. On the host, in f64.

use anyhow::{Result, ensure};

use super::config::{GrpoConfig, MultiObjectiveAggregation, ScaleRewards};
use super::metrics::{Figure, Metrics};

/// Added to a standard deviation before anything is divided by it, as TRL does (others take 1e-6).
const STD_EPSILON: f64 = 1e-4;
/// A deviation up to this counts as none: `torch.isclose` against zero.
const ZERO_STD: f64 = 1e-8;

/// Advantages of a generation and what is worth logging of its rewards.
#[derive(Debug, Clone, PartialEq)]
pub struct Advantages {
    /// One a row; 0 where no reward could be given.
    pub values: Vec<f32>,
    /// Weighted sum of the rewards of each row; NaN where no reward could be given.
    pub rewards: Vec<f64>,
    /// Whether the deviation that applies to each row is zero.
    pub zero_std: Vec<bool>,
}

/// Advantages `[rows]` of `rewards[row][function]`; `None` and NaN are a reward that was not given.
///
/// Rows of a group lie together. With `scale_rewards` "batch" and with "normalize_then_sum" the figures of the whole
/// generation matter: hand over the rows of all ranks. (Eq. 3 of arXiv 2402.03300; GDPO is arXiv 2601.05242.)
///
/// # Errors
/// When rows are no whole groups, a row has another number of rewards than there are weights, or one is infinite.
pub fn advantages(rewards: &[Vec<Option<f64>>], config: &GrpoConfig) -> Result<Advantages> {
    let functions = rewards.first().map_or(0, Vec::len);
    let group = config.num_generations;
    let weights = match &config.reward_weights {
        Some(weights) => weights.clone(),
        None => vec![1.0; functions],
    };
    ensure!(!rewards.is_empty() && functions > 0, "there are no rewards");
    ensure!(
        group > 0 && rewards.len().is_multiple_of(group),
        "{} rewards are no whole groups of {group}",
        rewards.len()
    );
    ensure!(
        weights.len() == functions && rewards.iter().all(|row| row.len() == functions),
        "there are {} reward_weights, and {functions} rewards in the first row: every row must have one for each",
        weights.len()
    );
    let table: Vec<Vec<f64>> = rewards
        .iter()
        .map(|row| row.iter().map(|r| r.unwrap_or(f64::NAN)).collect())
        .collect();
    ensure!(
        table.iter().flatten().all(|r| !r.is_infinite()),
        "a reward is infinite"
    );
    let sums: Vec<f64> = table
        .iter()
        .map(|row| weighted(row, row, &weights))
        .collect();
    let (values, zero_std) = match config.multi_objective_aggregation {
        MultiObjectiveAggregation::SumThenNormalize => {
            normalised(&sums, group, config.scale_rewards)
        }
        MultiObjectiveAggregation::NormalizeThenSum => {
            let columns: Vec<Vec<f64>> = (0..functions)
                .map(|f| {
                    let column: Vec<f64> = table.iter().map(|row| row[f]).collect();
                    normalised(&column, group, ScaleRewards::Group).0
                })
                .collect();
            let sums: Vec<f64> = (0..table.len())
                .map(|i| {
                    let row: Vec<f64> = columns.iter().map(|column| column[i]).collect();
                    weighted(&row, &table[i], &weights)
                })
                .collect();
            normalised(&sums, sums.len(), ScaleRewards::Group)
        }
    };
    let values = values
        .iter()
        .map(|a| if a.is_nan() { 0.0 } else { *a as f32 })
        .collect();
    Ok(Advantages {
        values,
        rewards: sums,
        zero_std,
    })
}

/// Groups (by position) whose rewards of `function` do not differ: they teach nothing, and may be drawn again.
///
/// Choose the reward that says whether the task was done, not a shaped one. A group with fewer than two given rewards
/// counts as well.
pub fn groups_without_variance(
    rewards: &[Vec<Option<f64>>],
    function: usize,
    group: usize,
) -> Vec<usize> {
    let of = |rows: &[Vec<Option<f64>>]| -> Vec<f64> {
        let given = rows
            .iter()
            .filter_map(|row| row.get(function).copied().flatten());
        given.filter(|r| !r.is_nan()).collect()
    };
    rewards
        .chunks(group.max(1))
        .enumerate()
        .filter(|(_, rows)| deviation(&of(rows)).is_none_or(|std| std <= ZERO_STD))
        .map(|(at, _)| at)
        .collect()
}

/// Figures of a generation's rewards, `names` being those of the functions.
pub fn metrics(rewards: &[Vec<Option<f64>>], names: &[String], found: &Advantages) -> Metrics {
    let mut metrics = Metrics::default();
    for (f, name) in names.iter().enumerate() {
        let all = rewards.iter().map(|row| row.get(f).copied().flatten());
        let given: Vec<f64> = all.flatten().filter(|r| !r.is_nan()).collect();
        let missing = rewards.len() - given.len();
        metrics.add(format!("rewards/{name}/std"), Figure::std(&given));
        metrics.add(format!("rewards/{name}/mean"), Figure::mean(given));
        metrics.add(
            format!("rewards/{name}/missing"),
            Figure::Sum(missing as f64),
        );
    }
    let sums: Vec<f64> = found
        .rewards
        .iter()
        .copied()
        .filter(|r| !r.is_nan())
        .collect();
    let unscored = found.rewards.len() - sums.len();
    metrics.add("reward_std", Figure::std(&sums));
    metrics.add("reward", Figure::mean(sums));
    metrics.add("rewards/unscored_rows", Figure::Sum(unscored as f64));
    let zero = found.zero_std.iter().map(|z| f64::from(u8::from(*z)));
    metrics.add("frac_reward_zero_std", Figure::mean(zero));
    metrics
}

/// Sum of `values` times weights over those that are given; NaN where none of `given` is.
fn weighted(values: &[f64], given: &[f64], weights: &[f64]) -> f64 {
    if given.iter().all(|v| v.is_nan()) {
        return f64::NAN;
    }
    let terms = values.iter().zip(weights).map(|(v, w)| v * w);
    terms.filter(|v| !v.is_nan()).sum()
}

/// Values less the mean of their group, divided as `scale` says, and whether the deviation that applies is zero.
fn normalised(values: &[f64], group: usize, scale: ScaleRewards) -> (Vec<f64>, Vec<bool>) {
    let std = |values: &[f64]| {
        if values.len() < 2 {
            return 0.0;
        }
        let given: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        deviation(&given).unwrap_or(f64::NAN)
    };
    let batch = std(values);
    let mut out = Vec::with_capacity(values.len());
    let mut zero = Vec::with_capacity(values.len());
    for rows in values.chunks(group) {
        let given: Vec<f64> = rows.iter().copied().filter(|v| !v.is_nan()).collect();
        let mean = given.iter().sum::<f64>() / given.len() as f64;
        let std = match scale {
            ScaleRewards::Batch => batch,
            ScaleRewards::Group | ScaleRewards::None => std(rows),
        };
        let divisor = match scale {
            ScaleRewards::None => 1.0,
            ScaleRewards::Group | ScaleRewards::Batch => std + STD_EPSILON,
        };
        out.extend(rows.iter().map(|v| (v - mean) / divisor));
        zero.extend(rows.iter().map(|_| std <= ZERO_STD));
    }
    (out, zero)
}

/// Standard deviation with Bessel's correction; `None` of fewer than two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let Figure::Std { count, squares, .. } = Figure::std(values) else {
        return None;
    };
    (count > 1.0).then(|| (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rewards: &[f64], group: usize) -> Vec<f32> {
        let rows: Vec<_> = rewards.iter().map(|r| vec![Some(*r)]).collect();
        let config = GrpoConfig {
            num_generations: group,
            ..GrpoConfig::default()
        };
        advantages(&rows, &config).unwrap().values
    }

    #[test]
    fn worked_examples() {
        for (rewards, want) in [
            (
                vec![1.0, 0.0, 0.0, 1.0],
                vec![0.865_875, -0.865_875, -0.865_875, 0.865_875],
            ),
            (
                vec![0.5, 1.0, 0.0, 0.5],
                vec![0.0, 1.224_445, -1.224_445, 0.0],
            ),
            (vec![0.7; 4], vec![0.0; 4]),
        ] {
            for (got, want) in of(&rewards, 4).iter().zip(&want) {
                // The figures are given to six places.
                assert!((got - want).abs() < 1e-6, "{rewards:?}: {got} {want}");
            }
        }
        let eight = of(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], 8);
        assert!((eight[0] - 1.619_835).abs() < 1e-6 && (eight[1] + 0.539_945).abs() < 1e-6);
    }

    #[test]
    fn groups_do_not_hear_of_each_other() {
        let both = of(&[1.0, 0.0, 9.0, 7.0], 2);
        assert_eq!(both[..2], of(&[1.0, 0.0], 2)[..]);
        assert_eq!(both[2..], of(&[9.0, 7.0], 2)[..]);
    }

    #[test]
    fn a_missing_reward_is_no_zero() {
        let rows = vec![
            vec![Some(1.0)],
            vec![None],
            vec![Some(f64::NAN)],
            vec![Some(0.0)],
        ];
        let config = GrpoConfig {
            num_generations: 4,
            ..GrpoConfig::default()
        };
        let found = advantages(&rows, &config).unwrap();
        // As if the group had been of two: (1 - 1/2) / (sqrt(1/2) + 1e-4).
        assert!((found.values[0] - 0.707_007).abs() < 1e-6);
        assert_eq!(found.values[1..3], [0.0, 0.0]);
        let logged = metrics(&rows, &["r".into()], &found);
        assert_eq!(logged.get("rewards/r/missing"), Some(2.0));
        assert_eq!(logged.get("rewards/r/mean"), Some(0.5));
        assert_eq!(
            groups_without_variance(&rows, 0, 2),
            [0, 1],
            "one reward a group says nothing"
        );
        assert_eq!(groups_without_variance(&rows, 0, 4), [0usize; 0]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let config = GrpoConfig {
            num_generations: 2,
            ..GrpoConfig::default()
        };
        for (rows, word) in [
            (vec![], "no rewards"),
            (vec![vec![Some(1.0)]], "whole groups"),
            (vec![vec![Some(1.0)], vec![]], "every row"),
            (vec![vec![Some(f64::INFINITY)], vec![Some(1.0)]], "infinite"),
        ] {
            let said = advantages(&rows, &config).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
