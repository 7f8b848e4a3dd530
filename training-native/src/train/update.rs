//! One update of a model: gradients clipped, those that are no numbers skipped and counted, the rule, the learning rate.

use std::path::Path;

use anyhow::{Result, bail};
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use namelens_engine::model::params::ParamNames;

use super::checkpoint;
use super::gradients::clip_by_global_norm;
use super::optimizer::{self, Moments, Rule};
use super::schedule::Schedule;

/// How gradients become updates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateOptions {
    /// The rule.
    pub rule: Rule,
    /// Learning rates.
    pub schedule: Schedule,
    /// Decay of matrices; vectors (norms, biases) are not decayed.
    pub weight_decay: f32,
    /// How AdamW remembers gradients.
    pub moments: Moments,
    /// Largest global gradient norm.
    pub clip: f64,
}

/// What an update was like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Updated {
    /// Global norm of the gradients, before clipping.
    pub norm: f64,
    /// Learning rate of the schedule.
    pub rate: f64,
    /// Whether the gradients were no numbers, and the model was left as it is.
    pub skipped: bool,
}

/// Updates in a row whose gradients may be no numbers before the run is given up.
const MAX_SKIPPED: u32 = 20;

/// Updates one model, step by step.
pub struct Updater<'a> {
    names: &'a ParamNames,
    options: UpdateOptions,
    optimizer: ModuleOptimizer,
    skipped: u64,
    skipped_in_a_row: u32,
}

impl std::fmt::Debug for Updater<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Updater")
            .field("options", &self.options)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

impl<'a> Updater<'a> {
    /// Begins with fresh moments.
    pub fn new<M: Module>(model: &M, names: &'a ParamNames, options: UpdateOptions) -> Self {
        let UpdateOptions {
            rule,
            weight_decay,
            moments,
            ..
        } = options;
        Self {
            names,
            options,
            optimizer: optimizer::new(model, names, rule, weight_decay, moments),
            skipped: 0,
            skipped_in_a_row: 0,
        }
    }

    /// Goes on with the moments of the newest checkpoint of `run`.
    ///
    /// # Errors
    /// When there is none or they are unreadable.
    pub fn resume(mut self, run: &Path) -> Result<Self> {
        self.optimizer = checkpoint::load_optimizer(run, self.optimizer)?;
        Ok(self)
    }

    /// The optimiser, for a checkpoint.
    pub fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    /// Updates skipped so far because gradients were no numbers.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Moves `model` by its mean gradients in `step`, counted from 0. `share` is what the schedule's learning rate is multiplied
    /// by for a parameter, by checkpoint key.
    ///
    /// # Errors
    /// When gradients were no numbers too many times in a row.
    pub fn update<M: Module>(
        &mut self,
        model: M,
        gradients: GradientsParams,
        step: u64,
        share: &dyn Fn(&str) -> f64,
    ) -> Result<(M, Updated)> {
        let (gradients, norm) = clip_by_global_norm(&model, gradients, self.options.clip);
        let rate = self.options.schedule.rate(step);
        let skipped = !norm.is_finite();
        let done = Updated {
            norm,
            rate,
            skipped,
        };
        if skipped {
            self.skipped += 1;
            self.skipped_in_a_row += 1;
            if self.skipped_in_a_row > MAX_SKIPPED {
                let times = self.skipped_in_a_row;
                bail!("gradients were not finite for {times} steps; lower --lr");
            }
            return Ok((model, done));
        }
        self.skipped_in_a_row = 0;
        let (names, rule) = (self.names, self.options.rule);
        let rates = shared_rates(&model, rate, &|id| {
            let own = names.name_of(id).map_or(1.0, share);
            own * optimizer::share(names, rule, id)
        });
        Ok((self.optimizer.step(rates, model, gradients), done))
    }
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

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
