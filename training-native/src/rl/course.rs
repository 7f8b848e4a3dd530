//! The loop every method of reinforcement learning runs in: logs, evaluation, early stop, checkpoints between generations, resume.
//!
//! With several ranks all of them run it. The one that leads writes and evaluates; what decides how it goes on is agreed upon.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};

use super::held_out::PRIMARY;
pub use super::method::{Method, Outcome, RunOptions, State};
use super::metrics::Metrics;
use crate::digests::weights_digest;
use crate::ranks::{Ranks, by_leader, leads, share};
use crate::train::changes::changes;
use crate::train::checkpoint::{self, Progress};
use crate::train::log::{LINES, RunLog};
use crate::train::run_lock::RunLock;
use crate::train::{Updated, Updater};

/// Trains until the end, a reason to stop, or `stop`; goes on from the newest checkpoint where there is one.
///
/// # Errors
/// When data, rewards, files, the device or another rank fail, gradients stay non-finite, the run's folder has logs but no
/// checkpoint or one of other settings, or another process works in it.
pub fn run<M: Method>(
    method: &mut M,
    ranks: &dyn Ranks,
    seed: u64,
    options: &RunOptions,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let run = &options.run;
    let mut lock = None;
    by_leader(ranks, || {
        lock = Some(RunLock::take(run)?);
        Ok(())
    })?;
    let weights = weights_digest(&options.model)?;
    let digest = digest(method, ranks, options, &weights)?;
    let defaults = defaults(method, &weights)?;
    let changed = |before: &str| changes(before, &digest, &defaults, DIGEST);
    let resumed = by_leader(ranks, || checkpoint::progress(run, seed, &changed))?;
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
        None => (0, begin(method, ranks, options)?),
    };
    // With other bounds it was not ended.
    state.stopped.take_if(|(_, rules)| *rules != options.stop);
    // The next checkpoint takes the place of this one: all must have read it.
    share(ranks, &())?;
    let save = |at: u64, state: &State, method: &M, updater: &Updater<'_>| -> Result<()> {
        if !leads(ranks) {
            return Ok(());
        }
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
    let mut log = Log::open(ranks, run, at, options.steps, &state)?;
    let mut halted = agreed(ranks, stop)?;
    while at < options.steps && state.stopped.is_none() && !halted {
        let first = at;
        let mut since = Instant::now();
        let (mut drawn, mut news) = method.draw(&mut state)?;
        let updates = method.updates().min(options.steps - at);
        if leads(ranks) && due(options.completions_every, first, first + updates) {
            method.show(&run.join("completions"), first + 1, &drawn)?;
        }
        for update in 0..updates {
            let (figures, updated) = method.update(&mut drawn, update, at, &state, &mut updater)?;
            at += 1;
            news.merge(figures);
            method.note(&news, &mut state);
            let reason = state.watch.observe(&news, &options.stop);
            let reason = reason.map(|reason| (reason, options.stop));
            state.stopped = state.stopped.take().or(reason);
            log.record(at, line(&news, &updated, &state, method.epoch(), since))?;
            news = Metrics::default();
            since = Instant::now();
        }
        let ends = at == options.steps || state.stopped.is_some();
        if options.eval_prompts > 0 && (ends || due(options.eval_every, first, at)) {
            let figures = by_leader(ranks, || method.evaluate())?;
            log.record(at, in_order(figures.clone(), FRONT_EVAL))?;
            let score = figures.get(PRIMARY).copied();
            if score.is_some_and(|score| state.best.is_none_or(|(_, best)| score > best)) {
                if leads(ranks) {
                    method.write(&run.join("best"))?;
                }
                state.best = score.map(|score| (at, score));
            }
            state.last = Some((at, figures));
        }
        halted = agreed(ranks, stop)?;
        if ends || halted || due(options.save_every, first, at) {
            save(at, &state, method, &updater)?;
        }
    }
    log.finish();
    if leads(ranks) {
        method.write(&run.join("last"))?;
    }
    let interrupted = at < options.steps && state.stopped.is_none();
    Ok(Outcome {
        step: at,
        before: state.before,
        after: state.last,
        best: state.best,
        stopped: state
            .stopped
            .map(|(reason, _)| reason)
            .or(interrupted.then(|| "it was interrupted".to_owned())),
        interrupted,
    })
}

/// Names of the places of [`digest`]; the first one's settings have names of their own.
const DIGEST: &[&str] = &["", "steps", "data", "weights"];

/// What a run may not change when it resumes.
fn digest<M: Method>(
    method: &M,
    ranks: &dyn Ranks,
    options: &RunOptions,
    weights: &str,
) -> Result<String> {
    let data = match ranks.size() {
        1 => options.data.clone(),
        size => format!("{} on {size} ranks", options.data),
    };
    Ok(serde_json::to_string(&(
        method.settings()?,
        options.steps,
        data,
        weights,
    ))?)
}

/// What options are taken to have been that a run does not tell of: of runs from before weights were told, that they are the same.
fn defaults<M: Method>(method: &M, weights: &str) -> Result<String> {
    let mut defaults: serde_json::Value = serde_json::from_str(&method.default_settings()?)?;
    defaults["weights"] = weights.into();
    Ok(defaults.to_string())
}

/// Whether any of the ranks was asked to stop.
fn agreed(ranks: &dyn Ranks, stop: &AtomicBool) -> Result<bool> {
    let asked = share(ranks, &stop.load(Ordering::Relaxed))?;
    Ok(asked.contains(&true))
}

/// Where a run begins: evaluated, and the best so far.
fn begin<M: Method>(method: &mut M, ranks: &dyn Ranks, options: &RunOptions) -> Result<State> {
    let entropy = method.entropy();
    let before = match options.eval_prompts > 0 {
        true => Some(by_leader(ranks, || method.evaluate())?),
        false => None,
    };
    Ok(State::new(entropy, before))
}

/// The log of the rank that leads; the others have none.
struct Log(Option<RunLog>);

impl Log {
    fn open(ranks: &dyn Ranks, run: &Path, at: u64, steps: u64, state: &State) -> Result<Self> {
        if !leads(ranks) {
            return Ok(Self(None));
        }
        let mut log = Self(Some(RunLog::open(run, at, steps)?));
        let empty = std::fs::metadata(run.join(LINES)).is_ok_and(|file| file.len() == 0);
        if let (true, Some(before)) = (empty, &state.before) {
            log.record(0, in_order(before.clone(), FRONT_EVAL))?;
        }
        Ok(log)
    }

    fn record(&mut self, at: u64, figures: Vec<(String, f64)>) -> Result<()> {
        let Some(log) = &mut self.0 else {
            return Ok(());
        };
        log.tick(at);
        log.record(at, &figures)
    }

    fn finish(&self) {
        if let Some(log) = &self.0 {
            log.finish();
        }
    }
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
