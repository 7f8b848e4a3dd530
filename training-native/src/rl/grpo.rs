//! The loop of GRPO and its kin: generations, updates on them, logs, evaluation, checkpoints between generations, exact resume.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::buffer::Generation;
use super::completions;
use super::config::{GrpoConfig, LrSchedulerType};
use super::dataset::Prompts;
use super::early_stop::{StopRules, Watch};
use super::entropy::EntropyControl;
use super::held_out::{self, Figures, PRIMARY};
use super::metrics::Metrics;
use super::output;
use super::policy::Policy;
use super::rollout::{generate, shape};
use super::step::{self, StepKey};
use crate::native_host::NativeHost;
use crate::rewards::Reward;
use crate::train::checkpoint::{self, Progress};
use crate::train::log::{LINES, RunLog};
use crate::train::optimizer::Rule;
use crate::train::schedule::{Decay, Schedule};
use crate::train::{UpdateOptions, Updated, Updater};

/// How a run goes, besides what is learned.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Folder of logs, checkpoints, completions and what was learned.
    pub run: PathBuf,
    /// Folder of the model, for what is written of it.
    pub model: PathBuf,
    /// What prompts are drawn from, in words: a run resumes only on the same.
    pub data: String,
    /// Optimiser steps in all.
    pub steps: u64,
    /// Micro-batches computed side by side.
    pub shards: usize,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// Steps between evaluations; 0 evaluates before and at the end only.
    pub eval_every: u64,
    /// Held-out prompts of an evaluation; 0 never evaluates.
    pub eval_prompts: u64,
    /// Steps between pages of completions; 0 writes none.
    pub completions_every: u64,
    /// When to stop early.
    pub stop: StopRules,
}

/// What the loop must know to go on; the rest are weights and moments.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    /// Number of the next generation.
    generation: u64,
    /// Number of the next prompt.
    cursor: u64,
    /// Tokens of prompts and completions so far.
    tokens: u64,
    entropy: EntropyControl,
    watch: Watch,
    /// Figures before the first step.
    before: Option<Figures>,
    /// Figures of the last evaluation, and its step.
    last: Option<(u64, Figures)>,
    /// Step and figure of the best evaluation.
    best: Option<(u64, f64)>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps done.
    pub step: u64,
    /// Held-out figures before the first step.
    pub before: Option<Figures>,
    /// And at the last evaluation, with its step.
    pub after: Option<(u64, Figures)>,
    /// Step and held-out score of what is in `best/`.
    pub best: Option<(u64, f64)>,
    /// Why it ended before its last step.
    pub stopped: Option<String>,
}

/// Optimiser steps of one generation.
///
/// # Errors
/// When a generation is no whole number of steps, or a setting is none that this trainer has.
pub fn updates_per_generation(config: &GrpoConfig) -> Result<u64> {
    let (parts, step) = (
        config.generation_steps(),
        config.gradient_accumulation_steps,
    );
    ensure!(
        parts.is_multiple_of(step),
        "steps_per_generation {parts} is no multiple of gradient_accumulation_steps {step}: a step would need completions \
         of two generations"
    );
    ensure!(
        config.repetition_penalty == 1.0,
        "repetition_penalty must be 1: rollouts are drawn from the distribution that is trained"
    );
    ensure!(
        config.adam_beta1 == 0.9 && config.adam_epsilon == 1e-8,
        "adam_beta1 and adam_epsilon are 0.9 and 1e-8 here"
    );
    Ok((parts / step * config.num_iterations) as u64)
}

/// Steps of a run: `max_steps`, or as many as `num_train_epochs` over the prompts take.
///
/// # Errors
/// As [`updates_per_generation`].
pub fn steps(config: &GrpoConfig, prompts: &Prompts) -> Result<u64> {
    let updates = updates_per_generation(config)?;
    let (wanted, _) = shape(config);
    let generations = (prompts.len() as f64 * config.num_train_epochs / wanted as f64).ceil();
    Ok(config.max_steps.unwrap_or(generations as u64 * updates))
}

/// One run.
pub struct Trainer<'a> {
    /// What learns.
    pub policy: Policy,
    /// Prompts to learn from.
    pub prompts: &'a Prompts,
    /// Held-out prompts.
    pub held_out: &'a Prompts,
    /// Rewards, in the order of `reward_funcs`.
    pub rewards: &'a mut [Box<dyn Reward>],
    /// What is learned, and how.
    pub config: &'a GrpoConfig,
    /// How the run goes.
    pub options: &'a RunOptions,
    /// Raised to stop after the generation.
    pub stop: &'a AtomicBool,
    /// Where it is computed, without gradients.
    pub device: Device,
}

