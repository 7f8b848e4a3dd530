//! `namelens grpo`: reinforcement learning on rewards, with GRPO and its kin.

use std::time::Duration;

use anstream::{eprintln, println};
use anyhow::{Result, ensure};
use clap::Args;
use namelens::ranks::{Ranks, leads};
use namelens::rewards::Reward;
use namelens::rewards::registry::{self, RewardOptions};
use namelens::rl::config::{GrpoConfig, Teacher};
use namelens::rl::estimate::{Estimate, estimate};
use namelens::rl::grpo::{self, Trainer};
use namelens::rl::policy::Policy;
use namelens::rl::presets;
use serde_json::{Map, Value};

use super::learning::{LearningArgs, report};
use super::prompts::PromptArgs;
use super::ranks;
use crate::cli::interrupt::{leave_if, stop_on_ctrl_c};

/// The reward of a preset that has none.
const REWARD: &str = "set-f1";

/// Rewards that apply to captions with names only.
const OF_NAMES: [&str; 2] = ["set-f1", "binding-f1"];

/// Options of `namelens grpo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Presets: repic, repic-released, covip, dapo, gspo, cispo, sapo, luspo, dr_grpo, trl, and sft, which learns from references and draws
nothing. A preset is a set of settings under TRL's names;
a file of --config changes them, --set changes them again. `namelens score --help` lists the rewards.

