//! The gradients of one optimiser step: losses of its micro-batches, side by side, over counts of the whole.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use namelens_engine::model::vlm::Vlm;

use super::aggregate::Counts;
use super::buffer::{self, Generation, Rolled, by_row, scores};
use super::config::GrpoConfig;
use super::entropy::high_entropy;
use super::loss::loss;
use super::metrics::Metrics;
use crate::ranks::{Ranks, share};
use crate::train::gradients::Summed;
use crate::train::{Loss, rank_gradients};

/// How the gradients of a step are computed.
#[derive(Debug, Clone, Copy)]
pub struct StepKey {
    /// Key of what dropout leaves out; the same in every pass over a generation, so that ratios compare like with like.
    pub dropout: u64,
    /// Whether the model is still the one that drew the completions.
    pub fresh: bool,
    /// Weight of the entropy bonus.
    pub entropy_coef: f64,
    /// Micro-batches computed side by side.
    pub shards: usize,
}

/// Log-probabilities, row by row.
type Rows = Vec<Vec<f32>>;
/// What a thread found out about a micro-batch: its number, figures, and log-probabilities where they are the first.
type Seen = (usize, Metrics, Option<Rows>);

/// Mean gradients over the micro-batches `parts` of a generation and those of the other ranks, and figures of all of them.
///
/// Where the model is still the one that sampled, its log-probabilities are kept as the old ones of later passes, so the
/// ratio of a first pass is 1 exactly. Micro-batches that are first seen after an update compare with what the model said before
/// it, the same inputs left out; that is the rollout's own where nothing is left out and rollouts are of the distribution trained.
///
/// # Errors
/// When a loss cannot be computed, or another rank is gone.
pub fn gradients(
    vlm: &Vlm,
    found: &mut Generation,
    parts: Range<usize>,
    key: StepKey,
    config: &GrpoConfig,
    ranks: &dyn Ranks,
    device: &Device,
) -> Result<(GradientsParams, Metrics)> {
    let size = config.per_device_train_batch_size;
    let own = parts.start * size..parts.end * size;
    // Number of this rank's first micro-batch among those of all.
    let first = ranks.rank() * config.generation_steps();
    if !key.fresh {
        for row in &mut found.rows[own.clone()] {
            row.old.get_or_insert_with(|| row.tempered.clone());
        }
    } else if seen_otherwise(config) {
        before_updates(vlm, found, &own, first, key, config)?;
    }
    let uncertain = uncertain(vlm, found, &parts, config, ranks)?;
    let step = &found.rows[own];
    let bonus = bonus_tokens(step, uncertain.as_deref());
    let counts = buffer::counts(step, &found.rows, bonus, config);
    let counts: Counts = share(ranks, &counts)?.into_iter().sum();
    let seen: Mutex<Vec<Seen>> = Mutex::new(Vec::new());
    let mut summed = Summed::new();
    let all: Vec<usize> = parts.clone().collect();
    for round in all.chunks(key.shards.max(1)) {
        summed.add(vlm, device, round.len(), |model, shard| {
            let part = round[shard];
            let rows = &found.rows[part * size..(part + 1) * size];
            let own = uncertain.as_ref().map(|which| {
                let start = (part - parts.start) * size;
                &which[start..start + size]
            });
            let (loss, metrics, old) =
                part_loss(model, found, rows, first + part, own, key, config, &counts)?;
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((part, metrics, old));
            Ok(loss)
        })?;
    }
    let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Threads end in any order; sums must not depend on it.
    seen.sort_by_key(|(part, ..)| *part);
    let mut metrics = Metrics::default();
    for (part, figures, old) in seen {
        metrics.merge(figures);
        let rows = &mut found.rows[part * size..(part + 1) * size];
        for (row, old) in rows.iter_mut().zip(old.into_iter().flatten()) {
            row.old = Some(old);
        }
    }
    let gradients = rank_gradients::summed(vlm, summed.mean(vlm, 1.0), ranks)?;
    Ok((gradients, Metrics::merged(share(ranks, &metrics)?)))
}

/// Whether training sees a completion otherwise than the rollout that drew it, so that the rollout's log-probabilities are no
/// stand-in for its own.
fn seen_otherwise(config: &GrpoConfig) -> bool {
    config.importance_sampling_correction || config.has_dropout()
}

