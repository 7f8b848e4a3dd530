//! The training loop: batches by (seed, step, shard), gradients, updates, logs, checkpoints, exact resume.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
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

/// Trains `model` until the schedule ends or `stop` is set, and saves it there.
///
/// Where `run` has a checkpoint, `model` holds its weights, and step and optimiser are resumed from it.
///
/// # Errors
/// When data, files or the device fail, gradients stay non-finite, or `run` has logs but no checkpoint.
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
    let mut figures = Figures::default();
    let mut bad_steps = 0;
    let mut step = start;
    let mut stopping = stop.load(Ordering::Relaxed);
    while step < total && !stopping {
        let share = |id: ParamId| {
            let name = names.name_of(id);
            name.map_or(1.0, |name| objective.share(name, step))
        };
        model = super::gradients::set_trainable(model, &|id| share(id) == 0.0);
        let gradients = gradients(&model, objective, options, step, device, &mut figures)?;
        let (gradients, norm) = clip_by_global_norm(&model, gradients, options.clip);
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
            log.record(step, &figures.drain(norm, rate, options.log_every))?;
        }
        // Read once: what decides to save must be what ends the loop.
        stopping = stop.load(Ordering::Relaxed);
        if step % options.save_every == 0 || step == total || stopping {
            let progress = Progress {
                step,
                seed: options.seed,
                options: digest.clone(),
            };
            checkpoint::save(run, &model, names, &optimizer, &progress)?;
        }
    }
    log.finish();
    Ok(model)
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
    let mut accumulated = GradientsAccumulator::new();
    for round in 0..options.accumulate {
        let (gradients, values) = sharded(model, device, options.shards, |model, shard| {
            let key = BatchKey {
                seed: options.seed,
                step,
                part: (round * options.shards + shard) as u64,
                parts: (options.shards * options.accumulate) as u64,
            };
            let (loss, figures) = objective.loss(model, key)?;
            Ok((loss.div_scalar(options.accumulate as f32), figures))
        })?;
        accumulated.accumulate(model, gradients);
        for part in values {
            figures.add(part);
        }
    }
    Ok(accumulated.grads())
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

/// Figures of the steps since the last line of the log.
struct Figures {
    sums: Vec<(String, f64, u32)>,
    since: Instant,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            sums: Vec::new(),
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
    fn drain(&mut self, norm: f64, rate: f64, steps: u64) -> Vec<(String, f64)> {
        let mut means: Vec<(String, f64)> = self
            .sums
            .drain(..)
            .map(|(name, sum, count)| (name, sum / f64::from(count)))
            .collect();
        let seconds = self.since.elapsed().as_secs_f64() / steps as f64;
        self.since = Instant::now();
        means.push(("grad_norm".into(), norm));
        means.push(("lr".into(), rate));
        means.push(("secs_per_step".into(), seconds));
        means
    }
}
