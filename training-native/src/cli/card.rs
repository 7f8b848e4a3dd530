//! `namelens card`: reports of `namelens eval` as the tables of a model card.

use std::path::PathBuf;

use anstream::print;
use anyhow::{Context, Result};
use clap::Args;
use namelens::evaluate::card;
use namelens::evaluate::report::Report;

/// Options of `namelens card`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --write the tables are printed.

Example:
  namelens card val.json test.json --write models/playroom/README.md --plots training-native/figures")]
pub(super) struct CardArgs {
    /// Reports, a column each: the JSON files that `namelens eval --json` wrote.
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// Page to put the tables into, between the lines `<!-- figures:begin -->` and `<!-- figures:end -->`.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Draw the last report into this folder: `captions.png` and `answers.png`.
    #[arg(long)]
    plots: Option<PathBuf>,
}

impl CardArgs {
    /// Writes the tables.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(super) fn run(&self) -> Result<()> {
        let mut reports: Vec<Report> = Vec::with_capacity(self.reports.len());
        for path in &self.reports {
            let shown = path.display();
            let text = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
            let report = serde_json::from_slice(&text)
                .with_context(|| format!("{shown} is no report of `namelens eval --json`"))?;
            reports.push(report);
        }
        if let (Some(folder), Some(last)) = (&self.plots, reports.last()) {
            card::draw(last, folder)?;
        }
        match &self.write {
            Some(page) => card::write(page, &reports)?,
            None => print!("{}", card::tables(&reports)),
        }
        Ok(())
    }
}
