//! What a model folder takes on one device: tower, prompt, tokens, and the nearest of many rows; a line of JSON with what came out.
//!
//! `gpu-bench FOLDER DEVICE SECONDS`; `cargo xtask bench gpu` calls it beside PyTorch, which reads the same folder and is fed the same.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use namelens::device::DeviceChoice;
use namelens::export::open_bundle;
use namelens_engine::generate::{Session, generate_greedy};
use namelens_engine::host::Still;
use namelens_engine::ops;
use namelens_engine::personalize::CaptionerParts;
use namelens_tests::uniform;
use serde_json::{Value, json};

/// Tokens of the prompt, and after it.
const PROMPT: usize = 128;
const TOKENS: usize = 64;
/// Tiles that the tower sees at once: one, and a large photo's.
const TILES: [usize; 2] = [1, 17];
/// Rows and their width, and how many of them are wanted.
const INDEX: [usize; 2] = [100_000, 512];
const NEAREST: usize = 5;
/// Numbers of each result that are shown, for the peer to be compared with.
const SHOWN: usize = 64;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, device, seconds] = &args[..] else {
        bail!("gpu-bench FOLDER DEVICE SECONDS");
    };
    let device = DeviceChoice::from_str(device, true)
        .map_err(|problem| anyhow!("{device}: {problem}"))?
        .open()?;
    let seconds = seconds.parse()?;
    let mut files = open_bundle(Path::new(folder))?;
    let parts = pollster::block_on(CaptionerParts::open(&mut files, &device, &Still))?;
    let mut told = json!({ "device": format!("{device:?}"), "tokens": TOKENS, "prompt": PROMPT });
    text(&parts, seconds, &mut told)?;
    for tiles in TILES {
        tower(&parts, tiles, &device, seconds, &mut told)?;
    }
    // A software GPU has no buffer that large, and the rest is worth telling.
    if let Err(problem) = nearest(&device, seconds, &mut told) {
        told["nearest_problem"] = json!(format!("{problem:#}"));
    }
    println!("{told}");
    Ok(())
}

/// Seconds of `work`, over and over after a first time that is left out, and what it gave last.
fn timed<T>(seconds: f64, mut work: impl FnMut() -> Result<T>) -> Result<(Vec<f64>, T)> {
    let mut last = work()?;
    let (start, mut taken) = (Instant::now(), Vec::new());
    while start.elapsed().as_secs_f64() < seconds || taken.len() < 3 {
        let before = Instant::now();
        last = work()?;
        taken.push(before.elapsed().as_secs_f64());
    }
    Ok((taken, last))
}

/// The prompt's logits, the greedy tokens after it, and what both take.
fn text(parts: &CaptionerParts, seconds: f64, told: &mut Value) -> Result<()> {
    let prompt: Vec<u32> = (0..PROMPT as u32).map(|at| 3 + at % 97).collect();
    let fresh = || Session::new(&parts.vlm, 1024, parts.config.image_token_id);
    let read = |session: &mut Session<'_>| -> Result<Vec<f32>> {
        Ok(pollster::block_on(session.prefill(
            &prompt,
            None,
            &Still,
            &mut |_, _| (),
        ))?)
    };
    let (taken, logits) = timed(seconds, || read(&mut fresh()))?;
    told["prefill_seconds"] = json!(taken);
    told["logits"] = json!(logits[..SHOWN]);
    let mut steps = Vec::new();
    let (_, answer) = timed(seconds, || {
        let mut session = fresh();
        let logits = read(&mut session)?;
        let before = Instant::now();
        let chat = &parts.chat;
        let said = pollster::block_on(generate_greedy(&mut session, logits, TOKENS, chat, &Still))?;
        // The first token comes with the prompt, and after the last nothing is read.
        let read = said.tokens.len().saturating_sub(1).max(1);
        steps.push(before.elapsed().as_secs_f64() / read as f64);
        Ok(said)
    })?;
    // The first time is a warm-up here too.
    told["token_seconds"] = json!(steps[1..]);
    told["greedy"] = json!(answer.tokens);
    Ok(())
}

/// Visual tokens of so many tiles, without the wait for them to be copied: the device is waited for by a sum.
fn tower(
    parts: &CaptionerParts,
    tiles: usize,
    device: &Device,
    seconds: f64,
    told: &mut Value,
) -> Result<()> {
    let side = parts.config.vision_config.image_size;
    let count = tiles * 3 * side * side;
    let values: Vec<f32> = (0..count)
        .map(|at| (at * 7919 % 255) as f32 / 127.5 - 1.0)
        .collect();
    let pixels = Tensor::<4>::from_data(TensorData::new(values, [tiles, 3, side, side]), device);
    let seen = || -> Result<Tensor<2>> { Ok(parts.vlm.encode_images(pixels.clone())?.tokens) };
    let (taken, _) = timed(seconds, || {
        Ok(seen()?.sum().into_data().iter::<f32>().next())
    })?;
    told[format!("tower_{tiles}_seconds")] = json!(taken);
    let tokens: Vec<f32> = seen()?.into_data().iter::<f32>().take(SHOWN).collect();
    told[format!("tower_{tiles}")] = json!(tokens);
    Ok(())
}

/// The rows of an index that are most like a query.
fn nearest(device: &Device, seconds: f64, told: &mut Value) -> Result<()> {
    let index = Tensor::<2>::from_data(uniform(INDEX, 1), device);
    let query = Tensor::<2>::from_data(uniform([1, INDEX[1]], 2), device);
    let (taken, ids) = timed(seconds, || {
        let (_, ids) = ops::cosine_top_k(query.clone(), index.clone(), NEAREST);
        let ids = ids
            .try_into_data()
            .map_err(|problem| anyhow!("{problem}"))?;
        Ok(ids.iter::<i64>().collect::<Vec<_>>())
    })?;
    told["nearest_seconds"] = json!(taken);
    told["nearest"] = json!(ids);
    Ok(())
}
