//! `namelens train`: tokenizer, contrastive stage, supervised stage.

mod start;

use std::path::{Path, PathBuf};

use anstream::{eprintln, println};
use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use namelens::device::DeviceChoice;
use namelens::stages::connector::Computed;
use namelens::stages::contrastive::{Student, TRAINING_ONLY};
use namelens::stages::curriculum::{Curriculum, Prompts};
use namelens::train::checkpoint;
use namelens::train::optimizer::{BETA_2, Rule};
use namelens::train::schedule::{Decay, Schedule};
use namelens::train::{FitOptions, Objective, fit};
use namelens::{bundle, presets, stages, tokenizer};
use namelens_engine::model::checkpoint::{CheckpointSource, Overlay};
use namelens_engine::model::params::{ParamBuilder, ParamNames, RandomSource};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::Tokenizer;

use crate::cli::interrupt::{leave_if, stop_on_ctrl_c};
use crate::cli::numbers::{above_zero, at_least_one, share};

/// What to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The tokenizer both models share.
    Tokenizer,
    /// The dual encoder that retrieval uses.
    Contrastive,
    /// The captioner; starts from the dual encoder's vision tower.
    Supervised,
}

/// Options of `namelens train`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  namelens train tokenizer   --run runs/tiny
  namelens train contrastive --run runs/tiny --steps 6000
  namelens train supervised  --run runs/tiny --steps 8000
  namelens train supervised  --run runs/next --steps 4000 --from models/playroom
  namelens train supervised  --run runs/next --steps 4000 --from models/playroom --new-tower

Ctrl-C stops after the step and writes a checkpoint; the same command resumes it exactly, also after a crash or a power
cut, from the last checkpoint. Where a stage has logs but no checkpoint the command refuses to begin again at step 0; --start-over
puts all that is there aside, into a folder `before-1`, and begins anew.")]
pub(super) struct TrainArgs {
    /// What to train; in this order for a new model.
    stage: Stage,
    /// Directory of the run: tokenizer, checkpoints and logs.
    #[arg(long)]
    run: PathBuf,
    /// A model bundle whose weights a new stage starts from; made with the tokenizer of this run.
    #[arg(long)]
    from: Option<PathBuf>,
    /// The tower of this run's contrastive stage replaces the one of --from, and the connector is fitted to it (supervised).
    #[arg(long, requires = "from")]
    new_tower: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
    /// Updates in all, also when resuming.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// How gradients become updates.
    #[arg(long, value_enum, default_value = "muon")]
    optimizer: Rule,
    /// Highest learning rate.
    #[arg(long, default_value_t = 1.5e-3, value_parser = above_zero)]
    lr: f64,
    /// Updates of linear warm-up.
    #[arg(long, default_value_t = 200)]
    warmup: u64,
    /// Threads computing gradients side by side; 2 on a CPU and 1 on a GPU where it is not given.
    #[arg(long, value_parser = at_least_one)]
    shards: Option<usize>,
    /// Rounds of gradients summed before an update.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    accumulate: usize,
    /// Chats (supervised) or pairs of photos (contrastive) a thread and round.
    #[arg(long, default_value_t = 8, value_parser = at_least_one)]
    batch: usize,
    /// Questions about one photo (supervised).
    #[arg(long, default_value_t = 6, value_parser = at_least_one)]
    turns: usize,
    /// Step from which the vision tower learns too (supervised).
    #[arg(long, default_value_t = 0)]
    thaw_vision_at: u64,
    /// Steps over which scenes grow from easy to hard (supervised).
    #[arg(long, default_value_t = 2000)]
    curriculum: u64,
    /// Most named things in a photo (supervised).
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    most_things: u8,
    /// Most concepts of a prompt whose thing is not in the photo (supervised).
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=8))]
    most_absent: u8,
    /// Share of the steps whose prompts do not say where the retriever sees a thing (supervised).
    #[arg(long, default_value_t = 0.0, value_parser = share::<f32>)]
    unhinted: f32,
    /// Most named things in a photo of those steps (supervised).
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=4))]
    unhinted_things: u8,
    /// Most concepts of a prompt of those steps whose thing is not in the photo (supervised).
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(0..=8))]
    unhinted_absent: u8,
    /// Seed of weights and data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps between log lines.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    log_every: u64,
    /// Steps between checkpoints.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    save_every: u64,
    /// Put the checkpoint and the logs of this stage aside and begin at step 0.
    #[arg(long)]
    start_over: bool,
}

