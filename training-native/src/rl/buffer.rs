//! The completions of one generation: what was drawn, what it is worth, and how micro-batches of it become losses.

use anyhow::{Result, ensure};
use burn::tensor::{Bool, Int, Tensor, TensorData};
use namelens_engine::model::completions::Completed;
use namelens_engine::model::vlm::Vlm;

use super::aggregate::Counts;
use super::config::GrpoConfig;
use super::loss::LossInputs;
use super::metrics::Metrics;
use super::off_policy::importance_ratio;
use super::policy::Prepared;

/// One completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Rolled {
    /// Position of its prompt in the generation.
    pub prompt: usize,
    /// Its tokens, the end among them where it ended.
    pub tokens: Vec<u32>,
    /// Its text.
    pub text: String,
    /// Whether it ended by itself.
    pub ended: bool,
    /// Whether its tokens count in the loss.
    pub counts: bool,
    /// Log-probability of each token under the distribution it was drawn from.
    pub sampled: Vec<f32>,
    /// The same under the whole tempered distribution.
    pub tempered: Vec<f32>,
    /// The same under the reference, where one is needed.
    pub reference: Option<Vec<f32>>,
    /// The same when training first saw it, where that was before any update.
    pub old: Option<Vec<f32>>,
    /// Rewards, `None` where one does not apply.
    pub rewards: Vec<Option<f32>>,
    /// Advantage.
    pub advantage: f32,
}

/// A generation.
#[derive(Debug)]
pub struct Generation {
    /// Its prompts.
    pub prompts: Vec<Prepared>,
    /// Its completions; those of a group lie together.
    pub rows: Vec<Rolled>,
    /// Figures of rewards and lengths.
    pub metrics: Metrics,
}

/// Log-probabilities and entropies of completions, `[rows, tokens]`, zero behind each row's end.
#[derive(Debug, Clone)]
pub struct Scores {
    /// `log p` under the tempered distribution.
    pub logps: Tensor<2>,
    /// Entropy of that distribution, nats.
    pub entropies: Tensor<2>,
}

/// Scores of `rows` under `vlm`.
///
/// # Errors
/// As [`states`].
pub fn scores(
    vlm: &Vlm,
    prompts: &[Prepared],
    rows: &[Rolled],
    temperature: f64,
) -> Result<Scores> {
    let hidden = states(vlm, prompts, rows)?;
    let tokens: Vec<u32> = rows
        .iter()
        .flat_map(|row| row.tokens.iter().copied())
        .collect();
    let found = vlm
        .decoder
        .token_scores(hidden, &tokens, temperature as f32);
    Ok(Scores {
        logps: padded(found.log_probs, rows),
        entropies: padded(found.entropy, rows),
    })
}

/// Hidden states `[tokens, hidden]` behind which each token of `rows` stands, row by row. Rows of one prompt that lie together
/// read it once.
///
/// # Errors
/// When prompt and photos do not fit each other.
pub fn states(vlm: &Vlm, prompts: &[Prepared], rows: &[Rolled]) -> Result<Tensor<2>> {
    let mut states = Vec::new();
    for group in rows.chunk_by(|a, b| a.prompt == b.prompt) {
        let prepared = &prompts[group[0].prompt];
        let visual = prepared.visual_of(vlm)?;
        let completions: Vec<&[u32]> = group.iter().map(|row| row.tokens.as_slice()).collect();
        states.push(vlm.completion_states(&Completed {
            prompt: &prepared.ids,
            completions: &completions,
            visual: visual.as_ref(),
            grids: &prepared.grids,
        })?);
    }
    Ok(Tensor::cat(states, 0))
}

/// Values `[tokens]`, row by row, as `[rows, tokens]`, zero behind each row's end.
pub fn padded(values: Tensor<1>, rows: &[Rolled]) -> Tensor<2> {
    let (width, count) = (longest(rows), values.dims()[0]);
    let mut places = Vec::with_capacity(rows.len() * width);
    let mut start = 0;
    for row in rows {
        let end = start + row.tokens.len();
        let place = |t: usize| if start + t < end { start + t } else { count };
        places.extend((0..width).map(|t| place(t) as i64));
        start = end;
    }
    let device = values.device();
    let places = TensorData::new(places, [rows.len() * width]);
    let places = Tensor::<1, Int>::from_data(places, &device);
    let zero = Tensor::zeros([1], &device);
    Tensor::cat(vec![values, zero], 0)
        .select(0, places)
        .reshape([rows.len(), width])
}

