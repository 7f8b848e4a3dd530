//! `namelens curve`: the logs of a training run as plots.

use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{Context, Result, bail};
use clap::Args;
use namelens::plots::{self, Line};
use serde_json::{Map, Value};

/// Options of `namelens curve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Draws the losses and accuracies of every stage that has begun, one file a kind.

Example:
  namelens curve --run runs/tiny --out figures/")]
pub(super) struct CurveArgs {
    /// Run directory of `namelens train`.
    #[arg(long)]
    run: PathBuf,
    /// Folder of the plots.
    #[arg(long)]
    out: PathBuf,
}

/// Which figures of a log are drawn together, so that no plot has more lines than colours.
struct Plot {
    /// Part of the file's name.
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    holds: fn(&str) -> bool,
}

const PLOTS: [Plot; 5] = [
    Plot {
        name: "loss",
        title: "loss",
        unit: "nats",
        holds: |key| key.starts_with("loss"),
    },
    Plot {
        name: "accuracy",
        title: "accuracy on fresh training photos",
        unit: "share",
        holds: |key| key.starts_with("acc/") || key.ends_with("_top1"),
    },
    Plot {
        name: "answers",
        title: "answers predicted word for word",
        unit: "share",
        holds: |key| key.starts_with("whole/"),
    },
    Plot {
        name: "visual_probes",
        title: "visual tokens whose probe is right",
        unit: "share",
        holds: |key| key.starts_with("visual_probe/"),
    },
    Plot {
        name: "text_probes",
        title: "words whose probe is right",
        unit: "share",
        holds: |key| key.starts_with("text_probe/"),
    },
];

impl CurveArgs {
    /// Draws the plots.
    ///
    /// # Errors
    /// When the run has no logs or a file cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create {}", self.out.display()))?;
        let mut drawn = 0;
        for stage in ["contrastive", "supervised"] {
            let log = self.run.join(stage).join("log.jsonl");
            if !log.exists() {
                continue;
            }
            let records = read(&log)?;
            for plot in PLOTS {
                let lines = lines(&records, plot.holds);
                if lines.is_empty() {
                    continue;
                }
                let path = self.out.join(format!("{stage}-{}.png", plot.name));
                let title = format!("{stage} stage: {}", plot.title);
                plots::lines(&path, &title, plot.unit, &lines)?;
                println!("{}", path.display());
                drawn += 1;
            }
        }
        if drawn == 0 {
            bail!(
                "{} has no logs; `namelens train` writes them",
                self.run.display()
            );
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{} line {}: no record", path.display(), at + 1))
        })
        .collect()
}

/// One line a figure that `wanted` names, in the order of first appearance.
fn lines(records: &[Map<String, Value>], wanted: fn(&str) -> bool) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for record in records {
        let Some(step) = record.get("step").and_then(Value::as_f64) else {
            continue;
        };
        for (key, value) in record.iter().filter(|(key, _)| wanted(key)) {
            let Some(value) = value.as_f64() else {
                continue;
            };
            let name = key.split_once('/').map_or(key.as_str(), |(_, name)| name);
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push((step, value)),
                None => lines.push(Line {
                    name: name.to_owned(),
                    points: vec![(step, value)],
                }),
            }
        }
    }
    lines
}