impl TrainArgs {
    /// Trains the stage.
    ///
    /// # Errors
    /// When files, data or the device fail.
    pub(super) fn run(&self) -> Result<()> {
        std::fs::create_dir_all(&self.run)
            .with_context(|| format!("cannot create {}", self.run.display()))?;
        if self.start_over {
            let stage = match self.stage {
                Stage::Tokenizer => bail!("--start-over: the tokenizer is always made anew"),
                Stage::Contrastive => "contrastive",
                Stage::Supervised => "supervised",
            };
            checkpoint::start_over(&self.run.join(stage))?;
        }
        match self.stage {
            Stage::Tokenizer => self.tokenizer(),
            Stage::Contrastive => self.contrastive(),
            Stage::Supervised => self.supervised(),
        }
    }

    fn tokenizer(&self) -> Result<()> {
        let json = tokenizer::train(stages::corpus(self.seed, 12_000), presets::VOCAB)?;
        let path = self.run.join("tokenizer.json");
        std::fs::write(&path, &json)?;
        let tokenizer = Tokenizer::from_json(json.as_bytes())?;
        println!("{}: {} tokens", path.display(), tokenizer.vocab_size());
        Ok(())
    }

    fn contrastive(&self) -> Result<()> {
        let device = self.device.open()?.autodiff();
        let dir = self.run.join("contrastive");
        let config = presets::dual();
        let chat = bundle::chat(&self.run, 1)?;
        let objective = stages::contrastive::Contrastive {
            processor: bundle::processor()?,
            pad: chat.pad(),
            tokenizer: chat.tokenizer().clone(),
            pairs: self.batch,
            grid: config.vision_config.patches_per_side(),
            device: device.clone(),
        };
        let make = |p: &mut ParamBuilder<'_>| Student::new(p, &config);
        let (model, names) = match (start::resumed(&dir)?, &self.from) {
            (Some(mut source), _) => start::build(&mut source, &device, make)?,
            (None, Some(bundle)) => {
                let mut source = Overlay {
                    first: CheckpointSource::new(bundle::open_weights(&bundle.join("retriever"))?),
                    name_in_first: |name| {
                        (!name.starts_with(TRAINING_ONLY)).then(|| name.to_owned())
                    },
                    rest: &mut self.random(&device),
                };
                start::build(&mut source, &device, make)?
            }
            (None, None) => {
                let vision = &config.vision_config;
                let mut source = Computed {
                    values: stages::vision_init::start("vision_model", vision, self.seed),
                    rest: &mut self.random(&device),
                };
                start::build(&mut source, &device, make)?
            }
        };
        self.fit(model, &names, &objective, &dir, &device)
    }

