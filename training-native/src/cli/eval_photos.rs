//! `namelens eval photos`: how well things are recognised and found in real photographs.

use std::path::PathBuf;

use anstream::{eprintln, println};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use namelens::device::DeviceChoice;
use namelens::photos::bench::{Bench, COPY};
use namelens::photos::figures::bins;
use namelens::photos::measured::{Measured, Pair, Row, calibrated, error_on_others};
use namelens::photos::set::PhotoSet;
use namelens::photos::variants::Variant;
use namelens::results_file::ResultsFile;
use namelens_engine::host::Still;
use namelens_engine::personalize::Engine;
use namelens_engine::personalize::calibration::Calibration;
use namelens_engine::personalize::similarity_scale::SimilarityScale;
use serde_json::json;

use super::model::ModelArgs;

/// Sizes of the small libraries that are measured.
const SMALL_LIBRARIES: [usize; 2] = [1, 3];
/// Most draws of small libraries: each photo is searched several times in one.
const MOST_SMALL_DRAWS: u64 = 8;

/// Options of `namelens eval photos`.
#[derive(Debug, Args)]
#[command(after_help = "\
A set is a folder with a folder of photos for each thing, and perhaps a boxes.json:
  {\"miso/1.jpg\": {\"box\": [0.1, 0.2, 0.8, 0.9]}, ...}     left, top, right and bottom as fractions
Every thing is enrolled from one of its photos (or --references), all other photos are searched, again and again with other
references. Photos that are copies of each other never are reference and question at once.

The model may be a DINOv2 folder as its authors publish it. How sure its similarities make is known only once it was measured: the
first run prints the calibration, fitted to the set, and --calibrate writes it where the model looks for it. Measure on many photos
of things like yours: it is for them that nine in ten of what is told with .9 will be there.

Examples:
  namelens eval photos --model models/photos --set my-things
  namelens eval photos --model models/photos --set my-things --draws 60 --json photos.json
  namelens eval photos --model models/photos --set my-things --calibrate models/photos/retriever/retrieval.json
  namelens eval photos --model dinov2-base --set my-things --calibrate dinov2-base/retrieval.json")]
pub(super) struct PhotosArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder of the things.
    #[arg(long)]
    set: PathBuf,
    /// How often references are drawn anew.
    #[arg(long, default_value_t = 20)]
    draws: u64,
    /// How many collages and pasted things are made.
    #[arg(long, default_value_t = 100)]
    composites: usize,
    /// Look at every photo more closely, not only where the first look is unsure.
    #[arg(long)]
    thorough: bool,
    /// Only photos as they are, with one reference.
    #[arg(long)]
    quick: bool,
    /// Seed of all draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write the figures here.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Cosine from which two photos of one thing are taken for copies of each other; another encoder than models/photos may need
    /// another one.
    #[arg(long, value_name = "COSINE", default_value_t = COPY)]
    copies: f32,
    /// Fit the confidences to this set, and write them here.
    #[arg(long, value_name = "FILE")]
    calibrate: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
}

