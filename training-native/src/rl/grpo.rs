//! GRPO and its kin as a method of the loop: groups of completions, their rewards compared, one or more passes of updates.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use namelens_engine::host::Still;
use namelens_engine::model::params::ParamNames;
use namelens_engine::model::vlm::Vlm;

use super::buffer::{Generation, Rolled};
use super::completions;
use super::config::{GrpoConfig, LrSchedulerType};
use super::course::{self, Method, Outcome, RunOptions, State};
use super::dataset::Prompts;
use super::entropy::EntropyControl;
use super::held_out::{self, Figures};
use super::metrics::Metrics;
use super::output;
use super::policy::Policy;
use super::rollout::{generate, shape};
use super::step::{self, StepKey};
use crate::rewards::Reward;
use crate::train::optimizer::Rule;
use crate::train::schedule::{Decay, Schedule};
use crate::train::{UpdateOptions, Updated, Updater};

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
    /// Trains until the end, a reason to stop, or until `stop` is raised, and then to the end of the generation; see
    /// [`course::run`].
    ///
    /// # Errors
    /// As [`course::run`], and when settings make no sense together.
    pub fn run(mut self, stop: &AtomicBool) -> Result<Outcome> {
        updates_per_generation(self.config)?;
        let (options, seed) = (self.options, self.config.seed);
        course::run(&mut self, seed, options, stop)
    }
}

impl Method for Trainer<'_> {
    type Model = Vlm;
    type Drawn = Generation;

    fn names(&self) -> ParamNames {
        self.policy.kit.names.clone()
    }

    fn rule(&self) -> UpdateOptions {
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

    fn entropy(&self) -> EntropyControl {
        EntropyControl::new(self.config)
    }

    fn settings(&self) -> Result<String> {
        Ok(serde_json::to_string(self.config)?)
    }

    fn updates(&self) -> u64 {
        let config = self.config;
        let steps = config.generation_steps() / config.gradient_accumulation_steps.max(1);
        (steps * config.num_iterations) as u64
    }

    fn epoch(&self) -> u64 {
        self.prompts.len()
    }

    fn model(&self) -> &Vlm {
        &self.policy.vlm
    }

    fn draw(&mut self, state: &mut State) -> Result<(Generation, Metrics)> {
        let mut found = generate(
            &self.policy,
            self.prompts,
            self.rewards,
            self.config,
            state.generation,
            &mut state.cursor,
            // A generation is never cut short: the loop stops behind it.
            &Still,
        )?;
        state.generation += 1;
        let read = |row: &Rolled| (found.prompts[row.prompt].ids.len() + row.tokens.len()) as u64;
        state.tokens += found.rows.iter().map(read).sum::<u64>();
        let metrics = std::mem::take(&mut found.metrics);
        Ok((found, metrics))
    }

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

    fn note(&self, figures: &Metrics, state: &mut State) {
        if let Some(entropy) = figures.get("entropy") {
            state.entropy.update(entropy, self.config);
        }
    }

    fn evaluate(&mut self) -> Result<Figures> {
        let count = self.options.eval_prompts;
        held_out::evaluate(
            &self.policy,
            self.held_out,
            count,
            self.rewards,
            self.config.max_completion_length,
            &Still,
        )
    }

    fn restore(&mut self, checkpoint: &Path) -> Result<()> {
        self.policy.restore(checkpoint)
    }

    fn write(&mut self, folder: &Path) -> Result<()> {
        output::write(&mut self.policy, &self.options.model, folder)
    }

    fn show(&self, folder: &Path, step: u64, found: &Generation) -> Result<()> {
        completions::write(folder, step, found, &self.config.reward_funcs)
    }
}