/// Keeps what the model says of completions that are only seen after an update; `first` is the number of the rank's first
/// micro-batch.
fn before_updates(
    vlm: &Vlm,
    found: &mut Generation,
    step: &Range<usize>,
    first: usize,
    key: StepKey,
    config: &GrpoConfig,
) -> Result<()> {
    let size = config.per_device_train_batch_size;
    for (part, start) in (0..found.rows.len()).step_by(size).enumerate() {
        if step.contains(&start) {
            continue;
        }
        let plain = with_dropout(vlm, first + part, key, config).valid();
        let rows = &found.rows[start..start + size];
        let temperature = config.learned_temperature();
        let logps = scores(&plain, &found.prompts, rows, temperature)?.logps;
        let known = by_row(logps, rows)?;
        for (row, known) in found.rows[start..].iter_mut().zip(known) {
            row.old.get_or_insert(known);
        }
    }
    Ok(())
}

/// The model as it sees micro-batch number `part` of all ranks: what is left out is the same in every pass over a generation.
fn with_dropout(vlm: &Vlm, part: usize, key: StepKey, config: &GrpoConfig) -> Vlm {
    let mut model = vlm.clone();
    if !config.disable_dropout {
        model.set_dropout(Some(
            key.dropout ^ (part as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        ));
    }
    model
}

/// The part of the step's loss that a micro-batch is; `part` is its number among those of all ranks.
#[allow(clippy::too_many_arguments, reason = "what a thread needs to know")]
fn part_loss(
    model: &Vlm,
    found: &Generation,
    rows: &[Rolled],
    part: usize,
    uncertain: Option<&[Vec<bool>]>,
    key: StepKey,
    config: &GrpoConfig,
    counts: &Counts,
) -> Result<(Loss, Metrics, Option<Rows>)> {
    let model = with_dropout(model, part, key, config);
    let scored = scores(&model, &found.prompts, rows, config.learned_temperature())?;
    let first = key.fresh && rows.iter().all(|row| row.old.is_none());
    let old = match first && config.num_iterations > 1 {
        true => Some(by_row(scored.logps.clone(), rows)?),
        false => None,
    };
    let (inputs, ratio) = buffer::inputs(scored, rows, uncertain, config)?;
    let (sum, figures) = loss(inputs, config, counts, key.entropy_coef)?;
    let mut metrics = figures.read()?;
    if let Some(ratio) = ratio {
        metrics.merge(ratio.read()?);
    }
    // The loss is divided by the step's counts already, so parts add up.
    let loss = Loss {
        sum,
        count: 1.0,
        figures: Vec::new(),
    };
    Ok((loss, metrics, old))
}

/// Which tokens of the step's rows are among the most uncertain of all ranks; `None` where all count.
fn uncertain(
    vlm: &Vlm,
    found: &Generation,
    parts: &Range<usize>,
    config: &GrpoConfig,
    ranks: &dyn Ranks,
) -> Result<Option<Vec<Vec<bool>>>> {
    if config.top_entropy_quantile >= 1.0 {
        return Ok(None);
    }
    let size = config.per_device_train_batch_size;
    let plain = vlm.valid();
    let (mut values, mut mask, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts.clone() {
        let rows = &found.rows[part * size..(part + 1) * size];
        let scored = scores(&plain, &found.prompts, rows, config.learned_temperature())?;
        for (row, own) in rows.iter().zip(by_row(scored.entropies, rows)?) {
            lengths.push(own.len());
            mask.extend(own.iter().map(|_| row.counts));
            values.extend(own.into_iter().map(f64::from));
        }
    }
    let all = share(ranks, &(values, mask))?;
    let before: usize = all[..ranks.rank()]
        .iter()
        .map(|(values, _)| values.len())
        .sum();
    let (values, mask): (Vec<Vec<f64>>, Vec<Vec<bool>>) = all.into_iter().unzip();
    let chosen = high_entropy(
        &values.concat(),
        &mask.concat(),
        config.top_entropy_quantile,
    )?;
    let mut chosen = chosen.into_iter().skip(before);
    let rows = lengths
        .iter()
        .map(|length| chosen.by_ref().take(*length).collect());
    Ok(Some(rows.collect()))
}

/// Tokens the entropy bonus acts on.
fn bonus_tokens(step: &[Rolled], uncertain: Option<&[Vec<bool>]>) -> usize {
    match uncertain {
        Some(which) => which.iter().flatten().filter(|chosen| **chosen).count(),
        None => buffer::counted(step).iter().sum(),
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
