//! The loop every method of reinforcement learning runs in: logs, evaluation, early stop, checkpoints between generations, resume.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use namelens_engine::model::params::ParamNames;
use serde::{Deserialize, Serialize};

use super::early_stop::{StopRules, Watch};
use super::entropy::EntropyControl;
use super::held_out::{Figures, PRIMARY};
use super::metrics::Metrics;
use crate::train::checkpoint::{self, Progress};
use crate::train::log::{LINES, RunLog};
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
pub struct State {
    /// Number of the next generation.
    pub generation: u64,
    /// Number of the next prompt.
    pub cursor: u64,
    /// Tokens of prompts and completions so far.
    pub tokens: u64,
    /// Weight of the entropy bonus, where there is one.
    pub entropy: EntropyControl,
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

/// A method of learning from completions.
pub trait Method {
    /// What is trained.
    type Model: Module;
    /// A generation of completions.
    type Drawn;

    /// Names of the parameters that learn.
    fn names(&self) -> ParamNames;

    /// How gradients become updates.
    fn rule(&self) -> UpdateOptions;

    /// The weight of an entropy bonus before the first step.
    fn entropy(&self) -> EntropyControl;

    /// All settings that a run may not change when it resumes, in words.
    ///
    /// # Errors
    /// When they cannot be written down.
    fn settings(&self) -> Result<String>;

    /// Updates on one generation.
    fn updates(&self) -> u64;

    /// Prompts of an epoch.
    fn epoch(&self) -> u64;

    /// What is trained.
    fn model(&self) -> &Self::Model;

    /// The next generation; moves on what `state` counts. Its figures are logged with the first update on it.
    ///
    /// # Errors
    /// When a prompt, a completion or a reward fails.
    fn draw(&mut self, state: &mut State) -> Result<(Self::Drawn, Metrics)>;

    /// Update number `update` on a generation, in step `at`.
    ///
    /// # Errors
    /// When a loss cannot be computed, or gradients stay non-finite.
    fn update(
        &mut self,
        drawn: &mut Self::Drawn,
        update: u64,
        at: u64,
        state: &State,
        updater: &mut Updater<'_>,
    ) -> Result<(Metrics, Updated)>;

    /// Takes note of a step's figures.
    fn note(&self, figures: &Metrics, state: &mut State) {
        let _ = (figures, state);
    }

    /// Held-out figures.
    ///
    /// # Errors
    /// As drawing.
    fn evaluate(&mut self) -> Result<Figures>;

    /// Takes the weights of a checkpoint.
    ///
    /// # Errors
    /// When they are another model's.
    fn restore(&mut self, checkpoint: &Path) -> Result<()>;

    /// Writes what was learned.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn write(&mut self, folder: &Path) -> Result<()>;

