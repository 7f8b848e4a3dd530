//! The policy loss of each token: what an advantage asks of a log-probability, by loss type.

use burn::tensor::{Tensor, activation};

use super::config::{GrpoConfig, ImportanceSamplingLevel, LossType};

/// Log-ratios are held within this, nats: beyond, the exponential runs out of f32 and one token would make a whole
/// step NaN. TRL has no such limit; a ratio of five hundred million is the same to every loss here but the unclipped
/// one.
pub const LOG_RATIO_LIMIT: f32 = 20.0;

/// Least ratio of a sequence that `vespo` tells from nothing: log 1e-8.
const VESPO_LOG_FLOOR: f32 = -18.420_68;

/// How likely the policy makes what was sampled, against the policy it was sampled with.
#[derive(Debug, Clone)]
pub struct Ratio {
    /// Log-ratio of each token, 0 outside the mask, `[rows, tokens]`.
    pub log: Tensor<2>,
    /// The ratio by importance sampling level: `[rows, tokens]`, or `[rows, 1]` of sequences.
    pub value: Tensor<2>,
}

impl Ratio {
    /// Ratios of `logps` to `old`, both 0 outside `mask` (1 or 0), all `[rows, tokens]`.
    pub fn new(
        logps: Tensor<2>,
        old: Tensor<2>,
        mask: Tensor<2>,
        level: ImportanceSamplingLevel,
    ) -> Self {
        let log = logps - old.detach();
        let exponent = match level {
            ImportanceSamplingLevel::Token => log.clone(),
            ImportanceSamplingLevel::Sequence => {
                let tokens = mask.clone().sum_dim(1).clamp_min(1.0);
                (log.clone() * mask).sum_dim(1) / tokens
            }
        };
        let value = exponent.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp();
        Self { log, value }
    }
}

/// What the loss of a step is made of, beside the settings.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Log-probabilities, 0 outside the mask, `[rows, tokens]`.
    pub logps: Tensor<2>,
    /// Ratios to the policy that sampled.
    pub ratio: Ratio,
    /// Advantages `[rows, 1]`.
    pub advantages: Tensor<2>,
    /// 1 for tokens that count, `[rows, tokens]`.
    pub mask: Tensor<2>,
    /// Ratio of training to rollout distribution, `[rows, tokens]` or `[rows, 1]`; only `vespo` asks here.
    pub correction: Option<Tensor<2>>,
}

/// Loss of each token, and figures of it that a loss type has of its own.
#[derive(Debug)]
pub struct PolicyLoss {
    /// `[rows, tokens]`, or `[rows, 1]` where every token of a row has the same.
    pub values: Tensor<2>,
    /// The unclipped ratio that clipping is counted on, where the type clips.
    pub clipped_from: Option<Tensor<2>>,
    /// `vespo`'s weight of each sequence, `[rows, 1]`.
    pub phi: Option<Tensor<2>>,
}

/// The loss of each token.
pub fn policy_loss(terms: Terms, config: &GrpoConfig) -> PolicyLoss {
    match config.loss_type {
        LossType::Grpo | LossType::Bnpo | LossType::DrGrpo | LossType::Dapo | LossType::Luspo => {
            clipped(terms, config)
        }
        LossType::Cispo => {
            let ratio = terms.ratio.value.detach();
            let weight = ratio.clone().clamp_max(config.upper_epsilon());
            PolicyLoss {
                values: -(weight * terms.advantages) * terms.logps,
                clipped_from: Some(ratio),
                phi: None,
            }
        }
        LossType::Sapo => PolicyLoss {
            values: sapo(terms, config),
            clipped_from: None,
            phi: None,
        },
        LossType::Vespo => {
            let phi = vespo_weight(&terms, config);
            PolicyLoss {
                values: -(phi.clone() * terms.advantages) * terms.logps,
                clipped_from: None,
                phi: Some(phi),
            }
        }
    }
}

/// `-min(min(r, delta) A, clip(r) A)` (PPO; `delta` is INTELLECT-2's, arXiv 2505.07291).
fn clipped(terms: Terms, config: &GrpoConfig) -> PolicyLoss {
    let ratio = terms.ratio.value;
    let within = ratio
        .clone()
        .clamp(1.0 - config.epsilon, 1.0 + config.upper_epsilon());
    let ratio = match config.delta {
        Some(delta) => ratio.clamp_max(delta),
        None => ratio,
    };
    let free = ratio.clone() * terms.advantages.clone();
    let held = within * terms.advantages;
    PolicyLoss {
        values: -free.min_pair(held),
        clipped_from: Some(ratio.detach()),
        phi: None,
    }
}

/// `-(4/t) sigmoid(t (r - 1)) A` with a temperature by the advantage's sign.
fn sapo(terms: Terms, config: &GrpoConfig) -> Tensor<2> {
    let above = terms.advantages.clone().greater_elem(0.0);
    let temperature = terms
        .advantages
        .full_like(config.sapo_temperature_neg)
        .mask_fill(above, config.sapo_temperature_pos);
    let gate = activation::sigmoid((terms.ratio.value - 1.0) * temperature.clone());
    -(gate * 4.0 / temperature) * terms.advantages
}

/// `exp(lambda + k log w - lambda w)` of the sequence's ratio `w`, `[rows, 1]`, not differentiated.
fn vespo_weight(terms: &Terms, config: &GrpoConfig) -> Tensor<2> {
    let log = terms.ratio.log.clone().detach();
    let log = log.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT) * terms.mask.clone();
    let mut sum = log.sum_dim(1);
    if let Some(correction) = &terms.correction {
        let log = correction.clone().detach().log();
        sum = sum + log.clamp(VESPO_LOG_FLOOR, LOG_RATIO_LIMIT).sum_dim(1);
    }
    let log = sum.clamp(VESPO_LOG_FLOOR, LOG_RATIO_LIMIT);
    let below = terms.advantages.clone().lower_elem(0.0);
    let by_sign = |pos: f64, neg: f64| {
        let all = terms.advantages.full_like(pos);
        all.mask_fill(below.clone(), neg)
    };
    let power = by_sign(config.vespo_k_pos, config.vespo_k_neg);
    // TRL's floor: at zero nothing would hold the weight back.
    let decay = by_sign(config.vespo_lambda_pos, config.vespo_lambda_neg).clamp_min(1e-4);
    (decay.clone() + power * log.clone() - decay * log.exp()).exp()
}
