//! `cargo xtask bench launches`: what a token on WebGPU costs the page's worker, whatever the GPU takes for it.
//!
//! Chromium's adapter in software says nothing about a GPU's speed, but to hand work to it takes as long as to a real one. With a small model
//! the worker takes longer than a real GPU then, so this bounds its tokens. While the adapter works it takes the processor's cores, so what
//! is handed over before the last submit of a token is timed too high.

use std::ffi::OsString;

use anstream::println;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::browser::{Built, chromium, script, scripts};
use super::model_file;
use super::report::{machine, number};
use crate::serve::Serving;

/// Options of `cargo xtask bench launches`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    built: Built,
    /// Tokens that are written, each some seconds in software
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(8..))]
    tokens: u32,
}

/// Measures and prints the table.
///
/// # Errors
/// When something cannot be had or run, or no token was timed.
pub(super) fn run(options: &Options) -> Result<Vec<Value>> {
    let package = options.built.package()?;
    let file = model_file::smollm2()?;
    let models = file.parent().context("a folder")?;
    let mounts = [("/package", package.as_path()), ("/model", models)];
    let serving = Serving::start_with(&scripts(), &mounts, 0)?;
    let found = script(
        "launches.mjs",
        [
            OsString::from(serving.address()),
            chromium()?.into(),
            options.tokens.to_string().into(),
        ],
    )?;
    let line = found.first().context("the script told nothing")?;
    let at = |key: &str| number(line, key);
    ensure!(at("host") > 0.0, "no token was timed");
    println!(
        "\n{:16} {:>8} {:>12} {:>12} {:>8} {:>14}",
        "a token", "host, ms", "dispatches", "bind groups", "submits", "recording, ms"
    );
    println!(
        "{:16} {:>8.2} {:>12} {:>12} {:>8} {:>14.1}",
        "SmolLM2-135M",
        at("host"),
        at("dispatches"),
        at("bindGroups"),
        at("submits"),
        at("recording")
    );
    Ok(vec![machine(), json!({ "launches": line })])
}
