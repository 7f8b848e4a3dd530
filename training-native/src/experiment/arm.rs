//! One run of an arm, from its start to its results: the trainer with the arm's settings, then held-out captions of what came out.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use playroom::Split;
use serde_json::Value;

use super::measure::{measure, name_all};
use super::plan::{BASE, Plan};
use super::record::{Compute, Record};
use super::schedule::Run;
use crate::digests::model_digest;
use crate::rewards::Reward;
use crate::rewards::registry::{self, RewardOptions};
use crate::rl::config::{GrpoConfig, Teacher};
use crate::rl::course::RunOptions;
use crate::rl::dataset::{Prompts, Source};
use crate::rl::early_stop::StopRules;
use crate::rl::grpo::Trainer;
use crate::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use crate::rl::policy::Policy;
use crate::train::log::LINES;

/// The name of the rule that names everything given, among results.
pub const RULE: &str = "name-all";

/// Most tokens of a held-out caption: four things with names of any script have room.
const MOST_TOKENS: usize = 192;

/// Where things are.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Model folder that everything starts from.
    pub base: PathBuf,
    /// Folder of runs: checkpoints, logs, what was learned.
    pub runs: PathBuf,
    /// Folder of results.
    pub results: PathBuf,
}

impl Paths {
    /// The model a run ends with.
    pub fn learned(&self, key: &str) -> PathBuf {
        self.runs.join(key).join("last")
    }
}

