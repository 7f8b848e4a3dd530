//! `cargo xtask bench web`: SmolLM2's own 4-bit file in Chromium, ours beside wllama, and ONNX Runtime on the same shape.
//!
//! Engines take turns, each time in a new browser with one warm-up. Our answers must be the reference's before a time counts; how
//! much of wllama's agrees is told. ONNX Runtime reads no GGUF file: its decoder has the same shape and random weights.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::browser::{Built, chromium, peers, script, scripts};
use super::opcodes::{self, Counts};
use super::report::{Spread, machine, number};
use super::{cores, model_file};
use crate::paths::{root, target_dir, wasm_out_dir};
use crate::run::{quiet, step};
use crate::serve::Serving;
use crate::stamp;

/// What the reference's choice of the next token must lead by, in logits, for another choice to be a fault; as in `text-bench`.
const CLEAR: f64 = 0.02;
/// Largest divergence of our next tokens from the reference's, nats, mean over an answer: the same weights in 4 bits on both sides, sums
/// in another order and activations of 16 bits. Activations of 8 bits would be some hundred times as far.
const DIVERGENCE: f64 = 1e-5;
/// The share of tokens that are told one by one as they are written; a letter may be of several.
const TOLD: f64 = 0.9;
const OURS: &str = "namelens";

/// The name of an engine without its threads.
fn name_of(engine: &str) -> &str {
    engine.split(':').next().unwrap_or_default()
}

/// Options of `cargo xtask bench web`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    built: Built,
    /// How often each engine has its turn
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// What takes turns, perhaps with a number of threads of its own (`namelens:1,namelens:2`). `ort-q4i8` is `ort-q4` with
    /// activations of 8 bits where the runtime can
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "namelens,wllama,ort-q4,ort-q4i8,ort-q8"
    )]
    engines: Vec<String>,
    /// Threads of those that have no number of their own
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How often an engine is asked before anything counts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=8))]
    warm_ups: u64,
    /// Tokens of each prompt
    #[arg(long, value_delimiter = ',', default_value = "128,512")]
    prompts: Vec<usize>,
    /// Tokens that are written after it
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// How many of the reference's 20 answers the gate looks at
    #[arg(long, default_value_t = 5)]
    gate: usize,
}

/// Measures and prints the table.
///
/// # Errors
/// When something cannot be had or run, or an answer of ours is another than the reference's where that was sure of it.
pub(super) fn run(options: &Options) -> Result<Vec<Value>> {
    let package = options.built.package()?;
    let peers = peers()?;
    let file = model_file::smollm2()?;
    let decoders = decoders(&options.engines)?;
    let mut figures = vec![machine()];
    let models = file.parent().context("a folder")?;
    let serving = Serving::start_with(
        &scripts(),
        &[
            ("/package", &package),
            ("/peers", &peers),
            ("/model", models),
            ("/onnx", &decoders),
        ],
        0,
    )?;
    let settings = json!({
        "rounds": options.rounds,
        "engines": options.engines,
        "threads": options.threads,
        "warmUps": options.warm_ups,
        "prompts": options.prompts,
        "tokens": options.tokens,
        "file": file,
        "golden": root().join("tests/fixtures/smollm2.json"),
        "gate": options.gate,
    });
    let chromium = chromium()?;
    let lines = script(
        "run.mjs",
        [
            OsString::from(serving.address()),
            chromium.into(),
            settings.to_string().into(),
        ],
    )?;
    gate(&lines, options.tokens)?;
    let mut rows = table(options, &lines);
    let engines = &options.engines;
    if let Some(ours) = engines.iter().find(|engine| name_of(engine) == OURS) {
        rows.extend(cores::table(ours, engines, &lines));
    }
    let binaries = binaries(&peers)?;
    figures.push(json!({ "settings": settings, "figures": rows, "binaries": binaries }));
    figures.push(json!({ "runs": lines }));
    Ok(figures)
}

