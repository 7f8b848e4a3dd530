//! `namelens export`: a run directory to a model bundle, with calibrated thresholds.

use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use namelens::device::DeviceChoice;
use namelens::export;
use namelens::stages::calibrate;
use namelens_engine::host::Still;
use namelens_engine::personalize::Engine;
use namelens_engine::weights::Dtype;

/// Element types of the written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Precision {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// Blocks of 32 signed bytes, as GGUF.
    #[value(name = "q8_0")]
    Q8_0,
    /// Blocks of 32 half bytes, as GGUF.
    #[value(name = "q4_0")]
    Q4_0,
}

/// Options of `namelens export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  namelens export --run runs/tiny --out models/playroom
  namelens export --model models/playroom --out models/playroom-q8_0 --precision q8_0")]
pub(super) struct ExportArgs {
    /// Run directory of `namelens train`.
    #[arg(long, required_unless_present = "model", conflicts_with = "model")]
    run: Option<PathBuf>,
    /// A bundle to write again with other weights, in place of a run.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Folder of the bundle; files of the same names are replaced.
    #[arg(long)]
    out: PathBuf,
    /// Element type of the weights.
    #[arg(long, value_enum, default_value = "f16")]
    precision: Precision,
    /// Validation photos the thresholds are chosen on.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..))]
    calibration_photos: u64,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
}

impl ExportArgs {
    /// Writes the bundle.
    ///
    /// # Errors
    /// When a checkpoint is missing or a file cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        let dtype = match self.precision {
            Precision::F32 => Dtype::F32,
            Precision::F16 => Dtype::F16,
            Precision::Q8_0 => Dtype::Q8_0,
            Precision::Q4_0 => Dtype::Q4_0,
        };
        if let Some(model) = &self.model {
            export::convert_bundle(model, &self.out, dtype)?;
            export::write_manifest(&self.out)?;
            println!("wrote {}", self.out.display());
            return Ok(());
        }
        let run = self.run.as_deref().context("--run or --model is needed")?;
        // What is there stays until the new one is whole.
        let unfinished = export::unfinished(&self.out)?;
        let made = self.make(run, &unfinished, dtype);
        if made.is_err() {
            // Best effort: the next one begins with removing it, too.
            let _ = std::fs::remove_dir_all(&unfinished);
        }
        let found = made?;
        export::finish(&unfinished, &self.out)?;
        for (what, found) in [("region", found.window), ("whole photo", found.whole)] {
            println!(
                "{what}: same thing from {:.3} on; found {:.3}, left alone {:.3}",
                found.threshold, found.true_positive_rate, found.true_negative_rate
            );
        }
        println!(
            "regions with IoU >= 0.5: {:.3}, mean IoU {:.3}",
            found.regions.hits.value, found.regions.mean_iou.value
        );
        println!("wrote {}", self.out.display());
        Ok(())
    }

    /// Makes a whole bundle of a run in `folder`, with thresholds measured on the very weights that are shipped.
    fn make(&self, run: &Path, folder: &Path, dtype: Dtype) -> Result<calibrate::Calibrated> {
        export::write_bundle(run, folder, dtype)?;
        export::write_thresholds(folder, 0.5, 0.5)?;
        let files = export::open_bundle(folder)?;
        let device = self.device.open()?;
        let engine = pollster::block_on(Engine::load(files, &device, &Still, &mut |_, _| ()))?;
        let found = calibrate::thresholds(&engine, self.calibration_photos, 7)?;
        export::write_thresholds(folder, found.window.threshold, found.whole.threshold)?;
        Ok(found)
    }
}
