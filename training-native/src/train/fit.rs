//! The training loop: batches by (seed, step, shard), gradients, updates, logs, checkpoints, exact resume.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::{Device, Tensor};
use namelens_engine::model::params::ParamNames;
use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Progress};
use super::gradients::{clip_by_global_norm, sharded};
use super::log::RunLog;
use super::optimizer::{self, Rule};
use super::schedule::Schedule;

/// One stage of training: how a batch is made and what is minimised.
pub trait Objective<M>: Sync {
    /// Loss of one shard of one step and figures worth logging. Must depend only on its arguments.
    ///
    /// # Errors
    /// When a batch cannot be made.
    fn loss(&self, model: &M, batch: BatchKey) -> Result<(Tensor<1>, Vec<(String, f64)>)>;

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

/// Steps in a row whose gradients may be non-finite (skipped) before the run is given up.
const MAX_BAD_STEPS: u32 = 20;

/// Trains `model` until the schedule ends or `stop` is set; resumes from `run` if a checkpoint is there.
///
/// `load` rebuilds the model from a checkpoint's `model.safetensors`.
///
/// # Errors
/// When data, files or the device fail, or gradients stay non-finite.
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
    std::fs::create_dir_all(run)?;
    let digest = serde_json::to_string(options)?;
    let mut optimizer = optimizer::new(&model, names, options.rule, options.weight_decay);
    let mut start = 0;
    if let Some(progress) = checkpoint::progress(run, options.seed, &digest)? {
        optimizer = checkpoint::load_optimizer(run, optimizer)?;
        start = progress.step;
    }
    let total = options.schedule.total;
    let mut log = RunLog::open(run, start, total)?;
    let mut bad_steps = 0;
    let mut since_log = Instant::now();
    let mut sums = Vec::new();
    let mut step = start;
    while step < total && !stop.load(Ordering::Relaxed) {
        let share = |id: ParamId| {
            let name = names.name_of(id);
            name.map_or(1.0, |name| objective.share(name, step))
        };
        model = super::gradients::set_trainable(model, &|id| share(id) == 0.0);
        let parts = (options.shards * options.accumulate) as u64;
        let mut accumulated = burn::optim::GradientsAccumulator::new();
        for round in 0..options.accumulate {
            let (gradients, values) = sharded(&model, device, options.shards, |model, shard| {
                let part = (round * options.shards + shard) as u64;
                let key = BatchKey {
                    seed: options.seed,
                    step,
                    part,
                    parts,
                };
                let (loss, figures) = objective.loss(model, key)?;
                Ok((loss.div_scalar(options.accumulate as f32), figures))
            })?;
            accumulated.accumulate(&model, gradients);
            for figures in values {
                add_figures(&mut sums, figures);
            }
        }
        let (gradients, norm) = clip_by_global_norm(&model, accumulated.grads(), options.clip);
        let rate = options.schedule.rate(step);
        if norm.is_finite() {
            let rates = shared_rates(&model, rate, &|id| {
                share(id) * optimizer::share(names, options.rule, id)
            });
            model = optimizer.step(rates, model, gradients);
            bad_steps = 0;
        } else {
            bad_steps += 1;
            if bad_steps > MAX_BAD_STEPS {
                bail!("gradients were not finite for {bad_steps} steps; lower --lr");
            }
        }
        step += 1;
        log.tick(step);
        if step % options.log_every == 0 || step == total {
            let mut figures: Vec<(String, f64)> = sums
                .drain(..)
                .map(|(name, sum, count)| (name, sum / f64::from(count)))
                .collect();
            figures.push(("grad_norm".into(), norm));
            figures.push(("lr".into(), rate));
            let steps = options.log_every as f64;
            figures.push((
                "secs_per_step".into(),
                since_log.elapsed().as_secs_f64() / steps,
            ));
            log.record(step, &figures)?;
            since_log = Instant::now();
        }
        if step % options.save_every == 0 || step == total {
            let progress = Progress {
                step,
                seed: options.seed,
                options: digest.clone(),
            };
            checkpoint::save(run, &model, names, &optimizer, &progress)?;
        }
    }
    if step < total {
        let progress = Progress {
            step,
            seed: options.seed,
            options: digest,
        };
        checkpoint::save(run, &model, names, &optimizer, &progress)?;
    }
    log.finish();
    Ok(model)
}

/// `rate` for all parameters but those whose share of it is another.
fn shared_rates<M: Module>(
    model: &M,
    rate: f64,
    share: &dyn Fn(ParamId) -> f64,
) -> ModuleLearningRate {
    struct Shares<'a>(&'a dyn Fn(ParamId) -> f64, Vec<(f64, Vec<ParamId>)>);
    impl ModuleVisitor for Shares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let share = (self.0)(param.id);
            match self.1.iter_mut().find(|(known, _)| *known == share) {
                Some((_, ids)) => ids.push(param.id),
                None => self.1.push((share, vec![param.id])),
            }
        }
    }
    let mut shares = Shares(share, Vec::new());
    model.visit(&mut shares);
    let groups = shares.1.into_iter().filter(|(share, _)| *share != 1.0);
    let constant = ModuleLrScheduler::new(rate);
    groups
        .fold(constant, |all, (share, ids)| {
            all.with_group(ParamGroup::from_ids(ids), rate * share)
        })
        .step()
}

/// Adds figures to sums; a figure that a part does not have does not count for it.
fn add_figures(sums: &mut Vec<(String, f64, u32)>, figures: Vec<(String, f64)>) {
    for (name, value) in figures {
        match sums.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, sum, count)) => {
                *sum += value;
                *count += 1;
            }
            None => sums.push((name, value, 1)),
        }
    }
}
