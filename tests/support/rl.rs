//! Small runs of reinforcement learning on the embedded model: a rule as reward, settings of seconds, logs read back, threads as ranks.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier, Mutex};

use burn::tensor::Device;
use namelens::ranks::Ranks;
use namelens::rewards::{Reward, Row};
use namelens::rl::config::{GrpoConfig, LossType, LrSchedulerType};
use namelens::rl::course::{Outcome, RunOptions};
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::early_stop::StopRules;
use namelens::rl::grpo::Trainer;
use namelens::rl::metrics::Metrics;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use namelens::rl::policy::Policy;
use namelens::train::checkpoint;
use playroom::Split;
use serde_json::Value;

use crate::album::model;

/// A rule as a reward, and its name.
pub struct Rule<F>(pub &'static str, pub F);

impl<F> std::fmt::Debug for Rule<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rule({})", self.0)
    }
}

impl<F: FnMut(&Row) -> f32 + Send> Reward for Rule<F> {
    fn name(&self) -> &str {
        self.0
    }

    fn score(&mut self, rows: &[Row], _: &mut Metrics) -> anyhow::Result<Vec<Option<f32>>> {
        Ok(rows.iter().map(|row| Some((self.1)(row))).collect())
    }
}

/// Share of the letters that are an `e`: any completion has some, so every group has variance.
pub fn letters(row: &Row) -> f32 {
    let all = row.completion.chars().count().max(1);
    row.completion.matches('e').count() as f32 / all as f32
}

/// Small and fast: two prompts of four short completions.
pub fn config() -> GrpoConfig {
    GrpoConfig {
        seed: 3,
        learning_rate: 1e-3,
        lr_scheduler_type: LrSchedulerType::Constant,
        per_device_train_batch_size: 4,
        gradient_accumulation_steps: 2,
        num_generations: 4,
        max_completion_length: 8,
        loss_type: LossType::Grpo,
        reward_funcs: vec!["rule".into()],
        use_peft: true,
        lora_r: 8,
        lora_alpha: 16.0,
        lora_dropout: 0.05,
        ..GrpoConfig::default()
    }
}

/// Captions of one thing.
///
/// # Panics
/// Never: there are some.
pub fn prompts(split: Split) -> Prompts {
    let options = PlayroomOptions {
        split,
        prompts: 32,
        present: 1..=1,
        absent: Some(0),
        ..PlayroomOptions::default()
    };
    Prompts::new(Source::Playroom(PlayroomPrompts::new(options)), Some(1)).unwrap()
}

/// A run of so many steps that evaluates nothing and keeps one checkpoint.
pub fn options(run: &Path, steps: u64) -> RunOptions {
    RunOptions {
        run: run.to_owned(),
        model: model(),
        data: "playroom".into(),
        steps,
        shards: 1,
        save_every: 100,
        eval_every: 0,
        eval_prompts: 0,
        completions_every: 0,
        stop: StopRules::default(),
    }
}

/// The embedded model as `config` has it trained.
///
/// # Panics
/// When it cannot be read.
pub fn policy(config: &GrpoConfig) -> Policy {
    Policy::open(&model(), config, &Device::flex()).unwrap()
}

/// Trains with `rule` as the reward until the end, or until `stop` is raised.
///
/// # Errors
/// As the trainer.
pub fn train(
    options: &RunOptions,
    config: &GrpoConfig,
    stop: &AtomicBool,
    rule: impl FnMut(&Row) -> f32 + Send + 'static,
) -> anyhow::Result<Outcome> {
    let rewards: Vec<Box<dyn Reward>> = vec![Box::new(Rule("rule", rule))];
    let data = [&prompts(Split::Train), &prompts(Split::Val)];
    train_on(data, options, config, stop, rewards)
}

/// Trains on the first of `data` and evaluates on the second.
///
/// # Errors
/// As the trainer.
pub fn train_on(
    data: [&Prompts; 2],
    options: &RunOptions,
    config: &GrpoConfig,
    stop: &AtomicBool,
    mut rewards: Vec<Box<dyn Reward>>,
) -> anyhow::Result<Outcome> {
    let trainer = Trainer {
        policy: policy(config),
        prompts: data[0],
        held_out: data[1],
        rewards: &mut rewards,
        config,
        options,
        device: Device::flex(),
    };
    trainer.run(stop)
}

/// The lines of the log without the times.
///
/// # Panics
/// When there is no log.
pub fn logged(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("step_time");
        line
    });
    lines.collect()
}

/// A figure of all lines that have it.
pub fn column(log: &[Value], name: &str) -> Vec<f64> {
    log.iter().filter_map(|line| line[name].as_f64()).collect()
}

/// The weights of the newest checkpoint, as they lie in the file.
///
/// # Panics
/// When there is none.
pub fn weights(run: &Path) -> Vec<u8> {
    let latest = checkpoint::latest(run).unwrap().unwrap();
    std::fs::read(latest.join("model.safetensors")).unwrap()
}

/// A rank that is a thread.
#[derive(Debug, Clone)]
pub struct ThreadRank {
    rank: usize,
    room: Arc<Room>,
}

#[derive(Debug)]
struct Room {
    meeting: Barrier,
    said: Mutex<Vec<Vec<u8>>>,
}

/// So many ranks in one process.
pub fn thread_ranks(size: usize) -> Vec<ThreadRank> {
    let room = Arc::new(Room {
        meeting: Barrier::new(size),
        said: Mutex::new(vec![Vec::new(); size]),
    });
    let rank = |rank| ThreadRank {
        rank,
        room: Arc::clone(&room),
    };
    (0..size).map(rank).collect()
}

impl Ranks for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.room.said.lock().unwrap().len()
    }

    fn sum(&self, values: &mut [f32]) -> anyhow::Result<()> {
        let own = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let all = self.gather(own)?;
        for (at, value) in values.iter_mut().enumerate() {
            let of = |bytes: &Vec<u8>| f32::from_le_bytes(bytes[4 * at..][..4].try_into().unwrap());
            *value = all.iter().map(of).sum();
        }
        Ok(())
    }

    fn gather(&self, own: Vec<u8>) -> anyhow::Result<Vec<Vec<u8>>> {
        self.room.said.lock().unwrap()[self.rank] = own;
        self.room.meeting.wait();
        let all = self.room.said.lock().unwrap().clone();
        // Nobody says the next thing before all have heard this.
        self.room.meeting.wait();
        Ok(all)
    }
}
