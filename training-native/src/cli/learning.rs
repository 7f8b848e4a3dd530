//! What the commands of reinforcement learning have in common: how a run goes, and what is said of it at its end.

use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{Context, Result, ensure};
use clap::Args;
use namelens::device::DeviceChoice;
use namelens::ranks::{Ranks, by_leader};
use namelens::rl::course::{Outcome, RunOptions};
use namelens::rl::early_stop::StopRules;
use namelens::rl::settings;
use namelens::train::checkpoint;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// How a run goes.
#[derive(Debug, Args)]
pub(super) struct LearningArgs {
    /// Model folder to train.
    #[arg(long)]
    pub(super) model: PathBuf,
    /// Folder of the run.
    #[arg(long)]
    run: PathBuf,
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// One setting; may be said several times.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Optimiser steps in all, also when resuming.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) steps: Option<u64>,
    /// Steps between checkpoints, which are written between generations.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..))]
    save_every: u64,
    /// Steps between evaluations; 0 evaluates before and at the end only.
    #[arg(long, default_value_t = 50)]
    eval_every: u64,
    /// Held-out prompts of an evaluation; 0 never evaluates.
    #[arg(long, default_value_t = 64)]
    eval_prompts: u64,
    /// Steps between pages of completions; 0 writes none.
    #[arg(long, default_value_t = 10)]
    completions_every: u64,
    /// Stop where the mean KL divergence to the reference stays above this; for losses that have it (beta above 0).
    #[arg(long, value_name = "NATS")]
    max_kl: Option<f64>,
    /// Stop where the mean entropy stays below this.
    #[arg(long, value_name = "NATS")]
    min_entropy: Option<f64>,
    /// Stop where the mean length of completions stays below this.
    #[arg(long, value_name = "TOKENS")]
    min_length: Option<f64>,
    /// Steps in a row after which such a bound stops the run.
    #[arg(long, default_value_t = StopRules::default().patience)]
    patience: u64,
    /// Micro-batches computed side by side; 2 on a CPU and 1 on a GPU where it is not given. Changes no figure.
    #[arg(long)]
    shards: Option<usize>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) device: DeviceChoice,
    /// Put what is in RUN aside and begin at step 0.
    #[arg(long)]
    start_over: bool,
}

impl LearningArgs {
    /// Settings with the changes of --config and then of --set.
    ///
    /// # Errors
    /// When a file cannot be read, or a setting is unknown or of another kind.
    pub(super) fn changed<T: Serialize + DeserializeOwned>(&self, preset: &T) -> Result<T> {
        let mut changes = Map::new();
        if let Some(path) = &self.config {
            let shown = path.display().to_string();
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
            changes = settings::from_toml(&text).context(shown)?;
        }
        let flags = self.set.iter().map(|flag| settings::from_flag(flag));
        changes.extend(flags.collect::<Result<Map<String, Value>>>()?);
        settings::with(preset, &changes)
    }

    /// Refuses a bound of the divergence to the reference where nothing measures it; `remedy` says what to do.
    ///
    /// # Errors
    /// When there is such a bound and it is not `measured`.
    pub(super) fn check_max_kl(&self, measured: bool, remedy: &str) -> Result<()> {
        ensure!(
            measured || self.max_kl.is_none(),
            "--max-kl bounds the KL divergence to the reference, which is not measured here: {remedy}"
        );
        Ok(())
    }

    /// Micro-batches computed side by side.
    pub(super) fn shards(&self) -> usize {
        self.shards.unwrap_or(self.device.shards()).max(1)
    }

    /// The run's folder as it shall be, and how the run goes; `data` says what prompts are drawn from.
    ///
    /// # Errors
    /// When what is there cannot be put aside.
    pub(super) fn options(
        &self,
        steps: u64,
        data: String,
        ranks: &dyn Ranks,
    ) -> Result<RunOptions> {
        if self.start_over {
            by_leader(ranks, || checkpoint::start_over(&self.run))?;
        }
        let usual = StopRules::default();
        Ok(RunOptions {
            run: self.run.clone(),
            model: self.model.clone(),
            data,
            steps,
            shards: self.shards(),
            save_every: self.save_every,
            eval_every: self.eval_every,
            eval_prompts: self.eval_prompts,
            completions_every: self.completions_every,
            stop: StopRules {
                max_kl: self.max_kl.or(usual.max_kl),
                min_entropy: self.min_entropy.or(usual.min_entropy),
                min_length: self.min_length.or(usual.min_length),
                patience: self.patience,
                ..usual
            },
        })
    }
}

/// Prints how a run ended.
pub(super) fn report(outcome: &Outcome, steps: u64, run: &Path) {
    match &outcome.stopped {
        Some(reason) => println!("stopped after {} of {steps} steps: {reason}", outcome.step),
        None => println!("done: {steps} steps"),
    }
    if let (Some(before), Some((step, after))) = (&outcome.before, &outcome.after) {
        println!(
            "\n{:32} {:>9} {:>10}",
            "held out",
            "before",
            format!("step {step}")
        );
        for (name, value) in after {
            let was = before.get(name);
            let was = was.map_or_else(|| "-".to_owned(), |was| format!("{was:.4}"));
            println!("{name:32} {was:>9} {value:>10.4}");
        }
    }
    let run = run.display();
    match outcome.best {
        Some((0, score)) => {
            println!("\nbest is the model as it was ({score:.4}); the last is in {run}/last");
        }
        Some((step, score)) => {
            println!(
                "\nbest is step {step} ({score:.4}), in {run}/best; the last is in {run}/last"
            );
        }
        None => println!("\nwhat was learned is in {run}/last"),
    }
}
