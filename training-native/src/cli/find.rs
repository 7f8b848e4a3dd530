//! `namelens find`: your things in your photos, folder by folder, resuming where it was stopped.

mod told;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anstream::{eprintln, print};
use anyhow::{Context, Result, bail};
use clap::Args;
use namelens::device::DeviceChoice;
use namelens::export;
use namelens::find::cache::Cache;
use namelens::find::labels::Labels;
use namelens::find::report::{self, Report, troubles};
use namelens::find::search::Search;
use namelens::find::walk::{Passed, Walk};
use namelens::native_host::NativeHost;
use namelens::results_file::ResultsFile;
use namelens::things::LibraryFile;
use namelens_engine::concepts::retrieval::PERHAPS;
use namelens_engine::personalize::Engine;

use crate::cli::interrupt::stop_on_ctrl_c;
use crate::cli::numbers::share;

use told::Told;

/// Where results go.
enum Results {
    Nowhere,
    Stdout,
    File(ResultsFile),
}

impl Results {
    fn put(&self, text: impl FnOnce() -> Result<String>) -> Result<()> {
        match self {
            Self::Nowhere => {}
            Self::Stdout => print!("{}", text()?),
            Self::File(file) => file.write(&text()?)?,
        }
        Ok(())
    }
}

/// Options of `namelens find`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  namelens find Pictures/
  namelens find --library toys.json Pictures/2024 IMG_0001.jpg --json found.json --draw found/
  namelens find Pictures/ --csv - | grep Mochi

What was seen of each photo is kept beside the library (--cache), so the same command goes on where Ctrl-C stopped it, and another
thing in the library, or a moved photo, needs no second look. Photos are JPEG, PNG and WebP; others are named and passed over.
The exit code is 1 when not one photo could be read, and 130 after Ctrl-C.")]
pub(super) struct FindArgs {
    /// Photos, and folders that are searched with all that is in them.
    #[arg(required = true)]
    photos: Vec<PathBuf>,
    /// File of the things to look for; `namelens library add` makes it.
    #[arg(long, default_value = "things.json")]
    library: PathBuf,
    /// Folder of the model that looks at photos.
    #[arg(long, default_value = "models/photos")]
    model: PathBuf,
    /// File that keeps what was seen of each photo [default: the library's with `.cache` behind it].
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Keep nothing of what was seen.
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
    /// Least confidence, 0 to 1, of what counts as found.
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, value_parser = share::<f32>)]
    least: f32,
    /// Tell too of what is only perhaps there.
    #[arg(long, conflicts_with = "least")]
    perhaps: bool,
    /// Write everything that was found as JSON to this file, or `-`.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a line a found thing as CSV to this file, or `-`.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write copies of photos in which something was found, with boxes and names, into this folder.
    #[arg(long, value_name = "FOLDER")]
    draw: Option<PathBuf>,
    /// Look at every photo more closely, not only where the first look is unsure: finds more small things, takes four times as long.
    #[arg(long)]
    thorough: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
}

