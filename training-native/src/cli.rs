//! The command line: one file a command below `cli/`.

mod a2c;
mod ask;
mod card;
mod check;
mod concept;
mod convert;
mod curve;
mod eval;
mod eval_photos;
mod experiment;
mod export;
mod find;
mod grpo;
mod help;
mod inspect;
mod interrupt;
mod learning;
mod library;
mod merge;
mod model;
mod numbers;
mod prompts;
mod ranks;
mod score;
mod train;
mod world;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Train, evaluate, quantise and run NameLens models.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Start with `namelens world sheet --out sheet.png` to see the world, and `namelens train --help` to train on it."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Render the Playroom: contact sheets, datasets, the page's album.
    World(world::WorldArgs),
    /// Train a model from scratch on the Playroom.
    Train(train::TrainArgs),
    /// Train a model by reinforcement learning on rewards.
    Grpo(grpo::GrpoArgs),
    /// Train a model to write captions that fit their photos, by VLRM's rewards.
    A2c(a2c::A2cArgs),
    /// Draw the logs of a training run.
    Curve(curve::CurveArgs),
    /// Turn a run into a model bundle.
    Export(export::ExportArgs),
    /// Say what a model needs and what is wrong with it, without loading it.
    Check(check::CheckArgs),
    /// Write a model with a LoRA adapter merged into its weights.
    Merge(merge::MergeArgs),
    /// Write a model as GGUF files that need nothing beside them, quantised as you like.
    Convert(convert::ConvertArgs),
    /// Measure a model on held-out things and names.
    Eval(eval::EvalArgs),
    /// Compare ways to learn: the arms of RESULTS.md.
    Experiment(experiment::ExperimentArgs),
    /// Reward completions in a file, as training would.
    Score(score::ScoreArgs),
    /// Put reports of `eval` into a model card.
    Card(card::CardArgs),
    /// Caption a photo with the names you gave things.
    #[command(after_help = "\
Example:
  namelens caption photo.png --model models/playroom --concept Mochi=mochi.png --concept 'Bo=bo.png:loves jam'
  namelens caption photo.png --model models/playroom --concept Mochi=one.png --concept Mochi=two.png
  namelens caption photo.png --model SmolVLM-Q8_0.gguf --mmproj mmproj-SmolVLM-f16.gguf

The photo of a --concept is the longest part of it that is a file, so names, paths and infos may hold `=` and `:`.")]
    Caption(ask::PhotoArgs),
    /// Ask a question about a photo.
    Ask(ask::AskArgs),
    /// Find your things in your photos.
    Find(find::FindArgs),
    /// Keep the things you named in a file.
    Library(library::LibraryArgs),
    /// Write every stage of a chat as tensors, to compare with another implementation.
    Inspect(inspect::InspectArgs),
}

impl Cli {
    /// What was asked for; help, and what cannot be understood, end the program.
    pub(crate) fn read() -> Self {
        let mut command = help::reflowed(Self::command());
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, in words.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            Command::World(args) => args.run(),
            Command::Train(args) => args.run(),
            Command::Grpo(args) => args.run(),
            Command::A2c(args) => args.run(),
            Command::Curve(args) => args.run(),
            Command::Eval(args) => args.run(),
            Command::Experiment(args) => args.run(),
            Command::Score(args) => args.run(),
            Command::Card(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Convert(args) => args.run(),
            Command::Merge(args) => args.run(),
            Command::Caption(args) => args.run(),
            Command::Ask(args) => args.run(),
            Command::Find(args) => args.run(),
            Command::Library(args) => args.run(),
            Command::Inspect(args) => args.run(),
        }
    }
}
