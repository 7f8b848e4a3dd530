//! The loss of a micro-batch of completions: policy, masks, corrections, KL and entropy bonus, in TRL's order.

use anyhow::{Context, Result, ensure};
use burn::tensor::{Bool, Tensor};

use super::aggregate::{Counts, numerator};
use super::config::{GrpoConfig, LossType};
use super::kl::k3;
use super::metrics::Pending;
use super::off_policy::kept_rows;
use super::policy_loss::{Ratio, Terms, policy_loss};

/// What is known of the completions of a micro-batch. All `[rows, tokens]` unless said; nothing outside `mask` matters,
/// whatever stands there.
#[derive(Debug, Clone)]
pub struct LossInputs {
    /// Log-probabilities under the policy, of the tempered distribution; the loss is differentiated in them.
    pub logps: Tensor<2>,
    /// Entropies of that distribution, nats; the bonus is differentiated in them.
    pub entropies: Option<Tensor<2>>,
    /// Log-probabilities when the completions were sampled; where absent, the present ones.
    pub old_logps: Option<Tensor<2>>,
    /// Log-probabilities under the reference.
    pub ref_logps: Option<Tensor<2>>,
    /// Log-probabilities of the distribution that really sampled; NaN where unknown.
    pub sampling_logps: Option<Tensor<2>>,
    /// Ratio of [`super::off_policy::importance_ratio`], `[rows, tokens]` or `[rows, 1]`.
    pub importance_ratio: Option<Tensor<2>>,
    /// The tokens of [`super::entropy::high_entropy`].
    pub high_entropy: Option<Tensor<2, Bool>>,
    /// Which tokens count.
    pub mask: Tensor<2, Bool>,
    /// Advantages `[rows]`.
    pub advantages: Tensor<1>,
}

/// The part of the step's loss `[1]` that these rows are, and figures of them.
///
/// `counts` are those of the whole step; the parts' losses and gradients add up to the step's. `entropy_coef` is the
/// weight of the bonus in this step ([`super::entropy::EntropyControl::coef`]).
///
/// # Errors
/// When shapes differ, or something is missing that the settings ask for.
pub fn loss(
    inputs: LossInputs,
    config: &GrpoConfig,
    counts: &Counts,
    entropy_coef: f64,
) -> Result<(Tensor<1>, Pending)> {
    inputs.check(config)?;
    let rows = inputs.clean(config);
    let mut figures = Pending::default();
    let values = token_losses(&rows, config, &mut figures);
    let Clean {
        counted,
        uncertain,
        entropies,
        ..
    } = rows;
    let mut total = numerator(values, counted.clone(), config.loss_type) / counts.divisor(config);
    figures.sum("policy_loss", total.clone());
    if let Some(entropies) = entropies {
        let sum = (entropies.clone() * counted.clone()).sum();
        figures.mean("entropy", sum, counted.sum());
        if config.has_entropy_bonus() {
            let bonus = (entropies * uncertain).sum() / counts.bonus_tokens.max(1.0);
            total = total - bonus * entropy_coef;
        }
    }
    figures.sum("loss", total.clone());
    Ok((total, figures))
}

/// The inputs with nothing left outside the mask.
struct Clean {
    logps: Tensor<2>,
    old: Tensor<2>,
    reference: Option<Tensor<2>>,
    sampling: Option<Tensor<2>>,
    entropies: Option<Tensor<2>>,
    correction: Option<Tensor<2>>,
    /// 1 for tokens that count.
    counted: Tensor<2>,
    /// 1 for those of them whose policy loss and bonus count.
    uncertain: Tensor<2>,
    /// `[rows, 1]`.
    advantages: Tensor<2>,
}

/// The loss of each token, `[rows, tokens]` or `[rows, 1]`: policy, then masks, then corrections, then KL.
fn token_losses(rows: &Clean, config: &GrpoConfig, figures: &mut Pending) -> Tensor<2> {
    let (logps, counted) = (|| rows.logps.clone(), || rows.counted.clone());
    let level = config.importance_sampling_level;
    let ratio = Ratio::new(logps(), rows.old.clone(), counted(), level);
    let terms = Terms {
        logps: logps(),
        ratio: ratio.clone(),
        advantages: rows.advantages.clone(),
        mask: counted(),
        correction: rows.correction.clone(),
    };
    let policy = policy_loss(terms, config);
    let mut values = policy.values;
    if let Some(unclipped) = policy.clipped_from {
        clip_figures(figures, unclipped, &rows.advantages, &rows.counted, config);
    }
    if let Some(phi) = policy.phi {
        let sequences = phi.ones_like().sum();
        figures.mean("vespo/phi_seq_mean", phi.sum(), sequences);
    }
    if let Some(threshold) = config.off_policy_mask_threshold {
        let sampling = rows.sampling.clone().unwrap_or_else(|| rows.old.clone());
        let advantages = rows.advantages.clone();
        values = values * kept_rows(logps(), sampling, counted(), advantages, threshold);
    }
    if config.top_entropy_quantile < 1.0 {
        values = values * rows.uncertain.clone();
    }
    let correction = rows.correction.clone();
    if let Some(correction) = correction.filter(|_| config.loss_type != LossType::Vespo) {
        values = values * correction;
    }
    let Some(reference) = rows.reference.clone().filter(|_| config.beta != 0.0) else {
        return values;
    };
    let weight = config.use_bias_correction_kl.then(|| ratio.value.clone());
    let kl = k3(logps(), reference, weight);
    figures.mean("kl", (kl.clone() * counted()).sum(), counted().sum());
    values + kl * config.beta
}

