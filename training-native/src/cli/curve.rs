//! `namelens curve`: the logs of a run of training or of reinforcement learning as plots.

use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{Context, Result, bail};
use clap::Args;
use namelens::plots::{self, Line};
use serde_json::{Map, Value};

/// Options of `namelens curve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Draws the losses and accuracies of every stage of `namelens train` that has begun, or rewards, held-out figures, drift, lengths and
losses of `grpo` and `a2c`; one file a kind.

Examples:
  namelens curve --run runs/tiny --out figures/
  namelens curve --run runs/repic --out figures/")]
pub(super) struct CurveArgs {
    /// Run directory of `namelens train`, `grpo` or `a2c`.
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

/// Of `namelens train`.
const STAGES: [Plot; 5] = [
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

/// Of `namelens grpo` and `a2c`, whose figures have TRL's names.
const REINFORCED: [Plot; 5] = [
    Plot {
        name: "reward",
        title: "mean reward",
        unit: "reward",
        holds: |key| key == "reward" || (key.starts_with("rewards/") && key.ends_with("/mean")),
    },
    Plot {
        name: "eval",
        title: "held-out prompts",
        unit: "share",
        holds: |key| key.starts_with("eval/"),
    },
    Plot {
        name: "drift",
        title: "entropy, and divergence from the reference",
        unit: "nats",
        holds: |key| ["kl", "entropy"].contains(&key),
    },
    Plot {
        name: "length",
        title: "tokens of a completion",
        unit: "tokens",
        holds: |key| key.starts_with("completions/") && key.ends_with("_length"),
    },
    Plot {
        name: "loss",
        title: "loss",
        unit: "",
        holds: |key| key == "loss" || key.ends_with("_loss"),
    },
];

/// Where logs are below a run's folder, what is in front of the names of their plots, and which those are.
const LOGS: [(&str, &str, [Plot; 5]); 3] = [
    ("contrastive/log.jsonl", "contrastive", STAGES),
    ("supervised/log.jsonl", "supervised", STAGES),
    ("log.jsonl", "reinforced", REINFORCED),
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
        for (log, stage, plots) in LOGS {
            let log = self.run.join(log);
            if !log.exists() {
                continue;
            }
            let records = read(&log)?;
            for plot in plots {
                let lines = lines(&records, plot.holds);
                if lines.is_empty() {
                    continue;
                }
                let path = self.out.join(format!("{stage}-{}.png", plot.name));
                let title = format!("{stage}: {}", plot.title);
                plots::lines(&path, &title, plot.unit, &lines)?;
                println!("{}", path.display());
                drawn += 1;
            }
        }
        if drawn == 0 {
            bail!(
                "{} has no logs; `namelens train`, `grpo` and `a2c` write them",
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
