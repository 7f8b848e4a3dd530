//! What a run will hold in memory and take, from its sizes and from one group of completions that is drawn and learned from.

use std::time::Instant;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use namelens_engine::host::Still;

use super::config::GrpoConfig;
use super::dataset::Prompts;
use super::demonstrations;
use super::policy::Policy;
use super::rollout::{Draw, shape};
use super::step::{self, StepKey};
use crate::ranks::Alone;
use crate::rewards::Reward;

/// Bytes of an f32.
const F32: u64 = 4;
/// Vectors as wide as the hidden state that a layer keeps for its gradient, about.
const KEPT: u64 = 14;
/// Logits held at a time, with what is made of them.
const LOGITS: u64 = 4 << 22;

/// What a run takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Parameters of the model with what learns.
    pub parameters: u64,
    /// Those that learn.
    pub trained: u64,
    /// What is held, in words, and its bytes.
    pub memory: Vec<(&'static str, u64)>,
    /// Tokens of a prompt, of the one that was tried.
    pub prompt_tokens: usize,
    /// Mean tokens of its completions.
    pub completion_tokens: f64,
    /// Seconds that a generation takes to draw, reward and compare.
    pub draw_secs: f64,
    /// Seconds that the gradients of a step take.
    pub learn_secs: f64,
    /// Optimiser steps of a generation.
    pub updates: u64,
}

impl Estimate {
    /// Seconds a step, drawing its share included.
    pub fn step_secs(&self) -> f64 {
        self.draw_secs / self.updates.max(1) as f64 + self.learn_secs
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.memory.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Draws one group and computes its gradients; nothing is updated.
///
/// # Errors
/// As a step of training.
pub fn estimate(
    policy: &Policy,
    prompts: &Prompts,
    rewards: &mut [Box<dyn Reward>],
    config: &GrpoConfig,
    shards: usize,
    device: &Device,
) -> Result<Estimate> {
    let group = config.num_generations;
    let trial = GrpoConfig {
        per_device_train_batch_size: group,
        gradient_accumulation_steps: 1,
        steps_per_generation: Some(1),
        dynamic_sampling_max_tries: 0,
        ..config.clone()
    };
    let began = Instant::now();
    let draw = Draw {
        number: 0,
        ranks: &Alone,
        host: &Still,
    };
    let mut found = demonstrations::generate(policy, prompts, rewards, &trial, draw, &mut 0)?;
    let drawn = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let key = StepKey {
        dropout: 0,
        fresh: true,
        entropy_coef: config.entropy_coef,
        shards: 1,
    };
    let training = device.clone().autodiff();
    step::gradients(
        &policy.vlm,
        &mut found,
        0..1,
        key,
        &trial,
        &Alone,
        &training,
    )?;
    let learned = began.elapsed().as_secs_f64();
    let rows = config.per_device_train_batch_size * config.generation_steps();
    let step_rows = config.per_device_train_batch_size * config.gradient_accumulation_steps;
    let side_by_side = shards.min(config.gradient_accumulation_steps).max(1);
    let lengths = found.rows.iter().map(|row| row.tokens.len()).sum::<usize>();
    let prompt_tokens = found.prompts.iter().map(|p| p.ids.len()).max().unwrap_or(0);
    Ok(Estimate {
        parameters: policy.vlm.num_params() as u64,
        trained: trained(policy),
        memory: memory(policy, config, prompt_tokens, side_by_side),
        prompt_tokens,
        completion_tokens: lengths as f64 / found.rows.len().max(1) as f64,
        draw_secs: drawn * rows as f64 / group as f64,
        learn_secs: learned * step_rows as f64 / group as f64 / side_by_side as f64,
        updates: super::grpo::updates_per_generation(config)?,
    })
}

fn trained(policy: &Policy) -> u64 {
    let values = policy.kit.names.collect(&policy.vlm);
    values.iter().map(|param| param.values.len() as u64).sum()
}

/// What is held at the worst moment: prompts of `prompt` tokens and completions as long as they may be.
fn memory(
    policy: &Policy,
    config: &GrpoConfig,
    prompt: usize,
    side_by_side: usize,
) -> Vec<(&'static str, u64)> {
    let text = &policy.kit.config.text_config;
    let (layers, width) = (text.num_hidden_layers as u64, text.hidden_size as u64);
    let (_, samples) = shape(config);
    let longest = (prompt + config.max_completion_length) as u64;
    let trained = trained(policy);
    let copies = match (config.use_peft, config.beta != 0.0) {
        (false, true) => 2,
        _ => 1,
    };
    let rows = (super::rollout::ROWS.max(samples)) as u64;
    let rows = rows.min((config.per_device_train_batch_size * config.generation_steps()) as u64);
    let keys = 2 * (text.num_key_value_heads * text.head_dim()) as u64;
    let shared = (config.per_device_train_batch_size * config.max_completion_length) as u64;
    let prompts = (config.per_device_train_batch_size / samples.max(1)).max(1) * prompt;
    let kept = KEPT * width + 3 * text.intermediate_size as u64;
    vec![
        ("weights", copies * policy.vlm.num_params() as u64 * F32),
        ("gradients and moments", 3 * trained * F32),
        (
            "keys and values while drawing",
            rows * longest * layers * keys * F32,
        ),
        (
            "activations of a step",
            side_by_side as u64 * (prompts as u64 + shared) * layers * kept * F32,
        ),
        ("logits of a few tokens", side_by_side as u64 * LOGITS * F32),
    ]
}