/// How often clipping acts: over tokens, or over rows where a row has one ratio.
fn clip_figures(
    figures: &mut Pending,
    ratio: Tensor<2>,
    advantages: &Tensor<2>,
    mask: &Tensor<2>,
    config: &GrpoConfig,
) {
    let by_token = ratio.dims() == mask.dims();
    let counted = if by_token {
        mask.clone()
    } else {
        ratio.ones_like()
    };
    let good = advantages.clone().greater_elem(0.0).float();
    let above =
        |limit: f64| ratio.clone().greater_elem(limit).float() * good.clone() * counted.clone();
    if config.loss_type == LossType::Cispo {
        let cut = above(config.upper_epsilon());
        figures.mean("cispo_clip_ratio", cut.sum(), counted.sum());
        return;
    }
    let bad = advantages.clone().lower_elem(0.0).float();
    let low = ratio.clone().lower_elem(1.0 - config.epsilon).float() * bad * counted.clone();
    let high = above(1.0 + config.upper_epsilon());
    let total = counted.clone().sum();
    figures.mean("clip_ratio/low_mean", low.clone().sum(), total.clone());
    figures.mean("clip_ratio/high_mean", high.clone().sum(), total.clone());
    figures.mean(
        "clip_ratio/region_mean",
        (low.clone() + high.clone()).sum(),
        total,
    );
    let per_row = counted.sum_dim(1);
    let empty = per_row.clone().equal_elem(0.0);
    let share = |clipped: Tensor<2>, nothing: f32| {
        let share = clipped.sum_dim(1) / per_row.clone().clamp_min(1.0);
        share.mask_fill(empty.clone(), nothing)
    };
    figures.min("clip_ratio/low_min", share(low, f32::INFINITY).min());
    figures.max("clip_ratio/high_max", share(high, f32::NEG_INFINITY).max());
}

impl LossInputs {
    /// Fills what is outside the mask.
    fn clean(self, config: &GrpoConfig) -> Clean {
        let [rows, tokens] = self.mask.dims();
        let outside = self.mask.clone().bool_not();
        // Filled rather than multiplied: zero times infinity is no number, in the gradient either.
        let clean = |values: Tensor<2>| values.mask_fill(outside.clone(), 0.0);
        let logps = clean(self.logps);
        let old = self.old_logps.map(clean);
        let correction = self
            .importance_ratio
            .filter(|_| config.importance_sampling_correction)
            .map(|ratio| match ratio.dims() == [rows, tokens] {
                true => ratio.detach().mask_fill(outside.clone(), 1.0),
                false => ratio.detach(),
            });
        let uncertain = match self.high_entropy {
            Some(high) if config.top_entropy_quantile < 1.0 => high.bool_and(self.mask.clone()),
            _ => self.mask.clone(),
        };
        Clean {
            old: old.unwrap_or_else(|| logps.clone()).detach(),
            logps,
            reference: self.ref_logps.map(clean),
            sampling: self.sampling_logps.map(clean),
            entropies: self.entropies.map(clean),
            correction,
            counted: self.mask.float(),
            uncertain: uncertain.float(),
            advantages: self.advantages.detach().reshape([rows, 1]),
        }
    }

    /// Refuses shapes that differ and settings without what they need.
    fn check(&self, config: &GrpoConfig) -> Result<()> {
        let [rows, tokens] = self.logps.dims();
        ensure!(rows > 0 && tokens > 0, "there are no completions");
        let same = [
            ("entropies", &self.entropies),
            ("old_logps", &self.old_logps),
            ("ref_logps", &self.ref_logps),
            ("sampling_logps", &self.sampling_logps),
        ];
        for (name, values) in same {
            let shape = values.as_ref().map(|v| v.dims());
            ensure!(
                shape.is_none_or(|s| s == [rows, tokens]),
                "{name} are {shape:?}, log-probabilities {:?}",
                [rows, tokens]
            );
        }
        let masks = [Some(&self.mask), self.high_entropy.as_ref()];
        ensure!(
            masks.iter().flatten().all(|m| m.dims() == [rows, tokens]),
            "a mask has another shape than the log-probabilities {:?}",
            [rows, tokens]
        );
        ensure!(
            self.advantages.dims() == [rows],
            "{:?} advantages for {rows} rows",
            self.advantages.dims()
        );
        if let Some(ratio) = &self.importance_ratio {
            let [r, t] = ratio.dims();
            ensure!(
                r == rows && (t == tokens || t == 1),
                "importance ratios are {:?}",
                [r, t]
            );
        }
        let needs = |wanted: bool, has: bool| if wanted { has.then_some(()) } else { Some(()) };
        needs(config.beta != 0.0, self.ref_logps.is_some())
            .context("beta is not 0, but there are no log-probabilities of a reference")?;
        needs(
            config.importance_sampling_correction,
            self.importance_ratio.is_some(),
        )
        .context("importance_sampling_correction is on, but there are no ratios")?;
        needs(config.has_entropy_bonus(), self.entropies.is_some())
            .context("there is an entropy bonus, but there are no entropies")?;
        needs(
            config.top_entropy_quantile < 1.0,
            self.high_entropy.is_some(),
        )
        .context("top_entropy_quantile is below 1, but nobody said which tokens those are")
    }
}
