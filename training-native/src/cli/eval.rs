//! `namelens eval`: figures on held-out things and names, as a table and as JSON.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use namelens::device::DeviceChoice;
use namelens::evaluate::{EvalOptions, EvalReport, evaluate};
use namelens::export;
use namelens::metrics::rates::Estimate;
use namelens::plots::{self, Bar};
use namelens_engine::host::Still;
use namelens_engine::personalize::Engine;
use playroom::Split;

/// Splits one may evaluate on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EvalSplit {
    /// For choosing between models.
    Val,
    /// For the final figures: touch it once.
    Test,
}

/// Options of `namelens eval`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  namelens eval --model models/playroom --split val --photos 100 --json val.json --plots figures/")]
pub(super) struct EvalArgs {
    /// Model bundle.
    #[arg(long)]
    model: PathBuf,
    /// Which held-out things and names.
    #[arg(long, value_enum, default_value = "val")]
    split: EvalSplit,
    /// Photos a condition.
    #[arg(long, default_value_t = 100)]
    photos: u64,
    /// Seed of the photos.
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
        let files = export::open_bundle(&self.model)?;
        let device = self.device.open()?;
        let mut engine = pollster::block_on(Engine::load(files, &device, &Still, &mut |_, _| ()))?;
        let split = match self.split {
            EvalSplit::Val => Split::Val,
            EvalSplit::Test => Split::Test,
        };
        let options = EvalOptions {
            photos: self.photos,
            seed: self.seed,
            side: 192,
        };
        let bar = ProgressBar::new_spinner();
        bar.set_style(indicatif::ProgressStyle::with_template(
            "{spinner} {pos} answers, {elapsed}",
        )?);
        let report = evaluate(&mut engine, split, options, &|n| bar.inc(n))?;
        bar.finish_and_clear();
        print_table(&report);
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&report)? + "\n";
            std::fs::write(path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some(folder) = &self.plots {
            draw(&report, folder)?;
        }
        Ok(())
    }
}

/// What a model of this size should reach; the aims of its card.
const CAPTION_AIMS: [(usize, f64); 3] = [(1, 0.95), (2, 0.90), (4, 0.75)];

fn draw(report: &EvalReport, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let captions: Vec<Bar> = report
        .captions
        .iter()
        .map(|row| Bar {
            name: format!("{} named, {}", row.concepts, row.mode),
            estimate: row.strict.f1,
            aim: CAPTION_AIMS
                .iter()
                .find(|(n, _)| *n == row.concepts && row.mode == "skip")
                .map(|(_, aim)| *aim),
        })
        .collect();
    let title = format!("Names in captions, strict F1 ({} split)", report.split);
    plots::bars(&folder.join("captions.png"), &title, &captions)?;
    let answers: Vec<Bar> = answers(report)
        .into_iter()
        .map(|(name, estimate, aim)| Bar {
            name: name.into(),
            estimate,
            aim,
        })
        .collect();
    let title = format!("Answers ({} split)", report.split);
    plots::bars(&folder.join("answers.png"), &title, &answers)
}

/// Everything but captions: short name, value, aim.
fn answers(report: &EvalReport) -> [(&'static str, Estimate, Option<f64>); 9] {
    [
        (
            "is it here?",
            report.recognition.balanced_accuracy,
            Some(0.95),
        ),
        (
            "is it here? unaided",
            report.recognition_unaided.balanced_accuracy,
            None,
        ),
        ("where is it?", report.boxes.hits, Some(0.85)),
        ("where is it? unaided", report.boxes_unaided.hits, None),
        ("refuses absent", report.refused_absent, Some(0.95)),
        ("refuses unknown", report.refused_unknown, Some(0.95)),
        ("answers", report.answered, Some(0.95)),
        ("answers rightly", report.answered_right, None),
        ("plain looks", report.plain_attributes, None),
    ]
}

fn print_table(report: &EvalReport) {
    println!(
        "split {} ({}), {} photos a condition, 95 % intervals",
        report.split,
        &report.split_digest[..12],
        report.options.photos
    );
    println!(
        "\n{:28} {:>22}  {:>9} {:>9} {:>12}",
        "caption", "strict F1", "precision", "recall", "RePIC F1"
    );
    for row in &report.captions {
        let label = format!("{} named, {}", row.concepts, row.mode);
        let s = &row.strict;
        println!(
            "{label:28} {:>22}  {:>9.3} {:>9.3} {:>12.3}",
            shown(s.f1),
            s.precision.value,
            s.recall.value,
            row.repic_compat.f1
        );
        println!(
            "{:28} lost in retrieval {}, in generation {}; retrieved wrongly {}; boxes of names {:.3}, regions {:.3}",
            "",
            row.lost_in_retrieval,
            row.lost_in_generation,
            row.retrieved_wrongly,
            row.mention_boxes.hits.value,
            row.regions.hits.value
        );
    }
    println!();
    for (label, value, _) in answers(report) {
        println!("{label:28} {:>22}", shown(value));
    }
}

fn shown(e: Estimate) -> String {
    format!("{:.3} [{:.3}, {:.3}]", e.value, e.low, e.high)
}
