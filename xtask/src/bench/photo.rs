//! `cargo xtask bench photo`: a photo before a model of SmolVLM's shape in Chromium, and its tower beside ONNX Runtime's.
//!
//! The weights are random, so nothing is said about words: only what it takes to see a tile, to read the prompt and to write.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::browser::{Built, chromium, peers, script, scripts};
use super::report::{Spread, machine, number};
use crate::paths::{root, target_dir};
use crate::run::{quiet, step};
use crate::serve::Serving;
use crate::stamp;

/// What the scripts that make weights are made of; other weights when one changes.
const MADE_BY: [&str; 6] = [
    "smolvlm.mjs",
    "tower.mjs",
    "vision_shape.mjs",
    "shape.mjs",
    "proto.mjs",
    "random.mjs",
];
/// Tokens of a photo of one tile: its patches, sixteen to one.
const VISUAL: f64 = 64.0;

/// Options of `cargo xtask bench photo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    built: Built,
    /// How often each has its turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Tokens of the caption
    #[arg(long, default_value_t = 60)]
    tokens: usize,
    /// How our matrices are held
    #[arg(long, default_value = "q8_0", value_parser = ["stored", "q8_0"])]
    precision: String,
    /// Whose shape the model has: SmolVLM-256M or 500M
    #[arg(long, default_value = "256m", value_parser = ["256m", "500m"])]
    shape: String,
    /// Threads of both; several numbers have turns of their own
    #[arg(long, value_delimiter = ',', default_value = "1")]
    threads: Vec<usize>,
}

/// Measures and prints the table.
///
/// # Errors
/// When something cannot be had or run, or a caption has another length than was asked for.
pub(super) fn run(options: &Options) -> Result<Vec<Value>> {
    let package = options.built.package()?;
    let peers = peers()?;
    let (model, tower) = weights(&options.shape)?;
    let mut figures = vec![machine()];
    let mounts: [(&str, &Path); 4] = [
        ("/package", &package),
        ("/peers", &peers),
        ("/model", &model),
        ("/onnx", &tower),
    ];
    let serving = Serving::start_with(&scripts(), &mounts, 0)?;
    let settings = json!({
        "rounds": options.rounds,
        "files": names(&model)?,
        "shape": options.shape,
        "precision": options.precision,
        "tokens": options.tokens,
        "threads": options.threads,
    });
    let lines = script(
        "photo_run.mjs",
        [
            OsString::from(serving.address()),
            chromium()?.into(),
            settings.to_string().into(),
        ],
    )?;
    let tables = options.threads.iter();
    let tables = tables.map(|threads| table(options, *threads, &lines));
    let tables = tables.collect::<Result<Vec<Value>>>()?;
    figures.push(json!({ "settings": settings, "figures": tables }));
    figures.push(json!({ "runs": lines }));
    Ok(figures)
}

/// Random weights: the folder of a model, and the folder of the tower for the peer.
fn weights(shape: &str) -> Result<(PathBuf, PathBuf)> {
    let home = target_dir().join("bench-photo").join(shape);
    let (model, tower) = (home.join("model"), home.join("tower"));
    let mut made_by = Vec::new();
    for name in MADE_BY {
        made_by.extend(fs::read(scripts().join(name))?);
    }
    let stamp = home.join("made-by");
    fs::create_dir_all(&tower)?;
    stamp::once(&stamp, &made_by, || {
        step("random weights of SmolVLM's shape", || {
            let mut make = Command::new("node");
            make.arg(scripts().join("smolvlm.mjs"));
            make.arg(root().join("tests/fixtures/checkpoints/smolvlm"));
            quiet(make.arg(&model).arg(shape), "see its message")?;
            let mut make = Command::new("node");
            make.arg(scripts().join("tower.mjs"));
            quiet(make.arg(tower.join("tower.onnx")), "see its message").map(drop)
        })
    })?;
    Ok((model, tower))
}

/// The files of a folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}

fn table(options: &Options, threads: usize, lines: &[Value]) -> Result<Value> {
    let of = |engine: &str| -> Vec<&Value> {
        let own = lines
            .iter()
            .filter(|line| line["engine"] == engine && line["threads"] == threads);
        own.collect()
    };
    let ours = of("namelens");
    for line in &ours {
        ensure!(
            number(&line["tokens"], "generated") == options.tokens as f64
                && number(&line["tokens"], "prompt") > VISUAL,
            "another caption than was asked for: {line}"
        );
    }
    let of_ours =
        |value: &dyn Fn(&Value) -> f64| Spread::of(ours.iter().map(|line| value(line)).collect());
    let timing = |key: &'static str| move |line: &Value| number(&line["timings"], key);
    let peer: Vec<f64> = of("tower")
        .into_iter()
        .map(|line| number(line, "vision"))
        .collect();
    let ratio = ours.iter().zip(&peer);
    let ratio = Spread::of(
        ratio
            .map(|(line, peer)| peer / timing("visionMs")(line))
            .collect(),
    );
    let rows = [
        (
            "a caption, all in all",
            of_ours(&|line| number(line, "total")),
        ),
        (
            "to its first token",
            of_ours(&|line| number(line, "firstMs")),
        ),
        ("the tower, one tile", of_ours(&timing("visionMs"))),
        ("the prompt", of_ours(&timing("prefillMs"))),
        ("the tokens", of_ours(&timing("generateMs"))),
        (
            "a second question's first token",
            of_ours(&|line| number(line, "questionMs")),
        ),
        ("ONNX Runtime, the tower in f32", Spread::of(peer.clone())),
    ];
    println!("\nthreads: {threads}");
    for (name, spread) in rows {
        println!("{name:34} {:>22} ms", spread.shown(0));
    }
    println!("{:34} {:>22}", "its tower's time over ours", ratio.shown(2));
    let rows = rows.map(|(name, spread)| json!({ "what": name, "ms": spread.json() }));
    Ok(json!({ "threads": threads, "rows": rows, "tower_ratio": ratio.json() }))
}