/// Random weights of the shape, made anew when the script that makes them changes.
fn decoders(engines: &[String]) -> Result<PathBuf> {
    let folder = target_dir().join("bench-web/onnx");
    fs::create_dir_all(&folder)?;
    let mut made_by = Vec::new();
    for name in ["onnx.mjs", "proto.mjs", "random.mjs", "shape.mjs"] {
        made_by.extend(fs::read(scripts().join(name))?);
    }
    for engine in engines.iter().map(|engine| name_of(engine)) {
        if !engine.starts_with("ort-") {
            continue;
        }
        let stamp = folder.join(format!("{engine}.made-by"));
        stamp::once(&stamp, &made_by, || {
            step(&format!("random weights of {engine}"), || {
                let mut node = Command::new("node");
                node.arg(scripts().join("onnx.mjs")).arg(engine);
                node.arg(folder.join(format!("{engine}.onnx")));
                quiet(&mut node, "is it one of --engines?").map(drop)
            })
        })?;
    }
    Ok(folder)
}

/// Whether the script that judges answers feels wrong ones.
///
/// # Errors
/// When it does not.
pub(super) fn judge() -> Result<()> {
    let mut node = Command::new("node");
    node.arg("--test").arg(scripts().join("judge.test.mjs"));
    quiet(&mut node, "its output above says what it took for right").map(drop)
}

/// Our answers are the reference's wherever that was sure; every engine read as much as it was told to, and wrote `tokens`.
fn gate(lines: &[Value], tokens: usize) -> Result<()> {
    for line in lines {
        let engine = line["engine"].as_str().unwrap_or_default();
        let answers = line["answers"].as_array().context("answers")?;
        let of = |key: &str| {
            answers
                .iter()
                .map(|answer| number(answer, key))
                .sum::<f64>()
        };
        if !answers.is_empty() {
            let divergence = of("kl") / answers.len() as f64;
            println!(
                "{engine}: {} of {} greedy tokens as the reference's{}",
                of("same"),
                of("of"),
                if divergence.is_nan() {
                    String::new()
                } else {
                    format!("; next tokens {divergence:.1e} nats from its own")
                }
            );
        }
        for answer in answers.iter().filter(|_| name_of(engine) == OURS) {
            // What has no gap is NaN, which is no excuse.
            let right = answer["equal"] == true || number(answer, "gap") < CLEAR;
            ensure!(
                answer["prompt"] == true && right,
                "an answer of ours is not the reference's; nothing counts: {answer}"
            );
            // Not a number where nothing is told, which is no excuse either.
            ensure!(
                number(answer, "kl") <= DIVERGENCE,
                "ours is not as sure of its tokens as the reference is; nothing counts: {answer}"
            );
        }
        ensure!(
            name_of(engine) != OURS || line["round"] != 0 || !answers.is_empty(),
            "our answers were not looked at"
        );
        for run in line["runs"].as_array().context("runs")? {
            // An answer that ends early is written at another speed than a whole one, and a single token at none.
            ensure!(
                run["written"] == tokens,
                "{engine} did not write {tokens} tokens; give fewer with --tokens: {run}"
            );
            // What is told late, several tokens at once, would be taken for speed.
            let told = number(run, "heard") >= TOLD * number(run, "written");
            ensure!(
                run["read"] == run["prompt"] && told,
                "{engine} read something else, or told of its tokens late: {run}"
            );
        }
    }
    Ok(())
}

/// One row for each engine and prompt, and how many times as fast the first of ours is: medians of ratios within a round.
fn table(options: &Options, lines: &[Value]) -> Vec<Value> {
    println!(
        "\n{:10} {:>7} {:>7} {:>26} {:>24} {:>24} {:>14}",
        "engine",
        "threads",
        "prompt",
        "prefill, tok/s",
        "first token, ms",
        "decode, tok/s",
        "ours / it"
    );
    let mut rows = Vec::new();
    let mut engines = options.engines.iter();
    let ours = engines.find(|engine| name_of(engine) == OURS);
    for (at, prompt) in options.prompts.iter().enumerate() {
        let values = |engine: &str, key: &str| -> Vec<f64> {
            let own = lines.iter().filter(|line| line["engine"] == engine);
            own.map(|line| number(&line["runs"][at], key)).collect()
        };
        for engine in &options.engines {
            let [prefill, first, decode] =
                ["prefill", "firstMs", "decode"].map(|key| Spread::of(values(engine, key)));
            let [read, written] = ["prefill", "decode"].map(|key| {
                let pairs = values(ours.map_or(OURS, String::as_str), key)
                    .into_iter()
                    .zip(values(engine, key));
                Spread::of(pairs.map(|(ours, theirs)| ours / theirs).collect())
            });
            let threads = lines.iter().find(|line| line["engine"] == *engine);
            let threads = threads.map_or(Value::Null, |line| line["threads"].clone());
            println!(
                "{engine:10} {threads:>7} {prompt:>7} {:>26} {:>24} {:>24} {:>6.2} {:>6.2}",
                prefill.shown(1),
                first.shown(0),
                decode.shown(1),
                read.median,
                written.median
            );
            rows.push(json!({
                "engine": engine,
                "threads": threads,
                "prompt": prompt,
                "prefill_tokens_per_second": prefill.json(),
                "first_token_ms": first.json(),
                "decode_tokens_per_second": decode.json(),
                "ours_over_it": { "prefill": read.json(), "decode": written.json() },
            }));
        }
    }
    rows
}