impl PhotosArgs {
    /// Measures.
    ///
    /// # Errors
    /// When the set or the model cannot be used, or a file cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        if self.draws == 0 {
            bail!("--draws must be at least 1");
        }
        let [json, calibrate] =
            [("--json", &self.json), ("--calibrate", &self.calibrate)].map(|(option, path)| {
                let path = path.as_deref();
                path.map(|path| ResultsFile::new(option, path, &[]))
                    .transpose()
            });
        let (json, calibrate) = (json?, calibrate?);
        let set = PhotoSet::read(&self.set)?;
        let device = self.device.open()?;
        let files = self.model.open()?;
        let mut engine = pollster::block_on(Engine::load(files, &device, &Still, &mut |_, _| ()))?;
        engine.set_thorough(self.thorough);
        let retriever = engine
            .retriever_mut()
            .context("the model recognises nothing: it has no retriever")?;
        let bar =
            ProgressBar::new(set.photos.len() as u64).with_style(ProgressStyle::with_template(
                "{elapsed_precise} {wide_bar:.cyan/blue} {pos}/{len} photos looked at",
            )?);
        let mut bench = Bench::new(retriever, &set, self.copies, &mut |done, _| {
            bar.set_position(done as u64)
        })?;
        bar.finish_and_clear();
        for &(a, b) in &bench.copies {
            let key = |at: usize| &set.photos[at].key;
            eprintln!(
                "note: {} and {} are taken for copies of one photo",
                key(a),
                key(b)
            );
        }
        println!("{} things, {} photos", set.things.len(), set.photos.len());
        println!(
            "{:28} {:>6} {:>17} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>6}",
            "",
            "photos",
            "top-1 (95 %)",
            "AUC",
            "at 1 %",
            "single",
            "P .95",
            "IoU .5",
            "mean",
            "ECE"
        );
        let mut plain = bench.singles(1, Variant::Plain, self.draws, self.seed)?;
        let came_without = !bench.is_calibrated();
        if came_without {
            // What is similar at all is known now, and the search is done again with it.
            bench.rescale(&plain)?;
            plain = bench.singles(1, Variant::Plain, self.draws, self.seed)?;
        }
        // Margins mean less where there are few rivals: lone things are fitted by themselves, and three test what lies between.
        let mut pairs = plain.pairs.clone();
        let mut small = Vec::new();
        for size in SMALL_LIBRARIES
            .into_iter()
            .filter(|size| *size < set.things.len())
        {
            let draws = self.draws.min(MOST_SMALL_DRAWS);
            let measured = bench.small_libraries(size, draws, self.seed)?;
            pairs.extend(&measured.pairs);
            small.push((size, measured));
        }
        if came_without {
            bench.calibrate(calibrated(&pairs));
        }
        bench.single_threshold = bench.threshold(&plain);
        let mut rows = vec![told(bench.row("1 reference", &plain))];
        for (size, measured) in &small {
            rows.push(told(bench.row(&format!("library of {size}"), measured)));
        }
        let mut instances = None;
        if !self.quick {
            self.others(&mut bench, &mut rows)?;
            let seen = bench.instances(self.composites, self.seed)?;
            println!(
                "\ntwo of one thing: {:.3} of them found; one of each: more than one said to be there in {:.3} of {} photos",
                seen.found, seen.too_many, seen.photos
            );
            instances = Some(seen);
        }
        let on_others = error_on_others(&plain, set.things.len(), 8, self.seed);
        println!("\nexpected calibration error on things that did not calibrate: {on_others:.3}");
        self.by_thing(&set, &plain);
        if bench.scale().is_none()
            && let Some(SimilarityScale { absent, present }) = plain.scale()
        {
            println!(
                "\nsimilarity, median: {present:.3} of things that are there, {absent:.3} of others"
            );
        }
        let fitted = fitted(&pairs, bench.scale())?;
        if came_without {
            println!(
                "\nthe model has no retrieval.json; confidences above are fitted to this very set, as this one is:\n{fitted}"
            );
        }
        if let (Some(file), Some(path)) = (calibrate, &self.calibrate) {
            file.write(usable(&fitted)?)?;
            println!("wrote {}", path.display());
        }
        if let Some(file) = json {
            let report = json!({
                "things": set.things.len(),
                "photos": set.photos.len(),
                "draws": self.draws,
                "seed": self.seed,
                "rows": rows,
                "calibration_error_on_other_things": on_others,
                "two_of_one_thing": instances,
                "reliability": bins(&bench.judged(&plain)),
            });
            file.write(serde_json::to_string_pretty(&report)? + "\n")?;
        }
        Ok(())
    }

    /// More references, changed references, several things in a photo, small things.
    fn others(&self, bench: &mut Bench<'_>, rows: &mut Vec<Row>) -> Result<()> {
        let three = bench.singles(3, Variant::Plain, self.draws, self.seed)?;
        keep(rows, bench.row("3 references", &three));
        for variant in Variant::ALL.into_iter().skip(1) {
            // Changed references are looked at anew in every draw.
            let measured = bench.singles(1, variant, self.draws.min(5), self.seed)?;
            keep(rows, bench.row(variant.name(), &measured));
        }
        for count in [2, 4] {
            let measured = bench.collages(count, self.composites, self.seed)?;
            keep(rows, bench.row(&format!("collage of {count}"), &measured));
        }
        let measured = bench.pastes(self.composites, self.seed)?;
        keep(rows, bench.row("pasted at a quarter", &measured));
        Ok(())
    }

    /// Which things are hard.
    fn by_thing(&self, set: &PhotoSet, measured: &Measured) {
        println!("\n{:28} {:>7} {:>7}", "thing", "score", "IoU .5");
        for (thing, name) in set.things.iter().enumerate() {
            let own: Vec<&Pair> = measured
                .pairs
                .iter()
                .filter(|pair| pair.thing == thing && pair.there)
                .collect();
            let count = own.len().max(1) as f32;
            let score = own.iter().map(|pair| pair.score).sum::<f32>() / count;
            // Photos without a box say nothing of boxes.
            let overlaps: Vec<f32> = own.iter().filter_map(|pair| pair.overlap).collect();
            let half = overlaps.iter().filter(|overlap| **overlap >= 0.5).count();
            let half = match overlaps.len() {
                0 => "-".to_owned(),
                boxed => format!("{:.3}", half as f32 / boxed as f32),
            };
            println!("{name:28} {score:>7.3} {half:>7}");
        }
    }
}

/// `retrieval.json`, fitted to what was measured, with the scale it was measured on, if the model does not go without one.
fn fitted(pairs: &[Pair], scale: Option<SimilarityScale>) -> Result<String> {
    let mut fitted = serde_json::to_value(calibrated(pairs))?;
    if let Some(scale) = scale {
        fitted["similarity"] = serde_json::to_value(scale)?;
    }
    Ok(serde_json::to_string_pretty(&fitted)? + "\n")
}

/// The calibration, if a model can be given it.
fn usable(fitted: &str) -> Result<&str> {
    Calibration::from_json(fitted).context(
        "what fits this set is no calibration, a likelier thing would count as less sure; take more photos and more things",
    )?;
    Ok(fitted)
}

/// Prints and keeps a row of which there was anything to measure.
fn keep(rows: &mut Vec<Row>, row: Row) {
    if row.photos > 0 {
        rows.push(told(row));
    }
}

/// Prints a row as soon as it is known; what was not measured has a dash.
fn told(row: Row) -> Row {
    let or_dash = |figure: Option<f64>| figure.map_or_else(|| "-".into(), |f| format!("{f:.3}"));
    let top1 = match row.top1_interval {
        Some([low, high]) => format!("{} ({low:.3}-{high:.3})", or_dash(row.top1)),
        None => or_dash(row.top1),
    };
    println!(
        "{:28} {:>6} {top1:>17} {:>7.4} {:>7.3} {:>7.3} {:>7.3} {:>7} {:>7} {:>6.3}",
        row.row,
        row.photos,
        row.auc,
        row.found_at_1_percent,
        row.found_at_single_threshold,
        row.recall_at_precision_95,
        or_dash(row.iou_half),
        or_dash(row.iou_mean),
        row.calibration_error
    );
    row
}
