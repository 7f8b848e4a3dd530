//! The training loop: batches by (seed, step, shard), gradients, updates, logs, checkpoints, exact resume.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;
use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Device;
use namelens_engine::model::params::ParamNames;
use serde::{Deserialize, Serialize};

use super::changes::changes;
use super::checkpoint::{self, Progress};
use super::gradients::{Loss, Summed};
use super::log::RunLog;
use super::optimizer::{self, Moments, Rule};
use super::run_lock::RunLock;
use super::schedule::Schedule;
use super::update::{UpdateOptions, Updated, Updater};

/// One stage of training: how a batch is made and what is minimised.
pub trait Objective<M>: Sync {
    /// Loss of one shard of one step. Must depend only on its arguments.
    ///
    /// # Errors
    /// When a batch cannot be made.
    fn loss(&self, model: &M, batch: BatchKey) -> Result<Loss>;

    /// What of it must not change when a run resumes: what its batches hold and when.
    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Learning rate of a parameter in `step`, by checkpoint key, as a share of the schedule's; 0 leaves it as it is
    /// and saves its gradient.
    fn share(&self, name: &str, step: u64) -> f64 {
        let _ = (name, step);
        1.0
    }
}

/// Names one batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchKey {
    /// Seed of the run.
    pub seed: u64,
    /// Step, from 0.
    pub step: u64,
    /// Micro-batch within the step: shard and accumulation round.
    pub part: u64,
    /// Parts of a step.
    pub parts: u64,
}

impl BatchKey {
    /// Seed of the `index`-th sample of this part when a part holds `size` samples; never repeats within a run.
    pub fn sample_seed(&self, index: u64, size: u64) -> u64 {
        let serial = (self.step * self.parts + self.part) * size + index;
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ serial
    }
}

/// How to run a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Seed of data and initial weights.
    pub seed: u64,
    /// How gradients become updates.
    pub rule: Rule,
    /// Learning rates.
    pub schedule: Schedule,
    /// Decay of matrices; vectors (norms, biases) are not decayed.
    pub weight_decay: f32,
    /// AdamW's decay rate of squared gradients. Left out of what is written where it is the usual one, so that runs from before
    /// there was a choice resume.
    #[serde(default = "usual_beta_2", skip_serializing_if = "is_usual_beta_2")]
    pub beta_2: f32,
    /// Largest global gradient norm.
    pub clip: f64,
    /// Threads computing gradients side by side.
    pub shards: usize,
    /// Rounds of gradients summed before an update.
    pub accumulate: usize,
    /// Steps between log lines.
    pub log_every: u64,
    /// Steps between checkpoints.
    pub save_every: u64,
}

