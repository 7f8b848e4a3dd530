//! A2C as VLRM has it, as a method of the loop: captions drawn once, a return for each token, a critic, one update.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use namelens_engine::host::Still;
use namelens_engine::model::params::ParamNames;

use super::a2c_config::A2cConfig;
use super::a2c_step::{Captions, part_loss};
use super::actor_critic::{ActorCritic, is_critic, policy_settings};
use super::aggregate::Counts;
use super::buffer::{Generation, Rolled, by_row, counted};
use super::caption_fines::BadPhrases;
use super::completions;
use super::config::GrpoConfig;
use super::course::{self, Method, Outcome, RunOptions, State};
use super::dataset::Prompts;
use super::entropy::EntropyControl;
use super::held_out::{self, Figures};
use super::metrics::{Figure, Metrics};
use super::output;
use super::policy::{Policy, Prepared};
use super::returns::{returns, whitened};
use super::similarity::Similarity;
use super::vlrm_captions::{Judge, PART, captions, figures, terms};
use crate::ranks::Alone;
use crate::train::gradients::{Summed, clip_parts};
use crate::train::optimizer::{Moments, Rule};
use crate::train::schedule::{Decay, Schedule};
use crate::train::{UpdateOptions, Updated, Updater};

/// What the page of completions shows.
const SHOWN: [&str; 3] = ["similarity", "reference", "return"];

/// One run.
pub struct A2cTrainer<'a> {
    policy: Policy,
    model: ActorCritic,
    names: ParamNames,
    judge: Judge,
    prompts: &'a Prompts,
    held_out: &'a Prompts,
    config: &'a A2cConfig,
    options: &'a RunOptions,
    device: Device,
}

impl std::fmt::Debug for A2cTrainer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("A2cTrainer")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<'a> A2cTrainer<'a> {
    /// Reads the model and the dual encoder beside it; `device` is one without gradients.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn new(
        prompts: &'a Prompts,
        held_out: &'a Prompts,
        config: &'a A2cConfig,
        options: &'a RunOptions,
        device: Device,
    ) -> Result<Self> {
        let mut policy = Policy::open(&options.model, &policy_settings(config), &device)?;
        let judge = Judge {
            similarity: Similarity::open(&options.model, &policy.kit, &device)?,
            phrases: BadPhrases::vlrm()?,
        };
        let (model, names) = ActorCritic::new(&mut policy, config, &device)?;
        Ok(Self {
            policy,
            model,
            names,
            judge,
            prompts,
            held_out,
            config,
            options,
            device,
        })
    }

    /// Trains; see [`course::run`].
    ///
    /// # Errors
    /// As [`course::run`].
    pub fn run(mut self, stop: &AtomicBool) -> Result<Outcome> {
        let (options, seed) = (self.options, self.config.seed);
        output::check_place(&self.policy, &options.model, &options.run)?;
        course::run(&mut self, &Alone, seed, options, stop)
    }

    /// The schedule's rate, and what share of it policy and critic have: it is the policy's, unless that does not learn.
    fn rates(&self) -> (f64, [f64; 2]) {
        let [policy, critic] = [self.config.learning_rate, self.config.value_learning_rate];
        match policy > 0.0 {
            true => (policy, [1.0, critic / policy]),
            false => (critic, [0.0, 1.0]),
        }
    }

    /// Returns less the critic's values, whitened over all tokens of the step.
    fn advantages(
        &self,
        prompts: &[Prepared],
        rows: &[Rolled],
        returns: &[Vec<f32>],
    ) -> Result<Vec<Vec<f32>>> {
        let plain = self.model.valid();
        let mut differences = Vec::new();
        for (rows, returns) in rows.chunks(PART).zip(returns.chunks(PART)) {
            let values = by_row(plain.values(prompts, rows)?, rows)?;
            let both = returns.iter().flatten().zip(values.iter().flatten());
            differences.extend(both.map(|(r, v)| f64::from(r - v)));
        }
        let all = vec![true; differences.len()];
        let mut white = whitened(&differences, &all, self.config.whiten_unbiased).into_iter();
        let of = |row: &Rolled| {
            let own = white.by_ref().take(row.tokens.len());
            own.map(|a| a as f32).collect()
        };
        Ok(rows.iter().map(of).collect())
    }
}