/// Trains and measures a run, or goes on with it; without results where `stop` was raised before the end.
///
/// # Errors
/// When the model, data or files fail.
pub fn run(
    plan: &Plan,
    run: &Run,
    paths: &Paths,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Option<Record>> {
    let arm = plan.arm(&run.arm)?;
    let config = plan.config(arm, run.learning_rate, run.seed)?;
    let model = match &run.start {
        Some(key) => paths.learned(key),
        None => paths.base.clone(),
    };
    let options = RunOptions {
        run: paths.runs.join(run.key()),
        model: model.clone(),
        data: format!("tune {} of {}", plan.prompts, plan.data_seed),
        steps: arm.steps,
        shards: 1,
        save_every: 25,
        eval_every: 0,
        eval_prompts: 0,
        completions_every: 50,
        stop: StopRules::default(),
    };
    let prompts = tune(plan, run.seed)?;
    let mut rewards = rewards(&config)?;
    let trainer = Trainer {
        policy: Policy::open(&model, &config, device)?,
        prompts: &prompts,
        held_out: &prompts,
        rewards: &mut rewards,
        config: &config,
        options: &options,
        device: device.clone(),
    };
    let outcome = trainer.run(stop)?;
    if stop.load(Ordering::Relaxed) && outcome.step < arm.steps {
        return Ok(None);
    }
    let learned = Policy::open(&paths.learned(&run.key()), &config, device)?;
    let photos = plan.photos.val;
    let val = measure(&learned, Split::Val, &plan.conditions, photos, MOST_TOKENS)?;
    let record = Record {
        arm: run.arm.clone(),
        learning_rate: run.learning_rate,
        seed: run.seed,
        base: model_digest(&paths.base)?,
        compute: compute(&options.run.join(LINES), &config)?,
        stopped: outcome.stopped,
        splits: [(Split::Val.word().to_owned(), val)].into(),
    };
    record.write(&paths.results)?;
    Ok(Some(record))
}

/// Measures the base, and the rule that asks no model.
///
/// # Errors
/// As [`run`].
pub fn baselines(plan: &Plan, paths: &Paths, device: &Device) -> Result<Vec<Record>> {
    let config = plan.config(&plan.arms[0], 0.0, 0)?;
    let base = model_digest(&paths.base)?;
    let policy = Policy::open(&paths.base, &config, device)?;
    let photos = plan.photos.val;
    let record = |arm: &str, shown| Record {
        arm: arm.to_owned(),
        learning_rate: 0.0,
        seed: 0,
        base: base.clone(),
        compute: Compute::default(),
        stopped: None,
        splits: [(Split::Val.word().to_owned(), shown)].into(),
    };
    let records = vec![
        record(RULE, name_all(Split::Val, &plan.conditions, photos)?),
        record(
            BASE,
            measure(&policy, Split::Val, &plan.conditions, photos, MOST_TOKENS)?,
        ),
    ];
    for record in &records {
        record.write(&paths.results)?;
    }
    Ok(records)
}

/// Adds the test split to a record.
///
/// # Errors
/// When the model of the run is not there any more, and as [`run`].
pub fn test(plan: &Plan, record: &Record, paths: &Paths, device: &Device) -> Result<Record> {
    let photos = plan.photos.test;
    let key = Record::key(&record.arm, record.learning_rate, record.seed);
    let shown = if record.arm == RULE {
        name_all(Split::Test, &plan.conditions, photos)?
    } else {
        let (model, arm) = match record.arm == BASE {
            true => (paths.base.clone(), &plan.arms[0]),
            false => (paths.learned(&key), plan.arm(&record.arm)?),
        };
        ensure!(
            record.arm != BASE || model_digest(&model)? == record.base,
            "{} is not the base that was measured on validation; say --base",
            model.display()
        );
        let config = plan.config(arm, record.learning_rate, record.seed)?;
        let policy = Policy::open(&model, &config, device)?;
        measure(&policy, Split::Test, &plan.conditions, photos, MOST_TOKENS)?
    };
    let mut record = record.clone();
    record.splits.insert(Split::Test.word().to_owned(), shown);
    record.write(&paths.results)?;
    Ok(record)
}

/// The prompts that all arms learn from, in an order of their own for every seed.
fn tune(plan: &Plan, seed: u64) -> Result<Prompts> {
    let options = PlayroomOptions {
        split: Split::Tune,
        seed: plan.data_seed,
        prompts: plan.prompts,
        ..PlayroomOptions::default()
    };
    let source = Source::Playroom(PlayroomPrompts::new(options));
    Prompts::new(source, Some(seed))
}

/// The rewards of an arm.
///
/// # Errors
/// When one is unknown.
pub fn rewards(config: &GrpoConfig) -> Result<Vec<Box<dyn Reward>>> {
    let names = config.reward_funcs.iter();
    names
        .map(|name| registry::build(name, &RewardOptions::default()))
        .collect()
}

/// What a run took, from its log.
fn compute(log: &Path, config: &GrpoConfig) -> Result<Compute> {
    let text =
        std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let rows = (config.per_device_train_batch_size * config.gradient_accumulation_steps) as f64;
    let mut found = Compute::default();
    for line in text.lines() {
        let line: Value =
            serde_json::from_str(line).with_context(|| format!("{} is damaged", log.display()))?;
        let of = |name: &str| line[name].as_f64();
        let Some(length) = of("completions/mean_length") else {
            continue;
        };
        ensure!(
            length.is_finite(),
            "{}: a length is no number",
            log.display()
        );
        let tokens = (length * rows).round() as u64;
        let good = of("teacher/good_prompts").unwrap_or(1.0);
        found.steps += 1;
        found.learned_tokens += (tokens as f64 * good).round() as u64;
        found.learned_completions += (rows * good).round() as u64;
        found.drawn_tokens += match config.teacher {
            Teacher::Policy => tokens,
            Teacher::BestOfReference => of("teacher/drawn_tokens").unwrap_or(0.0) as u64,
            Teacher::Gold | Teacher::NoisyGold => 0,
        };
        found.seconds += of("step_time").unwrap_or(0.0);
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn compute_is_counted_by_who_drew() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join(LINES);
        let line = r#"{"step":1,"completions/mean_length":20.5,"step_time":2.0,"teacher/good_prompts":0.5,"teacher/drawn_tokens":900}"#;
        std::fs::write(
            &log,
            format!("{{\"step\":0,\"eval/f1\":0.5}}\n{line}\n{line}\n"),
        )
        .unwrap();
        let of = |teacher| {
            let config = GrpoConfig {
                teacher,
                ..GrpoConfig::default()
            };
            compute(&log, &config).unwrap()
        };
        let best = of(Teacher::BestOfReference);
        assert_eq!(
            (best.steps, best.drawn_tokens, best.learned_tokens),
            (2, 1800, 164)
        );
        assert_eq!((best.learned_completions, best.seconds), (8, 4.0));
        assert_eq!(of(Teacher::Gold).drawn_tokens, 0);
        assert_eq!(of(Teacher::Policy).drawn_tokens, 328);
    }
}