impl FindArgs {
    /// Looks through the photos.
    ///
    /// # Errors
    /// When library, model or output cannot be used, or not one photo can be read.
    pub(super) fn run(&self) -> Result<()> {
        let json = self.results("--json", self.json.as_deref())?;
        let csv = self.results("--csv", self.csv.as_deref())?;
        let is_read = [&json, &csv].map(|results| matches!(results, Results::Stdout));
        if is_read == [true; 2] {
            bail!("--json - and --csv - would be mixed; give one of them a file");
        }
        let mut file = LibraryFile::open(&self.library)?;
        if file.concepts.is_empty() {
            let shown = self.library.display();
            bail!(
                "there are no things in {shown}; add some with `namelens library --file {shown} add NAME=PHOTO`"
            );
        }
        let without: Vec<PathBuf> = self.draw.iter().cloned().collect();
        let walk = Walk::of(&self.photos, &without)?;
        let (photos, mut passed) = (walk.photos, walk.passed);
        let mut engine = load(&self.model, self.device)?;
        engine.set_thorough(self.thorough);
        let idle = AtomicBool::new(false);
        file.give_to(&mut engine, &NativeHost::new(&idle))?;
        let cache = self.open_cache(&engine)?;
        let stop = stop_on_ctrl_c("photo")?;
        let search = Search {
            engine: &engine,
            least: if self.perhaps { PERHAPS } else { self.least },
            stop: &stop,
        };
        let start = Instant::now();
        let labels = Labels::of(engine.library.list().map(|thing| &*thing.name));
        let mut told = Told::new(
            &photos,
            self.draw.as_deref(),
            labels,
            is_read.contains(&true),
        )?;
        let done = search.run(&photos, cache, &mut |seen, photo| told.hear(seen, photo))?;
        let seconds = start.elapsed().as_secs_f64();
        let seen = told.finish();
        if stop.load(Ordering::Relaxed) && done < photos.len() {
            self.say_stopped(done, photos.len());
            std::process::exit(130);
        }
        let library = (&*self.library, &engine.library);
        let report = Report::of(library, search.least, &photos, seen, &mut passed);
        let json = json.put(|| Ok(serde_json::to_string_pretty(&report)? + "\n"));
        // One that fails takes nothing from the other, nor from what is told.
        let csv = csv.put(|| Ok(report::csv(&report.photos)));
        let told = self.summary(&report, &passed, seconds);
        json.and(csv).and(told)
    }

    fn results(&self, option: &str, path: Option<&Path>) -> Result<Results> {
        let stdout = [Path::new("-"), Path::new("/dev/stdout")];
        match path {
            None => Ok(Results::Nowhere),
            Some(path) if stdout.contains(&path) => Ok(Results::Stdout),
            Some(path) => {
                let inputs = [&*self.library, &self.cache_path()];
                ResultsFile::new(option, path, &inputs).map(Results::File)
            }
        }
    }

    fn cache_path(&self) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| {
            let mut path = self.library.clone().into_os_string();
            path.push(".cache");
            path.into()
        })
    }

    fn open_cache(&self, engine: &Engine) -> Result<Option<Cache>> {
        let retriever = engine.retriever();
        let retriever =
            retriever.context("this model cannot search photos; choose one with a retriever")?;
        if self.no_cache {
            return Ok(None);
        }
        let cache = Cache::open(&self.cache_path(), retriever.digest())?;
        for note in &cache.notes {
            eprintln!("note: {note}");
        }
        Ok(Some(cache))
    }

    fn say_stopped(&self, done: usize, all: usize) {
        let next = match self.no_cache {
            true => "the same command begins anew, because of --no-cache",
            false => "the same command resumes there",
        };
        eprintln!("stopped after {done} of {all} photos; {next}");
    }

    fn summary(&self, report: &Report, passed: &[Passed], seconds: f64) -> Result<()> {
        for line in troubles(passed) {
            eprintln!("passed over: {line}");
        }
        let (read, broken) = (report.photos.len(), passed.len());
        if read == 0 {
            match broken {
                0 => bail!("there are no photos in what was named; they are JPEG, PNG or WebP"),
                _ => bail!("not one photo could be read"),
            }
        }
        let found: Vec<String> = report
            .things
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, count)| format!("{name} in {count}"))
            .collect();
        let found = match found.is_empty() {
            true => "nothing found".to_owned(),
            false => found.join(", "),
        };
        let speed = read as f64 / seconds.max(1e-3);
        eprintln!(
            "{read} photos, {broken} passed over: {found}; {seconds:.1} s, {speed:.1} photos/s"
        );
        Ok(())
    }
}

/// The model in a folder, which can say how sure it is of what it finds.
///
/// # Errors
/// When there is none, it cannot be loaded, or nobody has measured how sure it is.
pub(super) fn load(model: &Path, device: DeviceChoice) -> Result<Engine> {
    let files = export::open_bundle(model)
        .with_context(|| format!("no model {}; name its folder with --model", model.display()))?;
    let (idle, device) = (AtomicBool::new(false), device.open()?);
    let host = NativeHost::new(&idle);
    let mut quiet = |_, _| ();
    let engine = pollster::block_on(Engine::load(files, &device, &host, &mut quiet))?;
    if let Some(retriever) = engine.retriever() {
        retriever.check_calibration()?;
    }
    Ok(engine)
}
