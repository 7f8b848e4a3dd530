//! `cargo xtask bench start`: the page from its address to the first token of a caption and to the first thing recognised.
//!
//! Cold is a browser that never saw the page, warm the next process with the same profile: files, and compiled code where the
//! browser keeps it. Long tasks are what the browser itself reports of the page's own thread, from 50 ms on.

use std::ffi::OsString;
use std::fs;

use anstream::println;
use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::browser::{Built, chromium, script, scripts};
use super::report::{Spread, machine, number};
use crate::paths::target_dir;
use crate::serve::Serving;

/// Milliseconds that no task of the page's thread may take.
const BAR: f64 = 50.0;
/// What is timed, in the order of the table; all in milliseconds.
const TIMES: [(&str, &str); 5] = [
    ("instantiate", "module ready"),
    ("ready", "page ready"),
    ("first", "from then to first"),
    ("total", "both"),
    ("longest", "longest task"),
];

/// Options of `cargo xtask bench start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    built: Built,
    /// How often the page is started cold, and warm after it
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Measures and prints the table.
///
/// # Errors
/// When the page or a browser is missing, or the page does not come to its first answer.
pub(super) fn run(options: &Options) -> Result<Vec<Value>> {
    let package = options.built.package()?;
    let page = options.built.page()?;
    let mut figures = vec![machine()];
    let serving = Serving::start(&page, 0)?;
    let bench = Serving::start_with(&scripts(), &[("/package", &package)], 0)?;
    let profiles = target_dir().join("bench-start");
    if profiles.exists() {
        fs::remove_dir_all(&profiles).context("removing the profiles of an earlier run")?;
    }
    let lines = script(
        "start.mjs",
        [
            OsString::from(serving.address()),
            bench.address().into(),
            chromium()?.into(),
            profiles.clone().into(),
            options.rounds.to_string().into(),
        ],
    )?;
    fs::remove_dir_all(&profiles).context("removing the profiles")?;
    println!();
    for (room, first) in [
        ("playroom", "first token"),
        ("photos", "first thing recognised"),
    ] {
        for start in ["cold", "warm"] {
            println!("{room}, {start} (first: {first})");
            let own: Vec<&Value> = lines
                .iter()
                .filter(|line| line["room"] == room && line["start"] == start)
                .collect();
            let mut row = json!({ "room": room, "start": start });
            for (key, name) in TIMES {
                let spread = Spread::of(own.iter().map(|line| number(line, key)).collect());
                // NaN meets no bar.
                let met = key != "longest" || spread.median <= BAR;
                let word = if met { "" } else { "  over the bar of 50 ms" };
                println!("  {name:20} {:>24} ms{word}", spread.shown(0));
                row[key] = spread.json();
            }
            figures.push(row);
        }
    }
    figures.push(json!({ "runs": lines }));
    Ok(figures)
}