fn usual_beta_2() -> f32 {
    optimizer::BETA_2
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_usual_beta_2(beta_2: &f32) -> bool {
    *beta_2 == optimizer::BETA_2
}

impl FitOptions {
    /// What of it says how gradients become updates.
    pub fn update(&self) -> UpdateOptions {
        UpdateOptions {
            rule: self.rule,
            schedule: self.schedule,
            weight_decay: self.weight_decay,
            moments: Moments::with_beta_2(self.beta_2),
            clip: self.clip,
        }
    }
}

/// Trains `model` until the schedule ends or `stop` is set, and saves it there.
///
/// Where `run` has a checkpoint, `model` holds its weights, and step and optimiser are resumed from it.
///
/// # Errors
/// When data, files or the device fail, gradients stay non-finite, `run` has logs but no checkpoint, or another process
/// works in it.
pub fn fit<M, O>(
    mut model: M,
    names: &ParamNames,
    objective: &O,
    options: &FitOptions,
    run: &Path,
    device: &Device,
    stop: &AtomicBool,
) -> Result<M>
where
    M: Module + Clone + Send + Sync,
    O: Objective<M>,
{
    let _lock = RunLock::take(run)?;
    let digest = digest(options, &objective.options())?;
    let changed = |before: &str| changed(before, &digest, &objective.options());
    let mut updater = Updater::new(&model, names, options.update());
    let mut start = 0;
    if let Some(progress) = checkpoint::progress(run, options.seed, &changed)? {
        updater = updater.resume(run)?;
        start = progress.step;
    }
    let total = options.schedule.total;
    let mut log = RunLog::open(run, start, total)?;
    let mut figures = Figures::default();
    let mut step = start;
    let mut stopping = stop.load(Ordering::Relaxed);
    while step < total && !stopping {
        let share = |id: ParamId| {
            let name = names.name_of(id);
            name.map_or(1.0, |name| objective.share(name, step))
        };
        model = super::gradients::set_trainable(model, &|id| share(id) == 0.0);
        let gradients = gradients(&model, objective, options, step, device, &mut figures)?;
        let updated;
        (model, updated) =
            updater.update(model, gradients, step, &|name| objective.share(name, step))?;
        figures.skipped += u32::from(updated.skipped);
        step += 1;
        log.tick(step);
        if step % options.log_every == 0 || step == total {
            log.record(step, &figures.drain(&updated, options.log_every))?;
        }
        // Read once: what decides to save must be what ends the loop.
        stopping = stop.load(Ordering::Relaxed);
        if step % options.save_every == 0 || step == total || stopping {
            let progress = Progress {
                step,
                seed: options.seed,
                options: digest.clone(),
                state: serde_json::Value::Null,
            };
            checkpoint::save(run, &model, names, updater.optimizer(), &progress)?;
        }
    }
    log.finish();
    Ok(model)
}

/// What a run may not change when it resumes.
fn digest(options: &FitOptions, objective: &serde_json::Value) -> Result<String> {
    // By way of text, in which a number of 32 bits is as short as it was meant.
    let mut all: serde_json::Value = serde_json::from_str(&serde_json::to_string(options)?)?;
    all["objective"] = objective.clone();
    Ok(all.to_string())
}

/// What differs from the options `before`; runs from before objectives were told are taken to have had this one.
fn changed(before: &str, digest: &str, objective: &serde_json::Value) -> Vec<String> {
    let own = serde_json::json!({ "objective": objective });
    changes(before, digest, &own.to_string(), &[])
}

/// The gradients of one step: all shards of all rounds.
fn gradients<M, O>(
    model: &M,
    objective: &O,
    options: &FitOptions,
    step: u64,
    device: &Device,
    figures: &mut Figures,
) -> Result<GradientsParams>
where
    M: Module + Clone + Send + Sync,
    O: Objective<M>,
{
    let mut summed = Summed::new();
    for round in 0..options.accumulate {
        summed.add(model, device, options.shards, |model, shard| {
            let key = BatchKey {
                seed: options.seed,
                step,
                part: (round * options.shards + shard) as u64,
                parts: (options.shards * options.accumulate) as u64,
            };
            objective.loss(model, key)
        })?;
    }
    for part in summed.figures.drain(..) {
        figures.add(part);
    }
    let count = summed.count();
    Ok(summed.mean(model, count))
}

/// Figures of the steps since the last line of the log.
struct Figures {
    sums: Vec<(String, f64, u32)>,
    /// Updates that were skipped.
    skipped: u32,
    since: Instant,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            sums: Vec::new(),
            skipped: 0,
            since: Instant::now(),
        }
    }
}

impl Figures {
    /// Adds the figures of one part; one that a part does not have does not count for it.
    fn add(&mut self, figures: Vec<(String, f64)>) {
        for (name, value) in figures {
            match self.sums.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, sum, count)) => {
                    *sum += value;
                    *count += 1;
                }
                None => self.sums.push((name, value, 1)),
            }
        }
    }

    /// The means, with those of the step itself, and begins anew.
    fn drain(&mut self, updated: &Updated, steps: u64) -> Vec<(String, f64)> {
        let mut means: Vec<(String, f64)> = self
            .sums
            .drain(..)
            .map(|(name, sum, count)| (name, sum / f64::from(count)))
            .collect();
        let seconds = self.since.elapsed().as_secs_f64() / steps as f64;
        self.since = Instant::now();
        means.push(("grad_norm".into(), updated.norm));
        means.push(("lr".into(), updated.rate));
        means.push(("secs_per_step".into(), seconds));
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            means.push(("skipped".into(), f64::from(skipped)));
        }
        means
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_run_from_before_objectives_were_told_resumes() {
        let options: FitOptions = serde_json::from_str(BEFORE).unwrap();
        let objective = serde_json::json!({ "batch": 8 });
        let digest = digest(&options, &objective).unwrap();
        assert_eq!(changed(BEFORE, &digest, &objective), Vec::<String>::new());
        let other = BEFORE.replace("0.05", "0.1");
        assert_eq!(changed(&other, &digest, &objective).len(), 1);
        let smaller = serde_json::json!({ "batch": 4 });
        let said = changed(
            &digest,
            &super::digest(&options, &smaller).unwrap(),
            &smaller,
        );
        assert_eq!(said, ["objective.batch 8, not 4"]);
    }

    /// As it was written then.
    const BEFORE: &str = r#"{"seed":1,"rule":"muon","schedule":{"peak":0.0015,"warmup":200,"total":4000,"floor":0.02},"weight_decay":0.05,"clip":1.0,"shards":2,"accumulate":1,"log_every":20,"save_every":250}"#;
}