    fn supervised(&self) -> Result<()> {
        let device = self.device.open()?.autodiff();
        let dir = self.run.join("supervised");
        let image_token = tokenizer::SPECIALS.len() as u32 - 1;
        let config = presets::captioner(image_token);
        let objective = stages::supervised::Supervised {
            processor: bundle::processor()?,
            chat: bundle::chat(&self.run, config.tokens_per_image())?,
            batch: self.batch,
            thaw_vision_at: self.thaw_vision_at,
            curriculum: Curriculum {
                turns: self.turns,
                steps: self.curriculum,
                hinted: Prompts::of_at_most(self.most_things, self.most_absent),
                unhinted: Prompts::of_at_most(self.unhinted_things, self.unhinted_absent),
                unhinted_share: self.unhinted,
            },
            device: device.clone(),
        };
        let make = |p: &mut ParamBuilder<'_>| Vlm::new(p, &config);
        let (model, names) = match (start::resumed(&dir)?, &self.from) {
            (Some(mut source), _) => start::build(&mut source, &device, make)?,
            (None, Some(bundle)) => {
                let mut source = CheckpointSource::new(bundle::open_weights(bundle)?);
                if self.new_tower {
                    let tower = self.tower()?;
                    let plain = self.device.open()?;
                    let processor = &objective.processor;
                    let fitted =
                        start::fitted(bundle, &tower, &config, processor, self.seed, &plain)?;
                    tracing::info!(
                        "the new tower's connector keeps {:.3} of the visual tokens' variance",
                        fitted.kept
                    );
                    let mut rest = start::with_tower(&tower, &mut source)?;
                    let (values, rest) = (fitted.values, &mut rest);
                    start::build(&mut Computed { values, rest }, &device, make)?
                } else {
                    start::build(&mut source, &device, make)?
                }
            }
            (None, None) => {
                let tower = self.tower()?;
                let mut values = start::connector(
                    &tower,
                    &config,
                    &objective.processor,
                    self.seed,
                    &self.device.open()?,
                )?;
                let decoder = stages::attention_init::start(
                    "model.text_model",
                    &config.text_config,
                    self.seed,
                );
                values.extend(decoder);
                let mut random = self.random(&device);
                let mut rest = start::with_tower(&tower, &mut random)?;
                let rest = &mut rest;
                start::build(&mut Computed { values, rest }, &device, make)?
            }
        };
        self.fit(model, &names, &objective, &dir, &device)
    }

    /// The newest checkpoint of this run's contrastive stage.
    fn tower(&self) -> Result<PathBuf> {
        let stage = self.run.join("contrastive");
        let latest = checkpoint::latest(&stage)?.with_context(|| {
            format!(
                "{} has no checkpoint; run `namelens train contrastive --run {}` first",
                stage.display(),
                self.run.display()
            )
        })?;
        let progress = checkpoint::read(&latest)?;
        let options: serde_json::Value = serde_json::from_str(&progress.options)?;
        let total = options["schedule"]["total"].as_u64();
        if let Some(total) = total.filter(|total| progress.step < *total) {
            tracing::warn!(
                "the tower of {} was trained for {} of {total} steps; go on with `namelens train contrastive` to end it",
                latest.display(),
                progress.step
            );
        }
        Ok(latest)
    }

    /// Trains until the end or Ctrl-C.
    fn fit<M: Module + Clone + Send + Sync>(
        &self,
        model: M,
        names: &ParamNames,
        objective: &impl Objective<M>,
        dir: &Path,
        device: &Device,
    ) -> Result<()> {
        let stop = stop_on_ctrl_c("step")?;
        fit(model, names, objective, &self.options(), dir, device, &stop)?;
        let done = checkpoint::latest(dir)?.map(|folder| checkpoint::read(&folder));
        let done = done.transpose()?.map_or(0, |progress| progress.step);
        if done < self.steps {
            eprintln!(
                "stopped after {done} of {} steps; the same command goes on",
                self.steps
            );
        }
        leave_if(done < self.steps);
        Ok(())
    }

    /// Seeds the device and draws initial weights on it.
    fn random(&self, device: &Device) -> RandomSource {
        device.seed(self.seed);
        RandomSource
    }

    fn options(&self) -> FitOptions {
        FitOptions {
            seed: self.seed,
            rule: self.optimizer,
            schedule: Schedule {
                peak: self.lr,
                warmup: self.warmup,
                total: self.steps,
                floor: 0.02,
                decay: Decay::Cosine,
            },
            weight_decay: 0.05,
            beta_2: BETA_2,
            clip: 1.0,
            shards: self.shards.unwrap_or(self.device.shards()),
            accumulate: self.accumulate,
            log_every: self.log_every,
            save_every: self.save_every,
        }
    }
}
