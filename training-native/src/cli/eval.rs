//! `namelens eval`: figures on held-out things and names, as a table and as JSON.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use namelens::device::DeviceChoice;
use namelens::evaluate::{EvalOptions, EvalReport, evaluate};
use namelens::export;
use namelens::metrics::rates::Estimate;
use namelens_engine::host::Still;
use namelens_engine::personalize::Lens;
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
  namelens eval --model models/playroom --split val --photos 100 --json val.json")]
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
        let mut lens = pollster::block_on(Lens::load(files, &device, &Still, &mut |_, _| ()))?;
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
        let report = evaluate(&mut lens, split, options, &|n| bar.inc(n))?;
        bar.finish_and_clear();
        print_table(&report);
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&report)? + "\n";
            std::fs::write(path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
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
            "{:28} lost in retrieval {}, in generation {}; retrieved wrongly {}",
            "", row.lost_in_retrieval, row.lost_in_generation, row.retrieved_wrongly
        );
    }
    println!();
    for (label, value) in [
        (
            "recognition, balanced",
            report.recognition.balanced_accuracy,
        ),
        ("boxes, IoU >= 0.5", report.boxes.hits),
        ("refused: not in the photo", report.refused_absent),
        ("refused: unknown name", report.refused_unknown),
        ("answerable: answered", report.answered),
        ("answerable: word for word", report.answered_right),
        ("plain caption: attributes", report.plain_attributes),
    ] {
        println!("{label:28} {:>22}", shown(value));
    }
}

fn shown(e: Estimate) -> String {
    format!("{:.3} [{:.3}, {:.3}]", e.value, e.low, e.high)
}
