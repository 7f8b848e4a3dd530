//! What VLRM makes of a caption: how it is drawn, what it is worth in the terms of the paper, and figures of both.

use anyhow::{Context, Result};
use namelens_engine::generate::RolloutOptions;
use namelens_engine::host::Still;
use namelens_engine::model::vlm::Vlm;

use super::a2c_config::A2cConfig;
use super::buffer::{Rolled, by_row, scores};
use super::caption_fines::{BadPhrases, fines};
use super::completion::CompletionMask;
use super::metrics::{Figure, Metrics};
use super::policy::{Kit, Policy, Prepared};
use super::returns::{CaptionTerms, retrieval_term};
use super::rollout;
use super::similarity::Similarity;

/// Captions that are looked at together.
pub const PART: usize = 16;

/// What captions are judged by.
#[derive(Debug)]
pub struct Judge {
    /// The dual encoder.
    pub similarity: Similarity,
    /// What should not be said.
    pub phrases: BadPhrases,
}

/// Captions of `prepared`, one each; `number` is that of the step, `plain` a model without gradients.
///
/// # Errors
/// When a caption cannot be drawn.
pub fn captions(
    kit: &Kit,
    plain: &Vlm,
    prepared: &[Prepared],
    config: &A2cConfig,
    number: u64,
) -> Result<Vec<Rolled>> {
    let options = RolloutOptions {
        temperature: config.temperature as f32,
        top_k: config.top_k,
        seed: config.seed,
        step: number,
        ..rollout::greedy(kit, config.max_completion_length)
    };
    let said = rollout::complete(plain, prepared, 1, 0, &options, &Still)?;
    let mut rows = Vec::with_capacity(prepared.len());
    for (at, completion) in said.into_iter().flatten().enumerate() {
        rows.push(Rolled {
            prompt: at,
            text: kit.text(&completion.tokens)?,
            tokens: completion.tokens,
            ended: completion.ended,
            counts: true,
            sampled: completion.sampled,
            tempered: completion.tempered,
            reference: None,
            old: None,
            rewards: Vec::new(),
            advantage: 0.0,
        });
    }
    Ok(rows)
}

/// What the captions are worth, in the terms of the paper.
///
/// # Errors
/// When a prompt shows no photo, or one cannot be compared.
pub fn terms(
    judge: &Judge,
    policy: &Policy,
    prompts: &[Prepared],
    rows: &[Rolled],
    config: &A2cConfig,
) -> Result<Vec<CaptionTerms>> {
    let photos = prompts
        .iter()
        .map(|prepared| prepared.prompt.photos.last())
        .collect::<Option<Vec<_>>>()
        .context("a prompt shows no photo, so nothing is like it")?;
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let like = judge.similarity.compare(&policy.kit, &photos, &texts)?;
    let contrast = match config.contrastive_weight > 0.0 {
        true => retrieval_term(&like.cosines, config),
        false => None,
    };
    let mut terms = Vec::with_capacity(rows.len());
    for (part, rows) in rows.chunks(PART).enumerate() {
        let natural = match config.reference_weight > 0.0 {
            true => Some(scores(&policy.reference, prompts, rows, 1.0)?.logps),
            false => None,
        };
        let natural = natural.map(|logps| by_row(logps, rows)).transpose()?;
        for (at, row) in rows.iter().enumerate() {
            let own = part * PART + at;
            let mean = |values: &Vec<f32>| {
                let sum = values.iter().map(|v| f64::from(*v)).sum::<f64>();
                sum / values.len().max(1) as f64
            };
            terms.push(CaptionTerms {
                similarity: like.logits[own][own],
                contrast: contrast.as_ref().map_or(0.0, |all| all[own]),
                reference: natural.as_ref().map_or(0.0, |all| mean(&all[at])),
                ended: row.ended,
                fines: fines(&row.text, &spans(&policy.kit, row)?, &judge.phrases),
            });
        }
    }
    Ok(terms)
}

/// Figures of captions under the names that a run of GRPO has for the like.
pub fn figures(terms: &[CaptionTerms], rows: &[Rolled], ends: &[u32]) -> Metrics {
    let tokens: Vec<Vec<u32>> = rows.iter().map(|row| row.tokens.clone()).collect();
    let mut metrics = CompletionMask::new(&tokens, ends, false).metrics();
    let mut mean = |name: &str, of: &dyn Fn(&CaptionTerms) -> f64| {
        metrics.add(name, Figure::mean(terms.iter().map(of)));
    };
    let share = |flags: &[bool]| flags.iter().filter(|f| **f).count() as f64;
    mean("rewards/similarity/mean", &|t| t.similarity);
    mean("rewards/contrast/mean", &|t| t.contrast);
    mean("rewards/reference/mean", &|t| t.reference);
    mean("rewards/bad_tokens/mean", &|t| share(&t.fines.bad));
    mean("rewards/repeated_tokens/mean", &|t| {
        share(&t.fines.repeated)
    });
    let first = rows
        .iter()
        .filter_map(|row| row.rewards.last().copied().flatten());
    metrics.add("reward", Figure::mean(first.map(f64::from)));
    metrics
}

/// Where each token lies in the text of a completion, bytes.
fn spans(kit: &Kit, row: &Rolled) -> Result<Vec<std::ops::Range<usize>>> {
    let mut spans = Vec::with_capacity(row.tokens.len());
    let mut start = 0;
    for end in 1..=row.tokens.len() {
        // A letter of several tokens is whole with the last of them.
        let end = kit
            .text(&row.tokens[..end])?
            .len()
            .clamp(start, row.text.len().max(start));
        spans.push(start..end);
        start = end;
    }
    Ok(spans)
}