Without --data prompts are drawn by the Playroom: photos with named things, and the concepts of as many that are not there, without
hints where anything is. With --data each line is a row as RePIC, VLM-R1, EasyR1 and TRL have them:
  {\"image\": [\"mochi.png\", \"photo.png\"], \"problem\": \"<image>This is <Mochi>. <image>Caption it.\", \"solution\": \"<Mochi>\",
   \"accu_reward_method\": \"yes_no_name\"}

RUN gets log.jsonl and TensorBoard files under TRL's names, checkpoints, completions/step-*.html and .jsonl, and what was learned:
best/ (by the held-out score, which is not the reward) and last/, as PEFT adapters or, where all weights learn, as model folders.
Use an adapter with `namelens merge --model MODEL --adapter RUN/best --out NEW`, or put it into MODEL/adapters/. The same command
resumes a run that was stopped or killed; on a CPU its log is then the one of a run that was not.

Several processes train together where the build has `--features mpi`: `mpirun -n 2 namelens grpo ...`, with a folder --run that all
of them see. Settings are those of one process, so two draw twice as many completions for a step; groups stay whole on each.

Examples:
  namelens grpo --preset repic --model models/playroom --run runs/repic --steps 100
  namelens grpo --preset gspo --model models/playroom --run runs/gspo --reward set-f1 --set learning_rate=1e-4 --dry-run
  namelens grpo --preset dapo --model SmolVLM-256M --data rows.jsonl --reward repic-strict --set use_peft=true --run runs/mine
  namelens grpo --preset sft --tasks brief,brief,brief,plain --model models/playroom --run runs/brief --steps 60 \\
    --set learning_rate=3e-4 --set per_device_train_batch_size=32 --set use_peft=false   # captions of few words")]
pub(super) struct GrpoArgs {
    /// Settings to begin with.
    #[arg(long, default_value = "repic")]
    preset: String,
    #[command(flatten)]
    learning: LearningArgs,
    #[command(flatten)]
    source: PromptArgs,
    /// A reward in place of the preset's; may be said several times.
    #[arg(long = "reward", value_name = "NAME")]
    rewards: Vec<String>,
    /// How long an `exec:` reward may take for a batch; a held-out evaluation is one.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    reward_timeout: u64,
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
        let mut interrupted = false;
        ranks::among(|ranks| {
            interrupted = self.run_among(ranks)?;
            Ok(())
        })?;
        // Behind the last word of all ranks.
        leave_if(interrupted);
        Ok(())
    }

    /// Returns whether it was interrupted.
    fn run_among(&self, ranks: &dyn Ranks) -> Result<bool> {
        let config = self.settings()?;
        // Said before anything is loaded.
        grpo::updates_per_generation(&config)?;
        let remedy = "say how much it weighs in the loss (--set beta=0.04), or leave --max-kl out";
        self.learning.check_max_kl(config.beta > 0.0, remedy)?;
        let mut rewards = self.rewards(&config)?;
        let (prompts, held_out) = self.source.open(&config)?;
        let steps = match self.learning.steps {
            Some(steps) => steps,
            None => grpo::steps(&config, &prompts, ranks.size())?,
        };
        ensure!(steps > 0, "there are 0 steps; say --steps");
        let device = self.learning.device.open()?;
        let policy = Policy::open(&self.learning.model, &config, &device)?;
        if self.dry_run {
            let shards = self.learning.shards();
            let found = estimate(&policy, &prompts, &mut rewards, &config, shards, &device)?;
            dry_run(&config, &found, steps)?;
            return Ok(false);
        }
        let options = self
            .learning
            .options(steps, self.source.told(config.seed)?, ranks)?;
        let stop = stop_on_ctrl_c("generation")?;
        let trainer = Trainer {
            policy,
            prompts: &prompts,
            held_out: &held_out,
            rewards: &mut rewards,
            config: &config,
            options: &options,
            device,
        };
        let outcome = trainer.run_among(ranks, &stop)?;
        if leads(ranks) {
            report(&outcome, steps, &options.run);
        }
        Ok(outcome.interrupted)
    }

    fn rewards(&self, config: &GrpoConfig) -> Result<Vec<Box<dyn Reward>>> {
        let options = RewardOptions {
            timeout: Duration::from_secs(self.reward_timeout),
            ..RewardOptions::default()
        };
        let names = config.reward_funcs.iter();
        names.map(|name| registry::build(name, &options)).collect()
    }

    /// The preset with the changes that were asked for.
    fn settings(&self) -> Result<GrpoConfig> {
        let mut config = self.learning.changed(&presets::grpo(&self.preset)?)?;
        if !self.rewards.is_empty() {
            config.reward_funcs.clone_from(&self.rewards);
        }
        if config.reward_funcs.is_empty() {
            config.reward_funcs = vec![REWARD.to_owned()];
            eprintln!(
                "preset '{}' has no reward of its own; taking {REWARD}",
                self.preset
            );
        }
        config.validate()?;
        self.check_rewards(&config)?;
        Ok(config)
    }

    /// Refuses rewards none of which applies to what is asked.
    fn check_rewards(&self, config: &GrpoConfig) -> Result<()> {
        let needed = matches!(config.teacher, Teacher::Policy | Teacher::BestOfReference);
        let mut rewards = config.reward_funcs.iter();
        let names_only = rewards.all(|name| OF_NAMES.contains(&name.as_str()));
        ensure!(
            !needed || !names_only || self.source.may_ask_names(),
            "{} rewards names, and no prompt asks for any: say another --reward, such as repic-strict for recognize and locate, \
             or add caption to --tasks",
            config.reward_funcs.join(" and ")
        );
        Ok(())
    }
}

/// Prints settings and estimates.
///
/// # Errors
/// When a setting cannot be written as TOML.
fn dry_run(config: &GrpoConfig, found: &Estimate, steps: u64) -> Result<()> {
    println!("{}", as_toml(config)?);
    println!(
        "# {} of {} parameters learn",
        found.trained, found.parameters
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("# about {:.0} MiB in all:", mib(found.bytes()));
    for (what, bytes) in &found.memory {
        println!("#   {:>9.1} MiB {what}", mib(*bytes));
    }
    println!(
        "# tried: a prompt of {} tokens, completions of {:.0} tokens on average",
        found.prompt_tokens, found.completion_tokens
    );
    println!(
        "# a generation takes about {:.1} s to draw, the gradients of a step {:.1} s, a step in all {:.1} s",
        found.draw_secs,
        found.learn_secs,
        found.step_secs()
    );
    println!(
        "# {steps} steps take about {:.0} minutes, without evaluation",
        found.step_secs() * steps as f64 / 60.0
    );
    Ok(())
}

/// Settings as TOML, which has no null: those that are absent are left out.
fn as_toml(config: &GrpoConfig) -> Result<String> {
    let Value::Object(all) = serde_json::to_value(config)? else {
        return Ok(String::new());
    };
    let given: Map<String, Value> = all
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    Ok(toml::to_string(&given)?)
}
