//! A real text-only checkpoint held to the reference's tokens, then timed natively, packed beside expanded: a line of JSON each.
//!
//! `text-bench FILE.gguf smollm2.json SECONDS`; `cargo xtask bench text` builds and calls it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use namelens::export::kullback_leibler;
use namelens_engine::generate::Session;
use namelens_engine::host::Still;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_config::pair;
use namelens_engine::model::gguf_layout::GgufLayout;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::{ImageMarkup, Message, Part, TextSettings, Tokenizer};
use namelens_engine::weights::Weights;
use namelens_tests::gguf::weights;
use serde_json::{Value, json};

/// A gap of logits from which on the order of two tokens is no matter of rounding: 4 bits of weights are the same on both sides,
/// and what is left are sums in f32 in another order and activations of 16 bits.
const CLEAR: f64 = 0.02;
/// Largest divergence of packed from expanded weights, nats, mean over the prompts' last positions.
const DIVERGENCE: f64 = 1e-6;
/// Tokens of the prompt that is timed.
const PROMPT: usize = 128;

struct Model {
    vlm: Vlm,
    image_token: u32,
    limit: usize,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, golden, seconds] = &args[..] else {
        bail!("text-bench FILE.gguf smollm2.json SECONDS");
    };
    let (file, seconds) = (Path::new(file), seconds.parse()?);
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(golden)?)?;
    let packed = model(file, true)?;
    let expanded = model(file, false)?;
    let gate = gate(file, &golden, &packed, &expanded)?;
    println!("{gate}");
    let prompt: Vec<u32> = (0..PROMPT as u32).map(|at| 300 + 37 * at).collect();
    let rounds = [("packed", &packed), ("expanded", &expanded)];
    let mut best = rounds.map(|_| (f64::INFINITY, Vec::new()));
    let start = Instant::now();
    let mut count = 0;
    // One after the other and again: what else the machine does meets both alike.
    while start.elapsed().as_secs_f64() < seconds || count < 3 {
        for ((_, model), (prefill, steps)) in rounds.iter().zip(&mut best) {
            let (read, written) = once(model, &prompt)?;
            *prefill = prefill.min(read);
            steps.extend(written);
        }
        count += 1;
    }
    for ((name, _), (prefill, mut steps)) in rounds.into_iter().zip(best) {
        steps.sort_by(f64::total_cmp);
        println!(
            "{}",
            json!({
                "weights": name,
                "prefill_tokens_per_second": PROMPT as f64 / prefill,
                "decode_tokens_per_second": 1.0 / steps[0],
                "decode_tokens_per_second_median": 1.0 / steps[steps.len() / 2],
                "rounds": count,
            })
        );
    }
    Ok(())
}

/// The tensors of a GGUF file.
fn opened(file: &Path) -> Result<Weights> {
    let folder = file.parent().context("a folder")?;
    let name = file
        .file_name()
        .and_then(|n| n.to_str())
        .context("a name")?;
    Ok(weights(folder, name))
}

fn model(file: &Path, packed: bool) -> Result<Model> {
    let device = Device::flex();
    let weights = opened(file)?;
    let config = VlmConfig::from_gguf(&weights)?;
    let mut source = CheckpointSource::new(weights).with_layout(GgufLayout::of(&config));
    if packed {
        source = source.keep_blocks(&device);
    }
    Ok(Model {
        vlm: Vlm::new(&mut ParamBuilder::new(&mut source, &device), &config)?,
        image_token: config.image_token_id,
        limit: config.text_config.context(),
    })
}

/// Ids of every prompt, greedy tokens wherever the reference's choice was clear, and packed weights against expanded ones.
fn gate(file: &Path, golden: &Value, packed: &Model, expanded: &Model) -> Result<Value> {
    let weights = opened(file)?;
    let (metadata, _) = pair(&weights)?;
    let settings = TextSettings::from_gguf(metadata)?;
    let chat = settings.chat_encoder(
        Tokenizer::from_gguf(metadata)?,
        packed.image_token,
        ImageMarkup::Absent,
    )?;
    let cases = golden["cases"].as_array().context("cases")?;
    let (mut same, mut clear, mut divergence) = (0, 0, 0.0);
    for case in cases {
        let prompt = case["prompt"].as_str().context("a prompt")?;
        let turn = Message {
            role: "user".into(),
            content: vec![Part::Text(prompt.into())],
        };
        let ids = chat.encode(&[turn], &[], true)?;
        ensure!(json!(ids) == case["ids"], "{prompt}: ids {ids:?}");
        let greedy: Vec<u32> = serde_json::from_value(case["greedy"].clone())?;
        let gaps: Vec<f64> = serde_json::from_value(case["gaps"].clone())?;
        let mut session = Session::new(&packed.vlm, packed.limit, packed.image_token);
        let mut logits = pollster::block_on(session.prefill(&ids, None, &Still, &mut |_, _| ()))?;
        let mut other = Session::new(&expanded.vlm, expanded.limit, expanded.image_token);
        let plain = pollster::block_on(other.prefill(&ids, None, &Still, &mut |_, _| ()))?;
        divergence += kullback_leibler(&plain, &logits) / cases.len() as f64;
        // The reference's tokens are read whatever is chosen, so that each choice is compared after the same words.
        for (at, (&want, gap)) in greedy.iter().zip(gaps).enumerate() {
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            same += usize::from(best == Some(want as usize));
            clear += usize::from(gap >= CLEAR);
            ensure!(
                best == Some(want as usize) || gap < CLEAR,
                "{prompt}: token {at} is {best:?}, not {want}, by a gap of {gap}"
            );
            if at + 1 < greedy.len() {
                logits = pollster::block_on(session.step(want, &Still))?;
            }
        }
    }
    ensure!(
        divergence < DIVERGENCE,
        "packed weights are {divergence:e} nats off"
    );
    let total: usize = cases
        .iter()
        .map(|c| c["greedy"].as_array().map_or(0, Vec::len))
        .sum();
    Ok(
        json!({ "gate": "tokens", "same": same, "clear": clear, "of": total, "divergence": divergence }),
    )
}

/// Seconds to read the prompt, and of each of 32 tokens after it.
fn once(model: &Model, prompt: &[u32]) -> Result<(f64, Vec<f64>)> {
    let mut session = Session::new(&model.vlm, model.limit, model.image_token);
    let start = Instant::now();
    pollster::block_on(session.prefill(prompt, None, &Still, &mut |_, _| ()))?;
    let read = start.elapsed().as_secs_f64();
    let mut steps = Vec::new();
    for at in 0..32 {
        let start = Instant::now();
        pollster::block_on(session.step(400 + at, &Still))?;
        steps.push(start.elapsed().as_secs_f64());
    }
    Ok((read, steps))
}
