//! What a run writes down: JSON lines for programs, TensorBoard events for eyes, a bar for the terminal.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::tensorboard::EventWriter;

/// The three logs of one run.
#[derive(Debug)]
pub struct RunLog {
    lines: File,
    events: EventWriter,
    bar: ProgressBar,
}

impl RunLog {
    /// Opens (or continues) the logs in `dir`; the bar ends at `total` steps.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(dir: &Path, start: u64, total: u64) -> Result<Self> {
        let path = dir.join("log.jsonl");
        let lines = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let bar = ProgressBar::new(total).with_position(start);
        let style = ProgressStyle::with_template(
            "{elapsed_precise} {wide_bar:.cyan/blue} {pos}/{len} eta {eta} {msg}",
        )?;
        bar.set_style(style);
        Ok(Self {
            lines,
            events: EventWriter::create(dir)?,
            bar,
        })
    }

    /// Moves the bar without writing anything.
    pub fn tick(&self, step: u64) {
        self.bar.set_position(step);
    }

    /// Writes named values of `step` to all logs.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn record(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        let mut line = json!({ "step": step });
        for (name, value) in values {
            line[name] = json!(value);
            self.events.scalar(step, name, *value as f32)?;
        }
        writeln!(self.lines, "{line}")?;
        let short: Vec<String> = values
            .iter()
            .take(6)
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        let message = short.join("  ");
        if self.bar.is_hidden() {
            tracing::info!(step, "{message}");
        } else {
            self.bar.set_message(message);
        }
        Ok(())
    }

    /// Leaves the bar as it stands.
    pub fn finish(&self) {
        self.bar.abandon();
    }
}
