//! `namelens eval`: figures on held-out things and names, as tables and as JSON.

use std::path::PathBuf;

use anstream::{eprintln, print, println};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use namelens::device::DeviceChoice;
use namelens::evaluate::report::Report;
use namelens::evaluate::row::Row;
use namelens::evaluate::{EvalOptions, card, evaluate};
use namelens::results_file::ResultsFile;
use namelens_engine::host::Still;
use namelens_engine::personalize::Engine;
use playroom::Split;

use super::eval_photos::PhotosArgs;
use super::model::ModelArgs;

/// Splits one may evaluate on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EvalSplit {
    /// For choosing between models.
    Val,
    /// For the final figures: touch it once.
    Test,
}

/// What else than the Playroom one may evaluate on.
#[derive(Debug, Subcommand)]
enum Other {
    /// Real photographs: recognise and find the things of a folder.
    Photos(PhotosArgs),
}

/// Options of `namelens eval`.
#[derive(Debug, Args)]
#[command(after_help = "\
A row is one kind of question under one condition; its name is as in `caption/2/retrieval`:
  caption/1|2|4/skip         the right concepts are handed over, with where the retriever sees them
  caption/1|2|4/retrieval    what our retrieval finds is handed over
  caption/1|2|4/unaided      the right concepts without what the retriever says of them
  caption/1|2|4/unaided-all  as many concepts besides whose thing is not there, half of them look-alikes; no hints
  caption/1|2|4/name-all     no model: the rule that names everything given, with the looks of the references
  recognize, locate          \"Is it here?\", \"Where is it?\"; recognize/unaided and locate/unaided without the retriever
  refuse/absent|unknown      questions to be refused
  answer, plain              questions to be answered; captions without names
With --compare also other papers' methods, with this model, which was trained on neither of their prompts:
  caption/1|2|4/repic-retrieval   concepts chosen by RePIC's rule: the nearest of all regions, no threshold; else as `retrieval`
  caption/1|2|4/repic-prompt      RePIC's prompt; else as `unaided`
  caption/1|2|4/rap-prompt        RAP's prompt; else as `unaided`

Intervals are 95 %: Wilson's where a photo has one question, else by resampling photos. The same seed asks the same
questions. With --cache every answer is kept at once, and the same command resumes after being killed.

Examples:
  namelens eval --model models/playroom --split val --questions 400 --cache runs/val --json val.json
  namelens eval --model models/playroom --rows locate,caption/2 --compare
  namelens card val.json --write models/playroom/README.md")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct EvalArgs {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    model: Option<ModelArgs>,
    /// Which held-out things and names.
    #[arg(long, value_enum, default_value = "val")]
    split: EvalSplit,
    /// Least number of questions a row.
    #[arg(long, default_value_t = 100)]
    questions: usize,
    /// Rows whose name begins with one of these; all when left out.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Also ask by the methods of other papers.
    #[arg(long)]
    compare: bool,
    /// Seed of the photos.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep every answer in this folder, and resume from it.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Also write the figures here.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Also draw the figures into this folder: `captions.png` and `answers.png`.
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
}

impl EvalArgs {
    /// Evaluates.
    ///
    /// # Errors
    /// When the model cannot be used or a file cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        if let Some(Other::Photos(photos)) = &self.other {
            return photos.run();
        }
        let model = self.model.as_ref().context("--model is needed")?;
        let json = self.json.as_deref();
        let json = json.map(|path| ResultsFile::new("--json", path, &[]));
        let json = json.transpose()?;
        let options = EvalOptions {
            split: match self.split {
                EvalSplit::Val => Split::Val,
                EvalSplit::Test => Split::Test,
            },
            rows: self.wanted()?,
            questions: self.questions,
            seed: self.seed,
            side: 192,
            model: model.digest()?,
            cache: self.cache.clone(),
        };
        let files = model.open()?;
        let device = self.device.open()?;
        let mut engine = pollster::block_on(Engine::load(files, &device, &Still, &mut |_, _| ()))?;
        let report = watched(&mut engine, &options)?;
        print!("{}", card::tables(std::slice::from_ref(&report)));
        println!("\n{:28} {:>9} {:>12}", "row", "questions", "ms each");
        for row in &report.rows {
            println!(
                "{:28} {:>9} {:>12.0}",
                row.row, row.questions, row.ms_per_question
            );
        }
        if let Some(file) = json {
            file.write(serde_json::to_string_pretty(&report)? + "\n")?;
        }
        if let Some(folder) = &self.plots {
            card::draw(&report, folder)?;
        }
        Ok(())
    }

    /// The rows whose names begin as asked.
    fn wanted(&self) -> Result<Vec<Row>> {
        if self.questions == 0 {
            bail!("--questions must be at least 1");
        }
        let rows = Row::all(self.compare);
        for start in &self.rows {
            if !rows.iter().any(|row| row.key().starts_with(start.as_str())) {
                let names: Vec<String> = Row::all(true).iter().map(|row| row.key()).collect();
                bail!(
                    "no row is called `{start}`{}; rows are {}",
                    if self.compare {
                        ""
                    } else {
                        " without --compare"
                    },
                    names.join(", ")
                );
            }
        }
        let asked = |row: &Row| {
            let key = row.key();
            self.rows.is_empty()
                || self
                    .rows
                    .iter()
                    .any(|start| key.starts_with(start.as_str()))
        };
        Ok(rows.into_iter().filter(asked).collect())
    }
}

/// Evaluates behind a bar, or with a line a row where nobody watches.
fn watched(engine: &mut Engine, options: &EvalOptions) -> Result<Report> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar:.cyan/blue} {pos}/{len} questions, eta {eta}  {msg}",
    )?);
    let mut last = String::new();
    let report = evaluate(engine, options, &mut |progress| {
        let (asked, total) = progress.total;
        bar.set_length(total as u64);
        bar.set_position(asked as u64);
        if progress.row != last {
            if bar.is_hidden() {
                eprintln!("{asked} of {total} questions asked; now {}", progress.row);
            }
            last.clone_from(&progress.row);
            bar.set_message(progress.row);
        }
    })?;
    bar.finish_and_clear();
    Ok(report)
}
