//! `cargo xtask demo`: everything built, the page on 127.0.0.1, or its story told by a headless Chromium.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::{page_dir, root, target_dir};
use crate::run::{self, stage};
use crate::serve::Serving;
use crate::tally::Tally;
use crate::{system, wasm, web};

/// The port of the page unless another is asked for.
const PORT: u16 = 4173;

/// Options of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run the story in a headless Chromium and exit with its result
    #[arg(long)]
    check: bool,
    /// The port on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = PORT, conflicts_with = "check")]
    port: u16,
    /// Print the address only; do not open a browser
    #[arg(long)]
    no_open: bool,
}

/// Builds the page and serves it until the process is ended, or checks it.
///
/// # Errors
/// When something is missing or does not build, the port is taken, or the story fails.
pub(crate) fn demo(options: &Options) -> Result<()> {
    build_page()?;
    if options.check {
        let tally = browser_tests(&["story"])?;
        if tally.failed + tally.skipped > 0 || tally.passed == 0 {
            bail!(
                "the story failed: {} passed, {} failed, {} skipped",
                tally.passed,
                tally.failed,
                tally.skipped
            );
        }
        println!("{} passed, 0 failed", tally.passed);
        return Ok(());
    }
    let serving = Serving::start(&page_dir(), options.port)?;
    println!("\nNameLens is at {} (Ctrl-C ends it)", serving.address());
    if !options.no_open
        && let Err(error) = system::open_in_browser(serving.address())
    {
        println!("  no browser opened: {error:#}");
    }
    serving.wait();
    Ok(())
}

/// Builds wasm, package and page, each only as far as it is out of date.
///
/// # Errors
/// When something is missing or does not build.
pub(crate) fn build_page() -> Result<()> {
    wasm::build(&wasm::Options::default())?;
    web::install()?;
    web::build()
}

/// Runs the browser specs whose file names contain one of `only` (all when empty) against the built page.
///
/// # Errors
/// When Chromium or the page is missing, or Playwright leaves no report. Failing tests are in the tally.
pub(crate) fn browser_tests(only: &[&str]) -> Result<Tally> {
    system::provide(&[&system::CHROMIUM])?;
    let chromium = system::chromium().context("no Chromium; set NAMELENS_CHROMIUM to its path")?;
    let folders = target_dir().join("model-folders");
    stage("model folders", || {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(root())
            .args([
                "run",
                "--quiet",
                "-p",
                "namelens-tests",
                "--bin",
                "model-folders",
                "--",
            ])
            .arg(&folders);
        run::loud(&mut cargo, "the error above says what could not be made")
    })?;
    let serving = Serving::start(&page_dir(), 0)?;
    let report = target_dir().join("playwright-report.json");
    // An old report must never stand for a run that died.
    if report.exists() {
        fs::remove_file(&report).with_context(|| format!("removing {}", report.display()))?;
    }
    stage("Playwright", || {
        let mut playwright = Command::new(root().join("node_modules/.bin/playwright"));
        playwright
            .current_dir(root().join("tests/browser"))
            .args(["test", "--reporter=list,json"])
            .args(only)
            .env("NAMELENS_URL", serving.address())
            .env("NAMELENS_FOLDERS", &folders)
            .env("NAMELENS_CHROMIUM", &chromium)
            .env("PLAYWRIGHT_JSON_OUTPUT_FILE", &report);
        let status = run::watch(&mut playwright, "`npm ci` in the root installs it", |_| {})?;
        let text = fs::read_to_string(&report).with_context(|| {
            format!(
                "Playwright ended ({status}) without its report {}",
                report.display()
            )
        })?;
        let mut tally = Tally::from_playwright(&text)?;
        if !status.success() && tally.failed == 0 {
            // A spec that does not load counts no test but is a failure all the same.
            tally.failed = 1;
        }
        Ok(tally)
    })
}
