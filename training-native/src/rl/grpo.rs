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
use super::config::{GrpoConfig, LrSchedulerType, Teacher};
use super::course::{self, Method, Outcome, RunOptions, State};
use super::dataset::Prompts;
use super::demonstrations;
use super::entropy::EntropyControl;
use super::held_out::{self, Figures};
use super::metrics::Metrics;
use super::output;
use super::policy::Policy;
use super::rollout::{Draw, shape};
use super::step::{self, StepKey};
use crate::ranks::{Alone, Ranks, share};
use crate::rewards::Reward;
use crate::train::optimizer::{Moments, Rule};
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
    Ok((parts / step * config.num_iterations) as u64)
}

/// Steps of a run on so many ranks: `max_steps`, or as many as `num_train_epochs` over the prompts take.
///
/// # Errors
/// As [`updates_per_generation`].
pub fn steps(config: &GrpoConfig, prompts: &Prompts, ranks: usize) -> Result<u64> {
    let updates = updates_per_generation(config)?;
    let wanted = asked(config) * ranks.max(1);
    let asked = prompts.len() * visits(config);
    let generations = (asked as f64 * config.num_train_epochs / wanted as f64).ceil();
    Ok(config.max_steps.unwrap_or(generations as u64 * updates))
}

/// Prompts that a rank asks for one generation.
fn asked(config: &GrpoConfig) -> usize {
    match config.teacher {
        Teacher::Policy => shape(config).0,
        // One completion of each is learned from.
        _ => config.per_device_train_batch_size * config.generation_steps(),
    }
}

/// How often an epoch asks each prompt: as often as it has completions, where those of a group are each another prompt's.
fn visits(config: &GrpoConfig) -> u64 {
    match (config.teacher, config.groups_share_prompt) {
        (Teacher::Policy, false) => config.num_generations as u64,
        _ => 1,
    }
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
    pub fn run(self, stop: &AtomicBool) -> Result<Outcome> {
        self.run_among(&Alone, stop)
    }

    /// The same together with other processes, each of which has a trainer with the same settings and the same run folder.
    /// Settings are those of one process: with two a step has twice as many completions.
    ///
    /// # Errors
    /// As [`Trainer::run`], and when another process is gone.
    pub fn run_among(self, ranks: &dyn Ranks, stop: &AtomicBool) -> Result<Outcome> {
        updates_per_generation(self.config)?;
        let (options, seed) = (self.options, self.config.seed);
        output::check_place(&self.policy, &options.model, &options.run)?;
        let mut learner = Learner { own: self, ranks };
        course::run(&mut learner, ranks, seed, options, stop)
    }
}

/// A trainer and whom it trains with.
struct Learner<'a, 'r> {
    own: Trainer<'a>,
    ranks: &'r dyn Ranks,
}

impl Method for Learner<'_, '_> {
    type Model = Vlm;
    type Drawn = Generation;

    fn names(&self) -> ParamNames {
        self.own.policy.kit.names.clone()
    }

    fn rule(&self) -> UpdateOptions {
        let config = self.own.config;
        UpdateOptions {
            rule: Rule::Adamw,
            schedule: Schedule {
                peak: config.learning_rate,
                warmup: config.warmup_steps,
                total: self.own.options.steps,
                floor: 0.0,
                decay: match config.lr_scheduler_type {
                    LrSchedulerType::Linear => Decay::Linear,
                    LrSchedulerType::Cosine => Decay::Cosine,
                    LrSchedulerType::Constant => Decay::Constant,
                },
            },
            weight_decay: config.weight_decay as f32,
            moments: Moments {
                beta_1: config.adam_beta1 as f32,
                beta_2: config.adam_beta2 as f32,
                epsilon: config.adam_epsilon as f32,
            },
            clip: config.max_grad_norm,
        }
    }

    fn entropy(&self) -> EntropyControl {
        EntropyControl::new(self.own.config)
    }

    fn settings(&self) -> Result<String> {
        Ok(serde_json::to_string(self.own.config)?)
    }

