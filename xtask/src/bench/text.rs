//! `cargo xtask bench text`: SmolLM2's own 4-bit file, held to the tokens of the reference on 20 prompts, then timed natively.

use std::process::Command;

use anstream::println;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::model_file;
use super::report::{lines, machine, number};
use crate::paths::{root, target_dir};
use crate::run::{loud, quiet, stage};

/// Options of `cargo xtask bench text`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Build with the profile of tests, which is warm after one: its own code is optimised less
    #[arg(long)]
    dev: bool,
}

/// Fetches, builds, proves and times.
///
/// # Errors
/// When something cannot be had or run, or a token is another than the reference's where that was sure of it.
pub(super) fn run(options: &Options, seconds: f64) -> Result<Vec<Value>> {
    let machine = machine();
    let file = model_file::smollm2()?;
    stage("text-bench", || {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(root())
            .args(["build", "--workspace", "--bins"]);
        if !options.dev {
            cargo.arg("--release");
        }
        loud(&mut cargo, "the errors above say what to change")
    })?;
    let profile = if options.dev { "debug" } else { "release" };
    let mut bench = Command::new(target_dir().join(profile).join("text-bench"));
    bench.arg(&file);
    bench.arg(root().join("tests/fixtures/smollm2.json"));
    bench.arg((seconds * 20.0).to_string());
    let found = lines(&quiet(&mut bench, "nothing was timed")?)?;
    ensure!(found.len() == 3, "text-bench printed {} lines", found.len());
    println!(
        "\ntokens as the reference: {} of {}; of {} clear ones all; packed weights {:.1e} nats off expanded ones",
        found[0]["same"],
        found[0]["of"],
        found[0]["clear"],
        number(&found[0], "divergence")
    );
    println!(
        "{:10} {:>22} {:>22} {:>10}",
        "weights", "prefill 128, tok/s", "decode, tok/s", "median"
    );
    for line in &found[1..] {
        println!(
            "{:10} {:>22.1} {:>22.1} {:>10.1}",
            line["weights"].as_str().unwrap_or_default(),
            number(line, "prefill_tokens_per_second"),
            number(line, "decode_tokens_per_second"),
            number(line, "decode_tokens_per_second_median")
        );
    }
    Ok(vec![
        machine,
        json!({ "where": "native", "profile": profile, "figures": found }),
    ])
}
