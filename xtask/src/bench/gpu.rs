//! `cargo xtask bench gpu`: a model of SmolVLM-256M's shape on each device, held to PyTorch's numbers on the same weights, then timed.
//!
//! Wall time, with the wait for the device in it: what a caller sees. Each process warms up first, and compiles its kernels then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::report::{Spread, machine};
use crate::paths::{program, root, target_dir};
use crate::run::{loud, quiet, step};
use crate::stamp;

/// The script that makes the model, and the peer.
const PEER: &str = "tests/benches/gpu_torch.py";

/// Options of `cargo xtask bench gpu`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Our devices; `cuda` needs a --binary that was built with it
    #[arg(long, value_delimiter = ',', default_value = "wgpu")]
    devices: Vec<String>,
    /// PyTorch's devices and precisions: the first is what answers are compared with
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "cuda:f32,cuda:tf32,cuda:bf16"
    )]
    peers: Vec<String>,
    /// A Python with torch and transformers
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// A built `gpu-bench`; built with --release where it is not given
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// What is timed, by the key of its seconds.
const TIMED: [(&str, &str); 5] = [
    ("prefill_seconds", "prompt of 128"),
    ("token_seconds", "a token"),
    ("tower_1_seconds", "tower, one tile"),
    ("tower_17_seconds", "tower, 17 tiles"),
    ("nearest_seconds", "5 of 100,000 x 512"),
];
/// What is compared, by key.
const COMPARED: [&str; 3] = ["logits", "tower_1", "tower_17"];
/// How far it may be off as a share of its norm, through thirty layers, where both multiply in f32: 2.6e-6 on a GPU by Vulkan.
const APART: f64 = 1e-4;
/// The same where one of them has fewer bits: ours on CUDA rounds factors to ten (TF32), 1.6e-3, and a peer as it was asked to.
const APART_ROUNDED: f64 = 2e-2;
/// How a peer is called that has f32 throughout.
const EXACT: &str = ":f32";

/// Makes the model, holds every device to the first peer, and prints the times.
///
/// # Errors
/// When something cannot be built or run, or an answer is too far from the peer's.
pub(super) fn run(options: &Options, seconds: f64) -> Result<Vec<Value>> {
    let mut figures = vec![machine()];
    let binary = match &options.binary {
        Some(binary) => program(binary)?,
        None => {
            ensure!(
                !options.devices.iter().any(|device| device == "cuda"),
                "cuda needs --binary: cargo build --release -p namelens-tests --bin gpu-bench --features cuda --config \
                 'patch.crates-io.cubecl-llvm.path=\"xtask/cuda/cubecl-llvm\"'"
            );
            built()?
        }
    };
    let python = program(&options.python)?;
    let folder = model(&python)?;
    let mut all = Vec::new();
    for named in &options.peers {
        let (device, kind) = named.split_once(':').context("a peer is DEVICE:DTYPE")?;
        all.push(step(&format!("PyTorch on {named}"), || {
            let seconds = seconds.to_string();
            let args = ["time".as_ref(), &*folder, device.as_ref(), kind.as_ref()];
            let said = peer(&python, &[&args[..], &[seconds.as_ref()]].concat())?;
            told(&said)
        })?);
    }
    for device in &options.devices {
        let found = step(&format!("namelens on {device}"), || {
            let mut ours = Command::new(&binary);
            ours.arg(&folder).arg(device).arg(seconds.to_string());
            told(&quiet(&mut ours, "does this machine have the device?")?)
        })?;
        if let (Some(first), Some(named)) = (all.first(), options.peers.first()) {
            compare(&found, first, device, bar(device, named))?;
        }
        all.push(found);
    }
    table(&all);
    figures.extend(all);
    Ok(figures)
}

/// The folder of the model, made anew when the script that makes it changes.
fn model(python: &Path) -> Result<PathBuf> {
    let folder = target_dir().join("bench-gpu");
    fs::create_dir_all(&folder)?;
    let made_by = fs::read(root().join(PEER)).context(PEER)?;
    stamp::once(&folder.join("made-by"), &made_by, || {
        step("a model of SmolVLM-256M's shape", || {
            let fixture = root().join("tests/fixtures/checkpoints/idefics3");
            peer(python, &[Path::new("make"), &fixture, &folder]).map(drop)
        })
    })?;
    Ok(folder)
}