    /// Writes the completions of a generation whose first step is `step`.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn show(&self, folder: &Path, step: u64, drawn: &Self::Drawn) -> Result<()>;
}

/// Trains until the end, a reason to stop, or `stop`; goes on from the newest checkpoint where there is one.
///
/// # Errors
/// When data, rewards, files or the device fail, gradients stay non-finite, or the run's folder has logs but no checkpoint or
/// one of other settings.
pub fn run<M: Method>(
    method: &mut M,
    seed: u64,
    options: &RunOptions,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let run = &options.run;
    std::fs::create_dir_all(run).with_context(|| format!("cannot create {}", run.display()))?;
    let digest = serde_json::to_string(&(method.settings()?, options.steps, &options.data))?;
    let resumed = checkpoint::progress(run, seed, &digest)?;
    if resumed.is_some() {
        let folder = checkpoint::latest(run)?.context("the checkpoint is gone")?;
        method.restore(&folder)?;
    }
    let names = method.names();
    let mut updater = Updater::new(method.model(), &names, method.rule());
    let (mut at, mut state) = match resumed {
        Some(progress) => {
            updater = updater.resume(run)?;
            let state = serde_json::from_value(progress.state)
                .context("the checkpoint is of another kind of training; name another --run")?;
            (progress.step, state)
        }
        None => (0, begin(method, options)?),
    };
    let save = |at: u64, state: &State, method: &M, updater: &Updater<'_>| -> Result<()> {
        let progress = Progress {
            step: at,
            seed,
            options: digest.clone(),
            state: serde_json::to_value(state)?,
        };
        checkpoint::save(run, method.model(), &names, updater.optimizer(), &progress)
    };
    if at == 0 {
        // Before anything is logged: what has logs can be resumed.
        save(at, &state, method, &updater)?;
    }
    let mut log = RunLog::open(run, at, options.steps)?;
    let empty = std::fs::metadata(run.join(LINES)).is_ok_and(|file| file.len() == 0);
    if let (true, Some(before)) = (empty, &state.before) {
        log.record(0, &in_order(before.clone(), FRONT_EVAL))?;
    }
    let mut stopped = None;
    while at < options.steps && stopped.is_none() && !stop.load(Ordering::Relaxed) {
        let first = at;
        let mut since = Instant::now();
        let (mut drawn, mut news) = method.draw(&mut state)?;
        let updates = method.updates().min(options.steps - at);
        if due(options.completions_every, first, first + updates) {
            method.show(&run.join("completions"), first + 1, &drawn)?;
        }
        for update in 0..updates {
            let (figures, updated) = method.update(&mut drawn, update, at, &state, &mut updater)?;
            at += 1;
            news.merge(figures);
            method.note(&news, &mut state);
            stopped = stopped.or(state.watch.observe(&news, &options.stop));
            log.tick(at);
            log.record(at, &line(&news, &updated, &state, method.epoch(), since))?;
            news = Metrics::default();
            since = Instant::now();
        }
        let ends = at == options.steps || stopped.is_some();
        if options.eval_prompts > 0 && (ends || due(options.eval_every, first, at)) {
            let figures = method.evaluate()?;
            log.record(at, &in_order(figures.clone(), FRONT_EVAL))?;
            let score = figures.get(PRIMARY).copied();
            if score.is_some_and(|score| state.best.is_none_or(|(_, best)| score > best)) {
                method.write(&run.join("best"))?;
                state.best = score.map(|score| (at, score));
            }
            state.last = Some((at, figures));
        }
        if ends || stop.load(Ordering::Relaxed) || due(options.save_every, first, at) {
            save(at, &state, method, &updater)?;
        }
    }
    log.finish();
    method.write(&run.join("last"))?;
    let interrupted = at < options.steps && stopped.is_none();
    Ok(Outcome {
        step: at,
        before: state.before,
        after: state.last,
        best: state.best,
        stopped: stopped.or(interrupted.then(|| "it was interrupted".to_owned())),
    })
}

/// Where a run begins: evaluated, and the best so far.
fn begin<M: Method>(method: &mut M, options: &RunOptions) -> Result<State> {
    let mut state = State {
        generation: 0,
        cursor: 0,
        tokens: 0,
        entropy: method.entropy(),
        watch: Watch::default(),
        before: None,
        last: None,
        best: None,
    };
    if options.eval_prompts > 0 {
        let figures = method.evaluate()?;
        state.best = figures.get(PRIMARY).map(|score| (0, *score));
        state.before = Some(figures);
    }
    Ok(state)
}

/// Figures the bar shows.
const FRONT: &[&str] = &[
    "reward",
    "kl",
    "completions/mean_length",
    "reward_std",
    "entropy",
    "loss",
];
const FRONT_EVAL: &[&str] = &[PRIMARY];

/// A line of the log under TRL's names.
fn line(
    news: &Metrics,
    updated: &Updated,
    state: &State,
    epoch: u64,
    since: Instant,
) -> Vec<(String, f64)> {
    let mut all: BTreeMap<String, f64> = news.values().map(|(n, v)| (n.to_owned(), v)).collect();
    let own = [
        ("grad_norm", updated.norm),
        ("learning_rate", updated.rate),
        ("epoch", state.cursor as f64 / epoch.max(1) as f64),
        ("num_tokens", state.tokens as f64),
        ("step_time", since.elapsed().as_secs_f64()),
    ];
    all.extend(own.map(|(name, value)| (name.to_owned(), value)));
    if updated.skipped {
        all.insert("skipped".into(), 1.0);
    }
    in_order(all, FRONT)
}

/// Whether a multiple of `every` lies behind `before`, up to `now`; never of 0.
fn due(every: u64, before: u64, now: u64) -> bool {
    every > 0 && before / every < now / every
}

/// Figures with those named in front, which the bar shows.
fn in_order(figures: BTreeMap<String, f64>, front: &[&str]) -> Vec<(String, f64)> {
    let place = |name: &str| front.iter().position(|f| *f == name).unwrap_or(front.len());
    let mut figures: Vec<(String, f64)> = figures.into_iter().collect();
    figures.sort_by_key(|(name, _)| place(name));
    figures
}

#[cfg(test)]
mod tests {
    use super::due;

    #[test]
    fn what_is_due_between_two_generations_is_done_behind_the_later() {
        assert!(due(10, 8, 10) && due(10, 9, 12) && due(10, 19, 40));
        assert!(!due(10, 10, 19) && !due(10, 0, 9) && !due(0, 0, 100));
    }
}
