//! The captions of one step of VLRM, and the two losses of a part of them.

use anyhow::Result;
use burn::tensor::{Bool, Tensor, TensorData};

use super::a2c::{A2cInputs, losses};
use super::a2c_config::A2cConfig;
use super::actor_critic::ActorCritic;
use super::aggregate::Counts;
use super::buffer::{Generation, longest, scores};
use super::metrics::Metrics;
use super::vlrm_captions::PART;
use crate::train::Loss;

/// The captions of one step.
#[derive(Debug)]
pub struct Captions {
    pub(super) found: Generation,
    pub(super) returns: Vec<Vec<f32>>,
    pub(super) advantages: Vec<Vec<f32>>,
}

/// Both losses of captions `PART * part ..`.
pub(super) fn part_loss(
    model: &ActorCritic,
    drawn: &Captions,
    part: usize,
    config: &A2cConfig,
    counts: &Counts,
) -> Result<(Loss, Metrics)> {
    let prompts = &drawn.found.prompts;
    let own = part * PART..((part + 1) * PART).min(drawn.found.rows.len());
    let rows = &drawn.found.rows[own.clone()];
    let scored = scores(&model.vlm, prompts, rows, config.policy_temperature)?;
    let device = scored.logps.device();
    let width = longest(rows);
    let spread = |values: &[Vec<f32>]| -> Tensor<2> {
        let mut all = vec![0.0; rows.len() * width];
        for (row, out) in values.iter().zip(all.chunks_exact_mut(width.max(1))) {
            out[..row.len()].copy_from_slice(row);
        }
        Tensor::from_data(TensorData::new(all, [rows.len(), width]), &device)
    };
    let mask: Vec<bool> = rows
        .iter()
        .flat_map(|row| (0..width).map(|t| t < row.tokens.len()))
        .collect();
    let mask = Tensor::<2, Bool>::from_data(TensorData::new(mask, [rows.len(), width]), &device);
    let count = scored.entropies.clone() * mask.clone().float();
    let found = losses(
        A2cInputs {
            logps: scored.logps,
            values: model.values(prompts, rows)?,
            returns: spread(&drawn.returns[own.clone()]),
            advantages: spread(&drawn.advantages[own]),
            mask,
        },
        counts,
    )?;
    let mut metrics = found.figures;
    metrics.sum("entropy", count.sum() / counts.tokens.max(1.0));
    let loss = Loss {
        sum: found.value + found.policy,
        count: 1.0,
        figures: Vec::new(),
    };
    Ok((loss, metrics.read()?))
}
