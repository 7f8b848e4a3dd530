//! How far the next tokens of a converted model are from those of the model it was made from, over a text or chats.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use namelens_engine::host::Still;
use namelens_engine::personalize::CaptionerParts;
use namelens_engine::text::{ChatEncoder, Message, Part};
use serde::Deserialize;

use super::open_model;

/// Tokens that are read at a time, so that no more logits are in memory than of so many.
const WINDOW: usize = 256;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Divergence {
    /// Tokens after which both were asked for the next one.
    pub tokens: usize,
    /// Kullback-Leibler divergence of the converted model's distribution from the original's, nats, mean over the tokens.
    pub nats: f64,
    /// Standard error of that mean.
    pub error: f64,
    /// Share of tokens after which both think the same one likeliest.
    pub top1: f64,
}

/// A line of a file of chats.
#[derive(Deserialize)]
struct Chat {
    messages: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

/// Compares the model in `to` with the one in `from` it was made of. `texts` is a text, or, by the name `.jsonl`, a chat a line:
/// `{"messages": [{"role": "user", "content": "..."}, ...]}`. `progress` hears of tokens done, and how many there are.
///
/// # Errors
/// When a model or the file cannot be read, or there is nothing to compare.
pub fn divergence(
    from: &Path,
    to: &Path,
    texts: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Divergence> {
    let device = Device::flex();
    let open = |folder: &Path| -> Result<CaptionerParts> {
        let mut files = open_model(folder, None)?;
        let parts = CaptionerParts::open(&mut files, &device, &Still);
        Ok(pollster::block_on(parts)?)
    };
    let original = open(from)?;
    let windows = windows(texts, &original.chat)?;
    let converted = open(to)?;
    let total = windows.iter().map(Vec::len).sum();
    let mut found = Vec::with_capacity(total);
    let mut same = 0;
    for ids in &windows {
        let (want, width) = logits(&original, ids)?;
        let (have, _) = logits(&converted, ids)?;
        ensure!(
            want.len() == have.len(),
            "the models have vocabularies of different sizes"
        );
        for (want, have) in want.chunks(width).zip(have.chunks(width)) {
            found.push(kullback_leibler(want, have));
            same += usize::from(likeliest(want) == likeliest(have));
        }
        progress(found.len(), total);
    }
    let count = found.len() as f64;
    let nats = found.iter().sum::<f64>() / count;
    let squares = found.iter().map(|one| (one - nats).powi(2)).sum::<f64>();
    Ok(Divergence {
        tokens: found.len(),
        nats,
        error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
        top1: f64::from(u32::try_from(same)?) / count,
    })
}

/// The ids of a file, a window a row.
fn windows(texts: &Path, chat: &ChatEncoder) -> Result<Vec<Vec<u32>>> {
    let text = std::fs::read_to_string(texts)
        .with_context(|| format!("cannot read {} as text", texts.display()))?;
    let is_chats = texts.extension().is_some_and(|end| end == "jsonl");
    let rows = match is_chats {
        false => vec![chat.tokenizer().encode(&text, false)?],
        true => {
            let lines = text.lines().enumerate();
            let full = lines.filter(|(_, line)| !line.trim().is_empty());
            full.map(|(at, line)| {
                ids_of_chat(line, chat).with_context(|| format!("line {}", at + 1))
            })
            .collect::<Result<_>>()?
        }
    };
    let windows: Vec<Vec<u32>> = rows
        .iter()
        .flat_map(|row| row.chunks(WINDOW))
        .map(<[u32]>::to_vec)
        .collect();
    ensure!(
        !windows.is_empty(),
        "{} has no text; a few pages of the kind the model will read tell most",
        texts.display()
    );
    Ok(windows)
}

fn ids_of_chat(line: &str, chat: &ChatEncoder) -> Result<Vec<u32>> {
    let Chat { messages } = serde_json::from_str(line).context(
        "is no chat such as {\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}",
    )?;
    let turn = |turn: Turn| Message {
        role: turn.role,
        content: vec![Part::Text(turn.content)],
    };
    let turns: Vec<Message> = messages.into_iter().map(turn).collect();
    Ok(chat.encode(&turns, &[], false)?)
}

/// Logits after every token, and how many each has.
fn logits(model: &CaptionerParts, ids: &[u32]) -> Result<(Vec<f32>, usize)> {
    let reading = model.vlm.read(&[ids.to_vec()], None)?;
    let hidden = model.vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    let logits = model.vlm.decoder.logits(hidden.reshape([tokens, width]));
    let [_, vocabulary] = logits.dims();
    Ok((logits.into_data().try_to_vec()?, vocabulary))
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
}

/// Kullback-Leibler divergence of the softmax of `found` from that of `want`, nats; in f64, for the terms nearly cancel.
pub fn kullback_leibler(want: &[f32], found: &[f32]) -> f64 {
    let log_sum = |logits: &[f32]| {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|l| f64::from(l - most).exp()).sum();
        f64::from(most) + sum.ln()
    };
    let (a, b) = (log_sum(want), log_sum(found));
    let terms = want.iter().zip(found).map(|(&w, &f)| {
        let (p, q) = (f64::from(w) - a, f64::from(f) - b);
        p.exp() * (p - q)
    });
    terms.sum()
}