/// Host values of `[rows, tokens]`, each row as long as its completion.
///
/// # Errors
/// When the device fails.
pub fn by_row(values: Tensor<2>, rows: &[Rolled]) -> Result<Vec<Vec<f32>>> {
    let width = values.dims()[1];
    let values: Vec<f32> = values.try_into_data()?.convert::<f32>().try_to_vec()?;
    let of = |(at, row): (usize, &Rolled)| values[at * width..][..row.tokens.len()].to_vec();
    Ok(rows.iter().enumerate().map(of).collect())
}

/// Tokens of the longest row.
pub fn longest(rows: &[Rolled]) -> usize {
    rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0)
}

/// Tokens of each row that count in the loss.
pub fn counted(rows: &[Rolled]) -> Vec<usize> {
    let of = |row: &Rolled| if row.counts { row.tokens.len() } else { 0 };
    rows.iter().map(of).collect()
}

/// What the losses of a step are divided by: `step` are its rows, of the generation's `all`; `bonus` as in [`Counts::of`].
pub fn counts(step: &[Rolled], all: &[Rolled], bonus: usize, config: &GrpoConfig) -> Counts {
    use super::config::LossType;
    let own = Counts::of(&counted(step), bonus);
    match config.loss_type {
        LossType::Dapo | LossType::Cispo | LossType::Vespo => {
            let share = step.len() as f64 / all.len().max(1) as f64;
            let tokens = Counts::of(&counted(all), 0).share(share).tokens;
            Counts { tokens, ..own }
        }
        _ => own,
    }
}

/// The inputs of a micro-batch's loss. `uncertain` says of each of its rows which tokens are among the most uncertain;
/// `None`: all. Figures of the importance ratio are given where one is used.
///
/// # Errors
/// When lengths differ.
pub fn inputs(
    found: Scores,
    rows: &[Rolled],
    uncertain: Option<&[Vec<bool>]>,
    config: &GrpoConfig,
) -> Result<(LossInputs, Option<super::metrics::Pending>)> {
    let device = found.logps.device();
    let [count, width] = found.logps.dims();
    ensure!(
        count == rows.len(),
        "{count} rows of scores for {} completions",
        rows.len()
    );
    let known = |of: &dyn Fn(&Rolled) -> Option<&[f32]>| -> Option<Tensor<2>> {
        let mut values = vec![0.0; count * width];
        for (row, out) in rows.iter().zip(values.chunks_exact_mut(width.max(1))) {
            let values = of(row)?;
            out[..values.len()].copy_from_slice(values);
        }
        Some(Tensor::from_data(
            TensorData::new(values, [count, width]),
            &device,
        ))
    };
    let flags = |of: &dyn Fn(usize, usize) -> bool| -> Tensor<2, Bool> {
        let values: Vec<bool> = (0..count * width)
            .map(|i| of(i / width, i % width))
            .collect();
        Tensor::from_data(TensorData::new(values, [count, width]), &device)
    };
    let counts = counted(rows);
    let mask = flags(&|row, token| token < counts[row]);
    let old = known(&|row| row.old.as_deref());
    let sampling = known(&|row| Some(&row.sampled));
    let (ratio, figures) = match (config.importance_sampling_correction, &sampling) {
        (true, Some(sampling)) => {
            // Of the training forward, not of the rollout: a rollout over quantised weights does not know it.
            let trained = old.clone().unwrap_or_else(|| found.logps.clone());
            let (ratio, figures) =
                importance_ratio(trained, sampling.clone(), mask.clone(), config)?;
            (Some(ratio), Some(figures))
        }
        _ => (None, None),
    };
    let advantages: Vec<f32> = rows.iter().map(|row| row.advantage).collect();
    let inputs = LossInputs {
        logps: found.logps,
        entropies: Some(found.entropies),
        old_logps: old,
        ref_logps: known(&|row| row.reference.as_deref()),
        sampling_logps: sampling,
        importance_ratio: ratio,
        high_entropy: uncertain
            .map(|which| flags(&|row, token| which[row].get(token).copied().unwrap_or(false))),
        mask,
        advantages: Tensor::from_data(TensorData::new(advantages, [count]), &device),
    };
    Ok((inputs, figures))
}
