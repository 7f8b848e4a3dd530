//! `namelens grpo`: reinforcement learning on rewards, with GRPO and its kin.

mod report;
mod source;

use std::path::PathBuf;

use anstream::eprintln;
use anyhow::{Context, Result, ensure};
use clap::Args;
use namelens::device::DeviceChoice;
use namelens::rewards::Reward;
use namelens::rewards::registry::{self, RewardOptions};
use namelens::rl::config::GrpoConfig;
use namelens::rl::early_stop::StopRules;
use namelens::rl::estimate::estimate;
use namelens::rl::grpo::{self, RunOptions, Trainer};
use namelens::rl::policy::Policy;
use namelens::rl::{presets, settings};
use namelens::train::checkpoint;
use serde_json::{Map, Value};

use crate::cli::interrupt::stop_on_ctrl_c;
use source::SourceArgs;

/// Options of `namelens grpo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Presets: repic, repic-released, covip, dapo, gspo, cispo, sapo, luspo, dr_grpo, trl. A preset is a set of settings under TRL's names;
a file of --config changes them, --set changes them again. `namelens score --help` lists the rewards.

Without --data prompts are drawn by the Playroom: photos with named things, and the concepts of as many that are not there, without
hints where anything is. With --data each line is a row as RePIC, VLM-R1, EasyR1 and TRL have them:
  {\"image\": [\"mochi.png\", \"photo.png\"], \"problem\": \"<image>This is <Mochi>. <image>Caption it.\", \"solution\": \"<Mochi>\",
   \"accu_reward_method\": \"yes_no_name\"}

RUN gets log.jsonl and TensorBoard files under TRL's names, checkpoints, completions/step-*.html and .jsonl, and what was learned:
best/ (by the held-out score, which is not the reward) and last/, as PEFT adapters or, where all weights learn, as model folders.
Use an adapter with `namelens merge --model MODEL --adapter RUN/best --out NEW`, or put it into MODEL/adapters/. The same command
resumes a run that was stopped or killed; on a CPU its log is then the one of a run that was not.

Examples:
  namelens grpo --preset repic --model models/playroom --run runs/repic --steps 100
  namelens grpo --preset gspo --model models/playroom --run runs/gspo --reward set-f1 --set learning_rate=1e-4 --dry-run
  namelens grpo --preset dapo --model SmolVLM-256M --data rows.jsonl --reward repic-strict --set use_peft=true --run runs/mine")]
pub(super) struct GrpoArgs {
    /// Settings to begin with.
    #[arg(long, default_value = "repic")]
    preset: String,
    /// Model folder to train.
    #[arg(long)]
    model: PathBuf,
    /// Folder of the run.
    #[arg(long)]
    run: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// One setting; may be said several times.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A reward in place of the preset's; may be said several times.
    #[arg(long = "reward", value_name = "NAME")]
    rewards: Vec<String>,
    /// Optimiser steps in all, also when resuming.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
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
    /// Stop where the mean KL divergence to the reference stays above this.
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
    device: DeviceChoice,
    /// Put what is in RUN aside and begin at step 0.
    #[arg(long)]
    start_over: bool,
    /// Print settings and what a step will hold in memory and take, and stop.
    #[arg(long)]
    dry_run: bool,
}

impl GrpoArgs {
    /// Trains.
    ///
    /// # Errors
    /// When a setting, preset or reward is unknown or makes no sense, or data, model, files or the device fail.
    pub(super) fn run(&self) -> Result<()> {
        let config = self.settings()?;
        let updates = grpo::updates_per_generation(&config)?;
        let mut rewards = self.rewards(&config)?;
        let (prompts, held_out) = self.source.open(&config)?;
        let steps = match self.steps {
            Some(steps) => steps,
            None => grpo::steps(&config, &prompts)?,
        };
        ensure!(steps > 0, "there are 0 steps; say --steps");
        let device = self.device.open()?;
        let policy = Policy::open(&self.model, &config, &device)?;
        let shards = self.shards.unwrap_or(self.device.shards()).max(1);
        if self.dry_run {
            let found = estimate(&policy, &prompts, &mut rewards, &config, shards, &device)?;
            return report::dry_run(&config, &found, steps);
        }
        if self.start_over {
            checkpoint::start_over(&self.run)?;
        }
        let options = RunOptions {
            run: self.run.clone(),
            model: self.model.clone(),
            data: format!("{:?}", self.source),
            steps,
            shards,
            save_every: self.save_every.max(updates),
            eval_every: self.eval_every,
            eval_prompts: self.eval_prompts,
            completions_every: self.completions_every,
            stop: self.stop_rules(),
        };
        let stop = stop_on_ctrl_c("generation")?;
        let trainer = Trainer {
            policy,
            prompts: &prompts,
            held_out: &held_out,
            rewards: &mut rewards,
            config: &config,
            options: &options,
            stop: &stop,
            device,
        };
        let outcome = trainer.run()?;
        report::outcome(&outcome, &options);
        Ok(())
    }

    /// The preset with the changes that were asked for.
    fn settings(&self) -> Result<GrpoConfig> {
        let mut config = presets::grpo(&self.preset)?;
        if let Some(path) = &self.config {
            let shown = path.display().to_string();
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
            let changes = settings::from_toml(&text).with_context(|| shown.clone())?;
            config = settings::with(&config, &changes).context(shown)?;
        }
        let changes: Map<String, Value> = self
            .set
            .iter()
            .map(|flag| settings::from_flag(flag))
            .collect::<Result<_>>()?;
        config = settings::with(&config, &changes)?;
        if !self.rewards.is_empty() {
            config.reward_funcs.clone_from(&self.rewards);
        }
        if config.reward_funcs.is_empty() {
            config.reward_funcs = vec![source::REWARD.to_owned()];
            eprintln!(
                "preset '{}' has no reward of its own; taking {}",
                self.preset,
                source::REWARD
            );
        }
        config.validate()?;
        Ok(config)
    }

    fn rewards(&self, config: &GrpoConfig) -> Result<Vec<Box<dyn Reward>>> {
        let options = RewardOptions::default();
        let names = config.reward_funcs.iter();
        names.map(|name| registry::build(name, &options)).collect()
    }

    fn stop_rules(&self) -> StopRules {
        let usual = StopRules::default();
        StopRules {
            max_kl: self.max_kl.or(usual.max_kl),
            min_entropy: self.min_entropy.or(usual.min_entropy),
            min_length: self.min_length.or(usual.min_length),
            patience: self.patience,
            ..usual
        }
    }
}
