//! Rewards: what a completion is worth, by rules that can be checked.
//!
//! A reward sees a batch of [`Row`]s and gives each a number, or none where it does not apply. None is not zero: such a row
//! is left out of its group's baseline. Rewards are known by name in [`registry`].

pub mod binding_f1;
pub mod columns;
pub mod covip;
pub mod covip_penalty;
pub mod external;
pub mod info;
pub mod preferthinker;
pub mod preferthinker_parse;
pub mod registry;
pub mod repic_compat;
pub mod repic_strict;
pub mod row;
pub mod set_f1;

use anyhow::{Result, ensure};

use crate::rl::metrics::Metrics;
pub use row::Row;

/// One reward.
pub trait Reward: Send {
    /// Its name in settings and in logs.
    fn name(&self) -> &str;

    /// The reward of each row, in order; `None` where it does not apply. What is worth logging goes into `log`.
    ///
    /// # Errors
    /// When no reward can be given for a reason that is no row's: a process that died, a file that is gone.
    fn score(&mut self, rows: &[Row], log: &mut Metrics) -> Result<Vec<Option<f32>>>;
}

/// The rewards of each row, `[row][reward]`, and what they logged under `rewards/<name>/...`.
///
/// # Errors
/// When a reward fails, gives another number of rewards than there are rows, or one that is infinite. NaN becomes none and is
/// counted as `rewards/<name>/nan`.
pub fn score_all(
    rewards: &mut [Box<dyn Reward>],
    rows: &[Row],
) -> Result<(Vec<Vec<Option<f32>>>, Metrics)> {
    let mut table = vec![Vec::with_capacity(rewards.len()); rows.len()];
    let mut metrics = Metrics::default();
    for reward in rewards {
        let mut log = Metrics::default();
        let given = reward.score(rows, &mut log)?;
        let name = reward.name();
        ensure!(
            given.len() == rows.len(),
            "reward '{name}' gave {} rewards for {} rows",
            given.len(),
            rows.len()
        );
        let mut nan = 0;
        for (at, (row, value)) in table.iter_mut().zip(given).enumerate() {
            ensure!(
                value.is_none_or(|v| !v.is_infinite()),
                "reward '{name}' of row {} is infinite",
                at + 1
            );
            let value = value.filter(|v| {
                nan += u32::from(v.is_nan());
                !v.is_nan()
            });
            row.push(value);
        }
        if nan > 0 {
            log.add("nan", crate::rl::metrics::Figure::Sum(nan.into()));
        }
        metrics.merge(log.under(&format!("rewards/{name}")));
    }
    Ok((table, metrics))
}

/// A reward that judges each row by itself.
pub(crate) struct PerRow<F> {
    name: &'static str,
    rule: F,
}

impl<F> PerRow<F>
where
    F: Fn(&Row) -> Result<Option<f32>> + Send,
{
    /// `rule` is `Ok(None)` where it does not apply, and an error where the row lacks or garbles a column it needs.
    pub(crate) fn new(name: &'static str, rule: F) -> Self {
        Self { name, rule }
    }
}

impl<F> Reward for PerRow<F>
where
    F: Fn(&Row) -> Result<Option<f32>> + Send,
{
    fn name(&self) -> &str {
        self.name
    }

    fn score(&mut self, rows: &[Row], log: &mut Metrics) -> Result<Vec<Option<f32>>> {
        let mut given = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let value = (self.rule)(row).map_err(|error| {
                anyhow::anyhow!("reward '{}', row {}: {error:#}", self.name, at + 1)
            })?;
            given.push(value);
        }
        let applies = given.iter().map(|v| f64::from(u8::from(v.is_some())));
        log.add("applies", crate::rl::metrics::Figure::mean(applies));
        Ok(given)
    }
}
