//! `namelens score`: what rewards make of completions in a file.

use std::path::PathBuf;
use std::time::Duration;

use anstream::println;
use anyhow::{Context, Result, ensure};
use clap::Args;
use namelens::rewards::registry::{self, RewardOptions};
use namelens::rewards::{Row, score_all};
use namelens::rl::metrics::{Figure, Metrics};
use serde_json::json;

use crate::cli::numbers::{share, zero_or_more};

/// Options of `namelens score`.
#[derive(Debug, Args)]
#[command(
    // The one clap makes has the file behind the rewards, which would take it for one more.
    override_usage = "namelens score [OPTIONS] <FILE> --reward <NAME>...",
    after_help = "\
A row is a line of JSON. It needs \"completion\" (a text, or chat messages), may have \"prompt\" (or \"problem\"),
\"completion_ids\" and \"images\", and the columns its rewards read, e.g. RePIC's:
  {\"completion\": \"<Mochi> sleeps on a mat.\", \"accu_reward_method\": \"yes_no_name\", \"solution\": \"<Mochi>\"}
  {\"completion\": \"<Mochi> and <Bo>\", \"solution\": [\"<Mochi>\"], \"concepts\": [\"<Mochi>\", {\"name\": \"<Bo>\", \"info\": \"loves jam\"}]}

Rewards, and the columns they read:
  repic           accu_reward_method, solution     RePIC's four tasks as released, faults included
  repic-strict    the same [, concepts, reference] without them
  set-f1          solution, concepts               F1 of the names, less the share of absent concepts that are named
  binding-f1      bound, concepts                  the same of names whose look or box, said with them, is their thing's
  covip           questions [, judged]             what can be answered from the caption alone
  attribute-leak  concepts (with \"hidden\")         minus what the notes say and the photo does not show
  copied-info     concepts (with \"info\")           minus what is copied from the notes
  preferthinker   liked, disliked, solution        predicted profiles, format and choice
  exec:COMMAND    any                              a process that reads these lines and writes one number a line

Examples:
  namelens score captions.jsonl --reward repic --reward repic-strict
  namelens score captions.jsonl --reward set-f1 --penalty 0.5 --json
  namelens score captions.jsonl --reward 'exec:python3 my_reward.py' --timeout 10"
)]
pub(super) struct ScoreArgs {
    /// Completions, a JSON object a line.
    file: PathBuf,
    /// A reward; may be said several times.
    #[arg(long = "reward", value_name = "NAME", required = true, num_args = 1..)]
    rewards: Vec<String>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Share of its shortest reference's length that `repic-strict` asks of a caption; 0 asks nothing.
    #[arg(long, value_name = "SHARE", default_value_t = RewardOptions::default().min_share, value_parser = share::<f64>)]
    min_share: f64,
    /// Weight of absent concepts that are named, in `set-f1` and `binding-f1`.
    #[arg(long, default_value_t = RewardOptions::default().penalty, value_parser = zero_or_more)]
    penalty: f32,
    /// Seconds that a process may take.
    #[arg(long, value_name = "SECONDS", default_value_t = RewardOptions::default().timeout.as_secs_f64())]
    timeout: f64,
}

impl ScoreArgs {
    /// Prints the rewards of each row, then their means.
    ///
    /// # Errors
    /// When the file cannot be read, a reward is unknown, or a row lacks what its reward reads.
    pub(super) fn run(&self) -> Result<()> {
        let timeout = Duration::try_from_secs_f64(self.timeout).ok();
        let options = RewardOptions {
            min_share: self.min_share,
            penalty: self.penalty,
            timeout: timeout
                .filter(|t| !t.is_zero())
                .context("--timeout must be a number of seconds above 0")?,
        };
        let mut rewards = self
            .rewards
            .iter()
            .map(|name| registry::build(name, &options))
            .collect::<Result<Vec<_>>>()?;
        let place = || self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("cannot read {}", place()))?;
        let rows = Row::from_lines(&text).with_context(place)?;
        ensure!(!rows.is_empty(), "{} has no rows", place());
        let (table, mut metrics) = score_all(&mut rewards, &rows).with_context(place)?;
        for (at, name) in self.rewards.iter().enumerate() {
            let given: Vec<f64> = table
                .iter()
                .filter_map(|row| row[at].map(f64::from))
                .collect();
            metrics.add(format!("rewards/{name}/std"), Figure::std(&given));
            metrics.add(format!("rewards/{name}/mean"), Figure::mean(given));
        }
        if self.json {
            self.print_json(&table, &metrics)
        } else {
            self.print_table(&table, &metrics);
            Ok(())
        }
    }

    fn print_json(&self, table: &[Vec<Option<f32>>], metrics: &Metrics) -> Result<()> {
        let rows: Vec<_> = table
            .iter()
            .map(|row| {
                let named = self
                    .rewards
                    .iter()
                    .cloned()
                    .zip(row.iter().map(|r| json!(r)));
                serde_json::Value::Object(named.collect())
            })
            .collect();
        let metrics: serde_json::Map<_, _> = metrics
            .values()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let all = json!({"rewards": rows, "metrics": metrics});
        println!("{}", serde_json::to_string_pretty(&all)?);
        Ok(())
    }

    fn print_table(&self, table: &[Vec<Option<f32>>], metrics: &Metrics) {
        let width = |name: &String| name.chars().count().max(8);
        let line = |first: &str, cells: Vec<String>| {
            let cells = cells.iter().zip(&self.rewards);
            let cells: Vec<String> = cells
                .map(|(c, name)| format!("{c:>width$}", width = width(name)))
                .collect();
            println!("{first:>5}  {}", cells.join("  "));
        };
        line("row", self.rewards.clone());
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
        for (at, row) in table.iter().enumerate() {
            line(
                &(at + 1).to_string(),
                row.iter().map(|r| number(r.map(f64::from))).collect(),
            );
        }
        for figure in ["mean", "std"] {
            let of = |name: &String| number(metrics.get(&format!("rewards/{name}/{figure}")));
            line(figure, self.rewards.iter().map(of).collect());
        }
    }
}