    fn default_settings(&self) -> Result<String> {
        Ok(serde_json::to_string(&GrpoConfig::default())?)
    }

    fn updates(&self) -> u64 {
        let config = self.own.config;
        let steps = config.generation_steps() / config.gradient_accumulation_steps.max(1);
        (steps * config.num_iterations) as u64
    }

    fn epoch(&self) -> u64 {
        self.own.prompts.len() * visits(self.own.config)
    }

    fn model(&self) -> &Vlm {
        &self.own.policy.vlm
    }

    fn draw(&mut self, state: &mut State) -> Result<(Generation, Metrics)> {
        let draw = Draw {
            number: state.generation,
            ranks: self.ranks,
            // A generation is never cut short: the loop stops behind it.
            host: &Still,
        };
        let own = &mut self.own;
        let cursor = &mut state.cursor;
        let mut found = demonstrations::generate(
            &own.policy,
            own.prompts,
            own.rewards,
            own.config,
            draw,
            cursor,
        )?;
        state.generation += 1;
        let read = |row: &Rolled| (found.prompts[row.prompt].ids.len() + row.tokens.len()) as u64;
        let read: u64 = found.rows.iter().map(read).sum();
        state.tokens += share(self.ranks, &read)?.into_iter().sum::<u64>();
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
        let size = self.own.config.gradient_accumulation_steps;
        let steps = self.own.config.generation_steps() / size;
        let start = (update as usize % steps) * size;
        let key = StepKey {
            dropout: self.own.config.seed ^ state.generation.wrapping_mul(0x2545_f491_4f6c_dd1d),
            fresh: update == 0,
            entropy_coef: state.entropy.coef(self.own.config),
            shards: self.own.options.shards,
        };
        let training = self.own.device.clone().autodiff();
        let vlm = &self.own.policy.vlm;
        let parts = start..start + size;
        let (config, ranks) = (self.own.config, self.ranks);
        let (gradients, figures) =
            step::gradients(vlm, found, parts, key, config, ranks, &training)?;
        let (vlm, updated) = updater.update(vlm.clone(), gradients, at, &|_| 1.0)?;
        self.own.policy.vlm = vlm;
        Ok((figures, updated))
    }

    fn note(&self, figures: &Metrics, state: &mut State) {
        if let Some(entropy) = figures.get("entropy") {
            state.entropy.update(entropy, self.own.config);
        }
    }

    fn evaluate(&mut self) -> Result<Figures> {
        let count = self.own.options.eval_prompts;
        let held = held_out::evaluate(
            &self.own.policy,
            self.own.held_out,
            count,
            self.own.rewards,
            self.own.config.max_completion_length,
            &Still,
        )?;
        Ok(held.figures)
    }

    fn restore(&mut self, checkpoint: &Path) -> Result<()> {
        self.own.policy.restore(checkpoint)
    }

    fn write(&mut self, folder: &Path) -> Result<()> {
        output::write(&mut self.own.policy, &self.own.options.model, folder)
    }

    fn show(&self, folder: &Path, step: u64, found: &Generation) -> Result<()> {
        completions::write(folder, step, found, &self.own.config.reward_funcs)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::dataset::Source;
    use super::super::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
    use super::super::presets;
    use super::*;

    #[test]
    fn an_epoch_has_as_many_completions_of_each_prompt_however_they_are_grouped() {
        let options = PlayroomOptions {
            prompts: 2000,
            ..PlayroomOptions::default()
        };
        let prompts = Prompts::new(Source::Playroom(PlayroomPrompts::new(options)), None).unwrap();
        let of = |preset: &str, ranks: usize| {
            steps(&presets::grpo(preset).unwrap(), &prompts, ranks).unwrap()
        };
        // 2,000 prompts of 8 completions, two epochs, 16 completions a step.
        assert_eq!((of("repic", 1), of("repic-released", 1)), (2000, 2000));
        assert_eq!((of("repic", 2), of("repic-released", 2)), (1000, 1000));
        // Three epochs of references, eight a step.
        assert_eq!(of("sft", 1), 750);
    }
}
