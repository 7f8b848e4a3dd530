//! What a run writes down: JSON lines for programs, TensorBoard events for eyes, a bar for the terminal.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::tensorboard::EventWriter;

/// Name of the file of JSON lines.
pub const LINES: &str = "log.jsonl";

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
    /// Lines of steps after `start`, which a run wrote that stopped between two checkpoints, are removed, for these steps
    /// are done again.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(dir: &Path, start: u64, total: u64) -> Result<Self> {
        let path = dir.join(LINES);
        keep_until(&path, start)?;
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

/// Removes the records of later steps, and a last line that was cut off.
fn keep_until(path: &Path, step: u64) -> Result<()> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .filter(|line| {
            let record: Option<serde_json::Value> = serde_json::from_str(line).ok();
            let at = record.and_then(|record| record["step"].as_u64());
            at.is_some_and(|at| at <= step)
        })
        .collect();
    if kept == text {
        return Ok(());
    }
    // A crash while it is written must not cost the records that stay.
    let fresh = path.with_extension("jsonl.partial");
    fs::write(&fresh, kept)
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn steps_that_are_done_again_are_logged_once() {
        let folder = tempfile::tempdir().unwrap();
        let loss = |value: f64| [("loss".to_owned(), value)];
        let mut log = RunLog::open(folder.path(), 0, 4).unwrap();
        for step in 1..=3 {
            log.record(step, &loss(step as f64)).unwrap();
        }
        let path = folder.path().join(LINES);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"step\":4,\"lo")).unwrap();
        let mut log = RunLog::open(folder.path(), 2, 4).unwrap();
        for step in 3..=4 {
            log.record(step, &loss(step as f64)).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&whole), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