impl Method for A2cTrainer<'_> {
    type Model = ActorCritic;
    type Drawn = Captions;

    fn names(&self) -> ParamNames {
        self.names.clone()
    }

    fn rule(&self) -> UpdateOptions {
        let config = self.config;
        UpdateOptions {
            rule: Rule::Adamw,
            schedule: Schedule {
                peak: self.rates().0,
                warmup: config.warmup_steps,
                total: self.options.steps,
                floor: 0.0,
                decay: Decay::Constant,
            },
            weight_decay: 0.0,
            moments: Moments::with_beta_2(0.999),
            // Each side is clipped by itself ([`Self::update`]); both together are never longer than this.
            clip: config.max_grad_norm * std::f64::consts::SQRT_2,
        }
    }

    fn entropy(&self) -> EntropyControl {
        EntropyControl::new(&GrpoConfig::default())
    }

    fn settings(&self) -> Result<String> {
        Ok(serde_json::to_string(self.config)?)
    }

    fn default_settings(&self) -> Result<String> {
        Ok(serde_json::to_string(&A2cConfig::default())?)
    }

    fn updates(&self) -> u64 {
        1
    }

    fn epoch(&self) -> u64 {
        self.prompts.len()
    }

    fn model(&self) -> &ActorCritic {
        &self.model
    }

    fn draw(&mut self, state: &mut State) -> Result<(Captions, Metrics)> {
        let plain = self.model.vlm.valid();
        let mut prompts = Vec::with_capacity(self.config.batch_size);
        for _ in 0..self.config.batch_size {
            let prompt = self.prompts.get(state.cursor)?;
            prompts.push(self.policy.kit.prepare(&plain, prompt)?);
            state.cursor += 1;
        }
        let mut rows = captions(
            &self.policy.kit,
            &plain,
            &prompts,
            self.config,
            state.generation,
        )?;
        state.generation += 1;
        let read = |row: &Rolled| (prompts[row.prompt].ids.len() + row.tokens.len()) as u64;
        state.tokens += rows.iter().map(read).sum::<u64>();
        let terms = terms(&self.judge, &self.policy, &prompts, &rows, self.config)?;
        let returns: Vec<Vec<f32>> = terms
            .iter()
            .map(|terms| returns(terms, self.config))
            .collect();
        let advantages = self.advantages(&prompts, &rows, &returns)?;
        for (at, row) in rows.iter_mut().enumerate() {
            let first = returns[at].first().copied();
            let natural = Some(terms[at].reference as f32);
            row.rewards = vec![Some(terms[at].similarity as f32), natural, first];
            let sum: f32 = advantages[at].iter().sum();
            row.advantage = sum / row.tokens.len().max(1) as f32;
        }
        let metrics = figures(&terms, &rows, self.policy.kit.chat.ends());
        let drawn = Captions {
            found: Generation {
                prompts,
                rows,
                metrics: Metrics::default(),
            },
            returns,
            advantages,
        };
        Ok((drawn, metrics))
    }

    fn update(
        &mut self,
        drawn: &mut Captions,
        _update: u64,
        at: u64,
        _state: &State,
        updater: &mut Updater<'_>,
    ) -> Result<(Metrics, Updated)> {
        let counts = Counts::of(&counted(&drawn.found.rows), 0);
        let parts: Vec<usize> = (0..drawn.found.rows.len().div_ceil(PART)).collect();
        let seen: Mutex<Vec<(usize, Metrics)>> = Mutex::new(Vec::new());
        let mut summed = Summed::new();
        let training = self.device.clone().autodiff();
        for round in parts.chunks(self.options.shards.max(1)) {
            summed.add(&self.model, &training, round.len(), |model, shard| {
                let (loss, found) = part_loss(model, drawn, round[shard], self.config, &counts)?;
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((round[shard], found));
                Ok(loss)
            })?;
        }
        let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        seen.sort_by_key(|(part, _)| *part);
        let mut metrics = Metrics::default();
        seen.into_iter()
            .for_each(|(_, figures)| metrics.merge(figures));
        let gradients = summed.mean(&self.model, 1.0);
        let limit = self.config.max_grad_norm;
        let side = |id| usize::from(self.names.name_of(id).is_some_and(is_critic));
        let (gradients, norms) = clip_parts::<_, 2>(&self.model, gradients, limit, &side);
        for (name, norm) in ["policy_grad_norm", "value_grad_norm"]
            .into_iter()
            .zip(norms)
        {
            metrics.add(name, Figure::mean([norm]));
        }
        let (_, [policy, critic]) = self.rates();
        let share = |name: &str| match is_critic(name) {
            true => critic,
            false => policy,
        };
        let (model, mut updated) = updater.update(self.model.clone(), gradients, at, &share)?;
        // The log has the policy's.
        updated.rate *= policy;
        self.model = model;
        self.policy.vlm = self.model.vlm.clone();
        Ok((metrics, updated))
    }

    fn evaluate(&mut self) -> Result<Figures> {
        let count = self.options.eval_prompts;
        let most = self.config.max_completion_length;
        let held = held_out::evaluate(&self.policy, self.held_out, count, &mut [], most, &Still)?;
        let mut figures = held.figures;
        if held.rows.is_empty() {
            return Ok(figures);
        }
        let photos: Option<Vec<_>> = held.rows.iter().map(|row| row.photos.last()).collect();
        let photos = photos.context("a held-out prompt shows no photo, so nothing is like it")?;
        let texts: Vec<&str> = held
            .rows
            .iter()
            .map(|row| row.completion.as_str())
            .collect();
        let kit = &self.policy.kit;
        let like = self.judge.similarity.compare(kit, &photos, &texts)?;
        figures.insert("eval/similarity".into(), like.own());
        figures.insert("eval/clip_recall_at_1".into(), like.recall_at_1());
        // Of photos that nobody described nothing else can be said.
        figures
            .entry(held_out::PRIMARY.into())
            .or_insert(like.recall_at_1());
        Ok(figures)
    }

    fn restore(&mut self, checkpoint: &Path) -> Result<()> {
        self.model = self.model.clone().restore(&self.names, checkpoint)?;
        self.policy.vlm = self.model.vlm.clone();
        Ok(())
    }

    fn write(&mut self, folder: &Path) -> Result<()> {
        output::write(&mut self.policy, &self.options.model, folder)
    }

    fn show(&self, folder: &Path, step: u64, drawn: &Captions) -> Result<()> {
        completions::write(folder, step, &drawn.found, &SHOWN.map(str::to_owned))
    }
}