/// How far `device` may be off from the peer of this name.
fn bar(device: &str, peer: &str) -> f64 {
    match device != "cuda" && peer.ends_with(EXACT) {
        true => APART,
        false => APART_ROUNDED,
    }
}

fn built() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args([
        "build",
        "--release",
        "-p",
        "namelens-tests",
        "--bin",
        "gpu-bench",
    ]);
    loud(&mut cargo, "the errors above say what to change")?;
    Ok(target_dir().join("release/gpu-bench"))
}

fn peer(python: &Path, args: &[&Path]) -> Result<String> {
    let mut command = Command::new(python);
    command.current_dir(root()).args(["-B", PEER]).args(args);
    quiet(&mut command, "--python must have torch and transformers")
}

/// The last line, which is the figures.
fn told(printed: &str) -> Result<Value> {
    let last = printed.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("not a line of figures: {last}"))
}

/// The distance of `ours` from `theirs`, as a share of the second's norm.
fn apart(ours: &Value, theirs: &Value) -> f64 {
    let numbers = |value: &Value| -> Vec<f64> {
        let all = value.as_array().map_or(&[][..], Vec::as_slice);
        all.iter().filter_map(Value::as_f64).collect()
    };
    let (ours, theirs) = (numbers(ours), numbers(theirs));
    if ours.len() != theirs.len() {
        return f64::NAN;
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut ours.iter().zip(&theirs).map(|(a, b)| a - b)) / norm(&mut theirs.iter().copied())
}

fn compare(ours: &Value, theirs: &Value, device: &str, bar: f64) -> Result<()> {
    for key in COMPARED {
        let apart = apart(&ours[key], &theirs[key]);
        println!("{device}: {key} {apart:.1e} from PyTorch's");
        ensure!(
            apart <= bar,
            "{device}: {key} is {apart:.1e} off, not {bar:.0e} at most; nothing counts"
        );
    }
    let tokens = |value: &Value| value["greedy"].as_array().cloned().unwrap_or_default();
    let (ours, theirs) = (tokens(ours), tokens(theirs));
    let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    println!(
        "{device}: the first {same} of {} tokens are PyTorch's",
        theirs.len()
    );
    // Rounded factors may turn a near tie; a decoder that is wrong turns the first.
    ensure!(same > 0, "{device}: the first token is another");
    Ok(())
}

fn table(all: &[Value]) {
    println!(
        "\n{:28} {}",
        "milliseconds, median",
        TIMED.map(|(_, name)| format!("{name:>19}")).join("")
    );
    for line in all {
        let cells = TIMED.map(|(key, _)| {
            let values = line[key].as_array().map_or(&[][..], Vec::as_slice);
            let spread = Spread::of(values.iter().filter_map(Value::as_f64).collect());
            format!("{:19.3}", spread.median * 1e3)
        });
        let name = line["device"].as_str().unwrap_or("?");
        println!("{name:28} {}", cells.join(""));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn distances_are_shares_of_the_norm_and_other_counts_are_none() {
        assert!((apart(&json!([3.0, 4.5]), &json!([3.0, 4.0])) - 0.1).abs() < 1e-12);
        assert!(apart(&json!([1.0]), &json!([1.0, 2.0])).is_nan());
        assert!(compare(&json!({}), &json!({}), "x", 1.0).is_err());
    }

    #[test]
    fn what_multiplies_in_f32_is_held_to_more_than_what_rounds() {
        let line = |logit: f64| {
            let values = json!([3.0, logit]);
            json!({ "logits": values, "tower_1": values, "tower_17": values, "greedy": [7] })
        };
        let off = |device: &str, peer: &str| {
            compare(&line(4.005), &line(4.0), device, bar(device, peer)).is_err()
        };
        assert!(off("wgpu", "cuda:f32") && off("cpu", "cpu:f32"));
        assert!(!off("cuda", "cuda:f32"));
        assert!(!off("wgpu", "cuda:tf32") && !off("wgpu", "cuda:bf16"));
        compare(&line(4.000_01), &line(4.0), "wgpu", bar("wgpu", "cuda:f32")).unwrap();
        assert!(compare(&line(4.2), &line(4.0), "cuda", bar("cuda", "cuda:f32")).is_err());
    }
}
