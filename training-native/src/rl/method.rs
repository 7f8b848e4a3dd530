//! What the loop of reinforcement learning and a method of it know of each other: options, state, outcome, the trait.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::module::Module;
use namelens_engine::model::params::ParamNames;
use serde::{Deserialize, Serialize};

use super::early_stop::{StopRules, Watch};
use super::entropy::EntropyControl;
use super::held_out::{Figures, PRIMARY};
use super::metrics::Metrics;
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
    pub(super) watch: Watch,
    /// Figures before the first step.
    pub(super) before: Option<Figures>,
    /// Figures of the last evaluation, and its step.
    pub(super) last: Option<(u64, Figures)>,
    /// Step and figure of the best evaluation.
    pub(super) best: Option<(u64, f64)>,
    /// Why a bound ended the run before its last step, and the bounds it had: with others it goes on.
    #[serde(default)]
    pub(super) stopped: Option<(String, StopRules)>,
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
    /// Whether that is because somebody asked for it: the same command goes on.
    pub interrupted: bool,
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

    /// All settings that a run may not change when it resumes, as JSON.
    ///
    /// # Errors
    /// When they cannot be written down.
    fn settings(&self) -> Result<String>;

    /// The same, each at its default: what a run did that was made before there was such a setting.
    ///
    /// # Errors
    /// When they cannot be written down.
    fn default_settings(&self) -> Result<String>;

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

impl State {
    /// Before the first step, with the figures held out then.
    pub(super) fn new(entropy: EntropyControl, before: Option<Figures>) -> Self {
        let score = before.as_ref().and_then(|figures| figures.get(PRIMARY));
        Self {
            generation: 0,
            cursor: 0,
            tokens: 0,
            entropy,
            watch: Watch::default(),
            best: score.map(|score| (0, *score)),
            before,
            last: None,
            stopped: None,
        }
    }
}