impl std::fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Trainer<'_> {
    /// Trains until the end, a reason to stop, or `stop`; goes on from the newest checkpoint where there is one.
    ///
    /// # Errors
    /// When data, rewards, files or the device fail, gradients stay non-finite, or the run's folder has logs but no checkpoint
    /// or one of other settings.
    pub fn run(mut self) -> Result<Outcome> {
        let run = &self.options.run;
        std::fs::create_dir_all(run).with_context(|| format!("cannot create {}", run.display()))?;
        let updates = updates_per_generation(self.config)?;
        let same = (self.config, self.options.steps, &self.options.data);
        let digest = serde_json::to_string(&same)?;
        let resumed = checkpoint::progress(run, self.config.seed, &digest)?;
        if resumed.is_some() {
            let folder = checkpoint::latest(run)?.context("the checkpoint is gone")?;
            self.policy.restore(&folder)?;
        }
        let names = self.policy.kit.names.clone();
        let mut updater = Updater::new(&self.policy.vlm, &names, self.updates());
        let (mut at, mut state) = match resumed {
            Some(progress) => {
                updater = updater.resume(run)?;
                let state = serde_json::from_value(progress.state)
                    .context("the checkpoint is of another kind of training; name another --run")?;
                (progress.step, state)
            }
            None => (0, self.begin()?),
        };
        let save = |at: u64, state: &State, policy: &Policy, updater: &Updater<'_>| -> Result<()> {
            let progress = Progress {
                step: at,
                seed: self.config.seed,
                options: digest.clone(),
                state: serde_json::to_value(state)?,
            };
            checkpoint::save(run, &policy.vlm, &names, updater.optimizer(), &progress)
        };
        if at == 0 {
            save(at, &state, &self.policy, &updater)?;
        }
        let mut log = RunLog::open(run, at, self.options.steps)?;
        let empty = std::fs::metadata(run.join(LINES)).is_ok_and(|file| file.len() == 0);
        if let (true, Some(before)) = (empty, &state.before) {
            log.record(
                0,
                &in_order(before.iter().map(|(n, v)| (n.clone(), *v)), &[]),
            )?;
        }
        let mut stopped = None;
        while at < self.options.steps && stopped.is_none() && !self.stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let first = at;
            let mut found = self.draw(&mut state)?;
            if due(self.options.completions_every, first, first + updates) {
                completions::write(
                    &run.join("completions"),
                    first + 1,
                    &found,
                    &self.config.reward_funcs,
                )?;
            }
            let mut news = std::mem::take(&mut found.metrics);
            let mut began = Some(began);
            for update in 0..updates {
                if at == self.options.steps {
                    break;
                }
                let since = began.take().unwrap_or_else(Instant::now);
                let (figures, updated) =
                    self.update(&mut found, update, at, &state, &mut updater)?;
                at += 1;
                news.merge(figures);
                if let Some(entropy) = news.get("entropy") {
                    state.entropy.update(entropy, self.config);
                }
                stopped = stopped.or(state.watch.observe(&news, &self.options.stop));
                log.tick(at);
                log.record(at, &self.line(&news, &updated, &state, since))?;
                news = Metrics::default();
            }
            let ends = at == self.options.steps || stopped.is_some();
            if self.options.eval_prompts > 0 && (ends || due(self.options.eval_every, first, at)) {
                let figures = self.evaluate()?;
                log.record(at, &in_order(figures.clone(), &[]))?;
                self.keep_best(&figures, at, &mut state)?;
                state.last = Some((at, figures));
            }
            let halted = self.stop.load(Ordering::Relaxed);
            if ends || halted || due(self.options.save_every, first, at) {
                save(at, &state, &self.policy, &updater)?;
            }
        }
        log.finish();
        output::write(&mut self.policy, &self.options.model, &run.join("last"))?;
        let interrupted = at < self.options.steps && stopped.is_none();
        Ok(Outcome {
            step: at,
            before: state.before,
            after: state.last,
            best: state.best,
            stopped: stopped.or(interrupted.then(|| "it was interrupted".to_owned())),
        })
    }

    /// Where a run begins: evaluated, and the best so far.
    fn begin(&mut self) -> Result<State> {
        let mut state = State {
            generation: 0,
            cursor: 0,
            tokens: 0,
            entropy: EntropyControl::new(self.config),
            watch: Watch::default(),
            before: None,
            last: None,
            best: None,
        };
        if self.options.eval_prompts > 0 {
            let figures = self.evaluate()?;
            state.best = figures.get(PRIMARY).map(|score| (0, *score));
            state.before = Some(figures);
        }
        Ok(state)
    }

    fn evaluate(&mut self) -> Result<Figures> {
        let calm = AtomicBool::new(false);
        let host = NativeHost::new(&calm);
        let count = self.options.eval_prompts;
        held_out::evaluate(
            &self.policy,
            self.held_out,
            count,
            self.rewards,
            self.config,
            &host,
        )
    }

    /// Writes what was learned where it is better than all before.
    fn keep_best(&mut self, figures: &Figures, at: u64, state: &mut State) -> Result<()> {
        let Some(score) = figures.get(PRIMARY).copied() else {
            return Ok(());
        };
        if state.best.is_none_or(|(_, best)| score > best) {
            output::write(
                &mut self.policy,
                &self.options.model,
                &self.options.run.join("best"),
            )?;
            state.best = Some((at, score));
        }
        Ok(())
    }

    /// The next generation.
    fn draw(&mut self, state: &mut State) -> Result<Generation> {
        let calm = AtomicBool::new(false);
        let found = generate(
            &self.policy,
            self.prompts,
            self.rewards,
            self.config,
            state.generation,
            &mut state.cursor,
            &NativeHost::new(&calm),
        )?;
        state.generation += 1;
        let read = |row: &super::buffer::Rolled| {
            (found.prompts[row.prompt].ids.len() + row.tokens.len()) as u64
        };
        state.tokens += found.rows.iter().map(read).sum::<u64>();
        Ok(found)
    }

    /// Update number `update` on a generation.
    fn update(
        &mut self,
        found: &mut Generation,
        update: u64,
        at: u64,
        state: &State,
        updater: &mut Updater<'_>,
    ) -> Result<(Metrics, Updated)> {
        let size = self.config.gradient_accumulation_steps;
        let steps = self.config.generation_steps() / size;
        let start = (update as usize % steps) * size;
        let key = StepKey {
            dropout: self.config.seed ^ state.generation.wrapping_mul(0x2545_f491_4f6c_dd1d),
            fresh: update == 0,
            entropy_coef: state.entropy.coef(self.config),
            shards: self.options.shards,
        };
        let training = self.device.clone().autodiff();
        let vlm = &self.policy.vlm;
        let parts = start..start + size;
        let (gradients, figures) = step::gradients(vlm, found, parts, key, self.config, &training)?;
        let (vlm, updated) = updater.update(vlm.clone(), gradients, at, &|_| 1.0)?;
        self.policy.vlm = vlm;
        Ok((figures, updated))
    }

    fn updates(&self) -> UpdateOptions {
        let config = self.config;
        UpdateOptions {
            rule: Rule::Adamw,
            schedule: Schedule {
                peak: config.learning_rate,
                warmup: config.warmup_steps,
                total: self.options.steps,
                floor: 0.0,
                decay: match config.lr_scheduler_type {
                    LrSchedulerType::Linear => Decay::Linear,
                    LrSchedulerType::Cosine => Decay::Cosine,
                    LrSchedulerType::Constant => Decay::Constant,
                },
            },
            weight_decay: config.weight_decay as f32,
            beta_2: config.adam_beta2 as f32,
            clip: config.max_grad_norm,
        }
    }

    /// A line of the log under TRL's names.
    fn line(
        &self,
        news: &Metrics,
        updated: &Updated,
        state: &State,
        since: Instant,
    ) -> Vec<(String, f64)> {
        let epoch = state.cursor as f64 / self.prompts.len() as f64;
        let own = [
            ("grad_norm", updated.norm),
            ("learning_rate", updated.rate),
            ("epoch", epoch),
            ("num_tokens", state.tokens as f64),
            ("step_time", since.elapsed().as_secs_f64()),
        ];
        let mut all: Vec<(String, f64)> = news.values().map(|(n, v)| (n.to_owned(), v)).collect();
        all.extend(own.map(|(name, value)| (name.to_owned(), value)));
        if updated.skipped {
            all.push(("skipped".into(), 1.0));
        }
        in_order(
            all,
            &[
                "reward",
                "kl",
                "completions/mean_length",
                "reward_std",
                "entropy",
                "loss",
            ],
        )
    }
}

/// Whether a multiple of `every` lies behind `before`, up to `now`; never of 0.
fn due(every: u64, before: u64, now: u64) -> bool {
    every > 0 && before / every < now / every
}

/// Figures with those named in front, which the bar shows.
fn in_order(
    figures: impl IntoIterator<Item = (String, f64)>,
    front: &[&str],
) -> Vec<(String, f64)> {
    let place = |name: &str| front.iter().position(|f| *f == name).unwrap_or(front.len());
    let mut figures: Vec<(String, f64)> = figures.into_iter().collect();
    figures.sort_by_key(|(name, _)| place(name));
    figures
}
