//! From losses of tokens to the loss of a step: numerators of parts over counts of the whole.

use std::iter::Sum;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::config::{GrpoConfig, LossType};

/// What a step's loss is divided by: counts over all its micro-batches, shards and ranks.
///
/// Known before the first loss, from masks alone, so that every part divides by the same and the parts add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Completions.
    pub rows: f64,
    /// Tokens that count.
    pub tokens: f64,
    /// Tokens the entropy bonus acts on.
    pub bonus_tokens: f64,
}

impl Counts {
    /// Counts of rows whose masks have `tokens` each; the bonus acts on `bonus` of them all.
    pub fn of(tokens: &[usize], bonus: usize) -> Self {
        Self {
            rows: tokens.len() as f64,
            tokens: tokens.iter().sum::<usize>() as f64,
            bonus_tokens: bonus as f64,
        }
    }

    /// A share of these counts, as of a generation that is spread over several steps.
    ///
    /// `dapo`, `cispo` and `vespo` divide each of those steps by the mean over the generation, as TRL does, not by
    /// the tokens that fell to it.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self {
            rows: self.rows * share,
            tokens: self.tokens * share,
            bonus_tokens: self.bonus_tokens * share,
        }
    }

    /// What the policy loss of this type is divided by.
    ///
    /// `bnpo` in TRL divides by the tokens of a micro-batch, and its loss changes with how a step is cut; here by
    /// those of the step.
    pub fn divisor(&self, config: &GrpoConfig) -> f64 {
        let divisor = match config.loss_type {
            LossType::Grpo | LossType::Sapo | LossType::Luspo => self.rows,
            LossType::DrGrpo => self.rows * config.max_completion_length as f64,
            LossType::Bnpo | LossType::Dapo | LossType::Cispo | LossType::Vespo => self.tokens,
        };
        divisor.max(1.0)
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, c| Self {
            rows: sum.rows + c.rows,
            tokens: sum.tokens + c.tokens,
            bonus_tokens: sum.bonus_tokens + c.bonus_tokens,
        })
    }
}

/// The numerator `[1]` of a part: `values` (`[rows, tokens]` or `[rows, 1]`) summed under `mask` (1 or 0,
/// `[rows, tokens]`), for `grpo` and `sapo` the mean over each row's tokens summed over rows.
pub fn numerator(values: Tensor<2>, mask: Tensor<2>, loss_type: LossType) -> Tensor<1> {
    let rows = (values * mask.clone()).sum_dim(1);
    match loss_type {
        LossType::Grpo | LossType::Sapo => (rows / mask.sum_dim(1).clamp_min(1.0)).sum(),
        _ => rows.sum(),
    }
}
