//! `namelens a2c`: captions that fit their photos better, by VLRM's rewards and a critic.

use anyhow::Result;
use clap::Args;
use namelens::ranks::Alone;
use namelens::rl::a2c_config;
use namelens::rl::vlrm::A2cTrainer;

use super::learning::{LearningArgs, report};
use super::prompts::PromptArgs;
use super::ranks;
use crate::cli::interrupt::{leave_if, stop_on_ctrl_c};

/// Captions of a step where --set batch_size does not say; the paper's 4096 are for eight GPUs.
const BATCH: usize = 32;

/// Options of `namelens a2c`.
#[derive(Debug, Args)]
#[command(after_help = "\
Presets: vlrm (similarity by the dual encoder beside the model, naturalness under the model as it was, fines for bad phrases, repeats
and captions without an end) and vlrm-rs (no naturalness, and a contrast over the batch). They are the paper's but for batch_size,
which is 32 here and 4096 there. Captions are asked for without names; the held-out score is the share of the words for colour and
kind of things that greedy captions of unseen things have, which no reward looks at. Beside it stand the reward itself, eval/similarity, and
the paper's own figure, eval/clip_recall_at_1: the share of captions whose photo is, by the dual encoder, the likest of all.

Without --data the Playroom draws the photos. With it each line has a photo and a question, and needs no answer:
  {\"image\": \"beach.jpg\", \"problem\": \"Describe the image.\"}
A column \"looks\", a list of words that should be said, makes the held-out score; where no row has it, the score is the recall.

RUN gets what `namelens grpo` writes: logs, checkpoints, completions, and the adapters best/ and last/.

The presets' rates are those of a model a thousand times larger. The embedded model says already all it sees; what the method is for
shows on a model that learned captions of few words, as those of COCO are, here from `namelens grpo --preset sft` (its --help has the
line): 30 steps double the held-out score.

Examples:
  namelens a2c --preset vlrm --model runs/brief/last --run runs/vlrm --steps 30 --set learning_rate=1e-3 \\
    --set value_learning_rate=1e-3 --set temperature=1 --set batch_size=64
  namelens a2c --preset vlrm-rs --model runs/brief/last --run runs/rs --steps 30 --set learning_rate=1e-3
  namelens a2c --model models/mine --data photos.jsonl --run runs/own --set learning_rate=3e-4")]
pub(super) struct A2cArgs {
    /// Settings to begin with.
    #[arg(long, default_value = "vlrm")]
    preset: String,
    #[command(flatten)]
    learning: LearningArgs,
    #[command(flatten)]
    source: PromptArgs,
}

impl A2cArgs {
    /// Trains.
    ///
    /// # Errors
    /// When a setting or preset is unknown or makes no sense, or data, model, files or the device fail.
    pub(super) fn run(&self) -> Result<()> {
        ranks::only_one("a2c")?;
        let mut preset = a2c_config::preset(&self.preset)?;
        preset.batch_size = BATCH;
        let config = self.learning.changed(&preset)?;
        config.validate()?;
        self.learning
            .check_max_kl(false, "a2c has no such term; leave --max-kl out")?;
        let (prompts, held_out) = self.source.open_plain(config.seed)?;
        let steps = self.learning.steps.unwrap_or(config.max_steps);
        let options = self
            .learning
            .options(steps, self.source.told(config.seed)?, &Alone)?;
        let stop = stop_on_ctrl_c("step")?;
        let device = self.learning.device.open()?;
        let trainer = A2cTrainer::new(&prompts, &held_out, &config, &options, device)?;
        let outcome = trainer.run(&stop)?;
        report(&outcome, steps, &options.run);
        leave_if(outcome.interrupted);
        Ok(())
    }
}
