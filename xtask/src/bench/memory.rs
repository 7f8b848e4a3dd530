//! `cargo xtask bench memory`: what the WebAssembly module and a GPU hold after captions, and that it is no more after many than after ten.
//!
//! A module's memory only ever grows, so what it is after a caption is the most that was needed until then. Of a GPU the buffers are
//! counted that Chromium is asked for.

use std::ffi::OsString;

use anstream::println;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::browser::{Built, chromium, script, scripts};
use super::report::{machine, number};
use crate::paths::root;
use crate::serve::Serving;

/// Captions after which memory should stand still.
const SETTLED: usize = 10;
/// How much more may be held after many captions, as a share of what was held after ten.
const BAR: f64 = 0.02;

/// Captions of the gate.
const GATE: u32 = 40;

/// Options of `cargo xtask bench memory`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    built: Built,
    /// Captions of each model
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(11..))]
    captions: u32,
    /// Captions on WebGPU, by Chromium's adapter in software: some seconds each, 11 or more; 0 leaves it out
    #[arg(long, default_value_t = 30, value_parser = gpu_captions)]
    gpu_captions: u32,
}

/// None, or more than memory has to settle: of fewer nothing could grow.
fn gpu_captions(given: &str) -> Result<u32, String> {
    match given.parse() {
        Ok(count) if count == 0 || count as usize > SETTLED => Ok(count),
        _ => Err(format!("0, or more than {SETTLED}")),
    }
}

/// Measures and prints the table.
///
/// # Errors
/// When something cannot be run, or memory grows by more than the bar.
pub(super) fn run(options: &Options) -> Result<Vec<Value>> {
    let package = options.built.package()?;
    let mut figures = vec![machine()];
    let found = script(
        "memory.mjs",
        [
            OsString::from(package),
            root().into(),
            SETTLED.to_string().into(),
            options.captions.to_string().into(),
        ],
    )?;
    println!(
        "\n{:10} {:>9} {:>9} {:>9} {:>12} {:>12} {:>8}",
        "model, MB", "instance", "loaded", "a caption", "after ten", "after all", "growth"
    );
    for line in &found {
        let at = |key: &str| number(line, key);
        println!(
            "{:10} {:>9.1} {:>9.1} {:>9.1} {:>12.1} {:>12.1} {:>7.2}%",
            line["model"].as_str().unwrap_or_default(),
            at("instance") / 1e6,
            at("loaded") / 1e6,
            at("first") / 1e6,
            at("settled") / 1e6,
            at("all") / 1e6,
            growth(line) * 100.0
        );
    }
    figures.push(json!({ "captions": options.captions, "figures": found }));
    ensure!(
        holds(&found),
        "memory grew by more than {} %, or was not measured",
        BAR * 100.0
    );
    if options.gpu_captions > 0 {
        figures.push(json!({ "gpu": gpu(options)? }));
    }
    Ok(figures)
}

/// Bytes of buffers on WebGPU.
fn gpu(options: &Options) -> Result<Value> {
    let package = options.built.package()?;
    let album = root().join("web-demo/public/album");
    let mounts = [("/package", package.as_path()), ("/album", &album)];
    let serving = Serving::start_with(&scripts(), &mounts, 0)?;
    let found = script(
        "gpu_memory.mjs",
        [
            OsString::from(serving.address()),
            chromium()?.into(),
            SETTLED.to_string().into(),
            options.gpu_captions.to_string().into(),
        ],
    )?;
    let line = found.first().context("the script told nothing")?;
    println!(
        "\n{:10} {:>9} {:>12} {:>14} {:>12} {:>12} {:>12} {:>8}",
        "GPU, MB",
        "loaded",
        "a caption",
        "the most",
        "after ten",
        "after all",
        "the most",
        "growth"
    );
    let at = |key: &str| number(line, key) / 1e6;
    println!(
        "{:10} {:>9.1} {:>12.1} {:>14.1} {:>12.1} {:>12.1} {:>12.1} {:>7.2}%",
        line["model"].as_str().unwrap_or_default(),
        at("loaded"),
        at("first"),
        at("settledMost"),
        at("settled"),
        at("all"),
        at("most"),
        growth(line) * 100.0
    );
    ensure!(
        growth(line) <= BAR,
        "buffers on the GPU grew by more than {} %, or were not measured",
        BAR * 100.0
    );
    Ok(line.clone())
}

/// That memory stands still, by so few captions that a test can wait for them, of the package as it stands.
///
/// # Errors
/// As [`run`].
pub(super) fn gate() -> Result<()> {
    let built = Built::as_it_stands();
    run(&Options {
        built,
        captions: GATE,
        gpu_captions: 0,
    })
    .map(drop)
}

/// By how much more was held at the end than after ten, as a share.
fn growth(line: &Value) -> f64 {
    number(line, "all") / number(line, "settled") - 1.0
}

/// Whether both models were measured and neither grew by more than the bar.
fn holds(found: &[Value]) -> bool {
    found.len() == 2 && found.iter().all(|line| growth(line) <= BAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_few_captions_that_nothing_could_grow_are_refused() {
        for given in ["0", "11", "30"] {
            assert_eq!(
                gpu_captions(given).map(|count| count.to_string()),
                Ok(given.into())
            );
        }
        for given in ["1", "10", "-1", "many"] {
            assert!(gpu_captions(given).is_err(), "{given}");
        }
    }

    #[test]
    fn what_grows_or_was_not_measured_does_not_hold() {
        let line = |all: u64| json!({ "settled": 1000, "all": all });
        assert!(holds(&[line(1000), line(1019)]));
        assert!(!holds(&[line(1000), line(1021)]));
        assert!(!holds(&[line(1000), json!({ "all": 1000 })]));
        assert!(!holds(&[line(1000)]));
    }
}
