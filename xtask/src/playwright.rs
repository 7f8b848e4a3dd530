//! Playwright: a folder of specs run in the machine's Chromium, counted from the report that Playwright writes.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::{root, script, target_dir};
use crate::run::{self, stage};
use crate::system;
use crate::tally::Tally;

/// Runs the specs in `folder` whose file names contain one of `only` (all when empty), with `settings` in the environment.
///
/// # Errors
/// When Chromium is missing or Playwright leaves no report. Failing tests are in the tally.
pub(crate) fn run(folder: &str, only: &[&str], settings: &[(&str, &OsStr)]) -> Result<Tally> {
    system::provide(&[&system::CHROMIUM])?;
    let chromium = system::chromium().context("no Chromium; set NAMELENS_CHROMIUM to its path")?;
    let report = target_dir().join("playwright-report.json");
    // An old report must never stand for a run that died.
    if report.exists() {
        fs::remove_file(&report).with_context(|| format!("removing {}", report.display()))?;
    }
    stage(&format!("Playwright in {folder}"), || {
        let installed = root().join("node_modules/.bin");
        let mut playwright = Command::new(installed.join(script("playwright")));
        playwright
            .current_dir(root().join(folder))
            .args(["test", "--reporter=list,json"])
            .args(only)
            .env("NAMELENS_CHROMIUM", &chromium)
            .env("PLAYWRIGHT_JSON_OUTPUT_FILE", &report)
            .envs(settings.iter().copied());
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
