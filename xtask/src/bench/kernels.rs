//! `cargo xtask bench kernels`: each product of a packed matrix at the shapes of SmolLM2-135M, beside copying and multiplying alone.

use std::path::PathBuf;
use std::process::Command;

use anstream::println;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::report::{lines, machine, number};
use crate::paths::{root, target_dir, web_target_dir};
use crate::run::{quiet, stage};
use crate::system;
use crate::toolchain::WasmToolchain;

/// What is timed: the limits first, then products of a token and of many, then all of a token.
const WORK: [(&str, &str); 17] = [
    ("copy:67108864:0:0", "limit: copied"),
    ("read:209715200:0:0", "limit: read"),
    ("fma:0:0:0", "limit: f32 multiplied and added"),
    ("round:0:576:1", "activations to 16 bits"),
    ("a4:576:576:1", "4 bits, one token"),
    ("a4:1536:576:1", "4 bits, one token"),
    ("a4:576:1536:1", "4 bits, one token"),
    ("a8:3072:576:1", "8 bits, one token"),
    ("a6:3072:576:1", "6 bits, one token"),
    ("a4:576:576:16", "4 bits, 16 tokens"),
    ("a4:576:576:128", "4 bits, 128 tokens"),
    ("a4:576:1536:128", "4 bits, 128 tokens"),
    ("a6:576:576:128", "6 bits, 128 tokens"),
    ("a8:576:576:128", "8 bits, 128 tokens"),
    ("rowwise:1536:576:1", "peer: row by row, 8-bit activations"),
    ("model:0:0:1", "all products of a token, 135M"),
    ("nearest:100000:512:1", "the five nearest of 100,000"),
];
/// Operations of a token's products in a model of this shape; what the peer's arithmetic would need for them is computed.
const TOKEN: &str = "model:0:0:1";
const PEER: &str = "rowwise:1536:576:1";

/// Builds, proves and times; natively, then as WebAssembly.
///
/// # Errors
/// When something cannot be built or run, or results are not within the published error.
pub(super) fn run(seconds: f64) -> Result<Vec<Value>> {
    let mut figures = vec![machine()];
    for (name, gate, found) in everywhere(seconds, &WORK.map(|(work, _)| work))? {
        let worst = number(&gate, "worst");
        println!("\n{name}; errors at most {worst:.2} of the published bound");
        table(&found);
        figures.push(json!({ "where": name, "gate": gate, "figures": found }));
    }
    Ok(figures)
}

/// The gate alone: results are within the published error wherever kernels run.
///
/// # Errors
/// As [`run`].
pub(super) fn gate() -> Result<()> {
    everywhere(0.0, &[]).map(drop)
}

/// Where kernels ran, what the gate found there, and a line for each work.
fn everywhere(seconds: f64, works: &[&str]) -> Result<Vec<(&'static str, Value, Vec<Value>)>> {
    let native = stage("kernels, native", native)?;
    let module = stage("kernels, WebAssembly", module)?;
    let script = root().join("tests/benches/kernels.mjs");
    let web = |chromium: Option<PathBuf>| {
        let mut node = Command::new("node");
        node.arg(&script).arg(&module);
        // Nothing, or the browser that the script shall use instead of Node.
        node.env("NAMELENS_CHROMIUM", chromium.unwrap_or_default());
        node
    };
    let mut places = vec![
        ("native, one thread", Command::new(native)),
        ("WebAssembly in Node, one thread", web(None)),
    ];
    if let Some(chromium) = system::chromium() {
        let node = web(Some(chromium));
        places.push(("WebAssembly in Chromium, one thread", node));
    }
    let mut all = Vec::new();
    for (name, mut command) in places {
        command.arg(seconds.to_string()).args(works);
        let mut found = lines(&quiet(&mut command, "see its message")?)?;
        ensure!(!found.is_empty(), "{name}: printed nothing");
        let gate = found.remove(0);
        let worst = number(&gate, "worst");
        ensure!(
            worst <= 1.0,
            "{name}: results are {worst} times the published error off; nothing was timed"
        );
        all.push((name, gate, found));
    }
    Ok(all)
}

fn table(figures: &[Value]) {
    println!(
        "{:24} {:38} {:>11} {:>8} {:>9}",
        "work", "", "us", "GB/s", "GFLOP/s"
    );
    let seconds = |work: &str| {
        let line = figures.iter().find(|line| line["work"] == work);
        line.map_or((f64::NAN, f64::NAN), |line| {
            (number(line, "seconds"), number(line, "flops"))
        })
    };
    for (line, (work, what)) in figures.iter().zip(WORK) {
        let time = number(line, "seconds");
        println!(
            "{work:24} {what:38} {:>11.2} {:>8.1} {:>9.1}",
            time * 1e6,
            number(line, "bytes") / time / 1e9,
            number(line, "flops") / time / 1e9
        );
    }
    let ((token, operations), (peer, peers)) = (seconds(TOKEN), seconds(PEER));
    let peer = peer * operations / peers;
    println!(
        "a token's products: {:.1} ms, {:.0} a second; by the peer's arithmetic {:.1} ms (computed): {:.2} times",
        token * 1e3,
        1.0 / token,
        peer * 1e3,
        peer / token
    );
}

fn native() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(build());
    cargo.args(["--release", "--example", "bench_native"]);
    quiet(&mut cargo, "the errors above say what to change")?;
    Ok(target_dir().join("release/examples/bench_native"))
}

fn module() -> Result<PathBuf> {
    let mut cargo = WasmToolchain::find()?.cargo("build", &build()[1..]);
    cargo.current_dir(root()).args(["--example", "bench_wasm"]);
    quiet(&mut cargo, "the errors above say what to change")?;
    Ok(web_target_dir().join("wasm32-unknown-unknown/web/examples/bench_wasm.wasm"))
}

fn build() -> [&'static str; 3] {
    ["build", "-p", "namelens-cpu-kernels"]
}