/// What each binary is made of, for the claim that a peer lacks what the processor could do.
fn binaries(peers: &Path) -> Result<Vec<Value>> {
    println!(
        "\n{:34} {:>8} {:>13} {:>10} {:>16} {:>8}",
        "binary", "MB", "instructions", "SIMD", "dot_i16x8_s", "relaxed"
    );
    let mut rows = Vec::new();
    for (name, path) in [
        ("namelens_cpu", wasm_out_dir().join("namelens_cpu_bg.wasm")),
        ("wllama", peers.join("@wllama/wllama/esm/wasm/wllama.wasm")),
        (
            "onnxruntime-web",
            peers.join("onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"),
        ),
    ] {
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let Counts {
            all,
            simd,
            dot,
            relaxed,
        } = opcodes::count(&bytes).with_context(|| format!("counting in {}", path.display()))?;
        let version = version(&path);
        println!(
            "{:34} {:>8.2} {all:>13} {simd:>10} {dot:>16} {relaxed:>8}",
            format!("{name} {version}"),
            bytes.len() as f64 / 1e6
        );
        rows.push(json!({ "binary": name, "version": version, "bytes": bytes.len(), "instructions": all, "simd": simd, "dot_i16x8_s": dot, "relaxed": relaxed }));
    }
    Ok(rows)
}

/// The version in the `package.json` nearest above a file; empty where there is none.
fn version(path: &Path) -> String {
    let package = path.ancestors().skip(1).find_map(|dir| {
        let text = fs::read_to_string(dir.join("package.json")).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    });
    package
        .and_then(|package| package["version"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn line(answer: Value, read: u64) -> Value {
        json!({
            "engine": "namelens", "round": 0, "answers": [answer],
            "runs": [{ "prompt": 128, "read": read, "written": 64, "heard": 63 }],
        })
    }

    #[test]
    fn another_answer_passes_only_where_the_reference_was_unsure() {
        let same =
            json!({ "equal": true, "prompt": true, "same": 8, "of": 8, "gap": null, "kl": 1e-7 });
        gate(&[line(same.clone(), 128)], 64).unwrap();
        let other = |gap: Value| json!({ "equal": false, "prompt": true, "same": 7, "of": 8, "gap": gap, "kl": 1e-7 });
        gate(&[line(other(json!(0.01)), 128)], 64).unwrap();
        for gap in [json!(0.3), Value::Null] {
            assert!(gate(&[line(other(gap), 128)], 64).is_err());
        }
        let prompt =
            json!({ "equal": true, "prompt": false, "same": 8, "of": 8, "gap": null, "kl": 1e-7 });
        assert!(gate(&[line(prompt, 128)], 64).is_err());
        for kl in [json!(0.01), Value::Null] {
            let unsure =
                json!({ "equal": true, "prompt": true, "same": 8, "of": 8, "gap": null, "kl": kl });
            assert!(gate(&[line(unsure, 128)], 64).is_err());
        }
        let none = json!({ "engine": "namelens", "round": 0, "answers": [], "runs": [] });
        assert!(gate(&[none], 64).is_err());
    }

    #[test]
    fn what_read_or_wrote_another_number_of_tokens_does_not_count() {
        let answer =
            json!({ "equal": true, "prompt": true, "same": 8, "of": 8, "gap": null, "kl": 1e-7 });
        assert!(gate(&[line(answer.clone(), 127)], 64).is_err());
        let said = |tokens| {
            gate(&[line(answer.clone(), 128)], tokens)
                .unwrap_err()
                .to_string()
        };
        assert!(said(65).contains("did not write 65 tokens"));
        assert!(said(63).contains("did not write 63 tokens"));
        let mut untold = line(answer.clone(), 128);
        untold["runs"][0]["written"] = Value::Null;
        assert!(gate(&[untold], 64).is_err());
    }
}
