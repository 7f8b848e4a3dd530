//! `namelens inspect`: every stage of a chat as tensors, for comparison with other implementations.

use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{Context, Result, bail};
use clap::Args;
use namelens::device::DeviceChoice;
use namelens_engine::host::Still;
use namelens_engine::personalize::Engine;
use namelens_engine::personalize::inspect::{Inspection, Values};
use namelens_engine::text::{Message, Part};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use super::model::ModelArgs;

/// Options of `namelens inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
The messages are a chat as Hugging Face templates take it; photos lie beside the file:
  [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"path\": \"photo.png\"},
                                  {\"type\": \"text\", \"text\": \"What does this photo show?\"}]}]

Example:
  namelens inspect --model models/playroom --messages chat.json --dump out.safetensors

The dump holds input_ids [T] and greedy_ids [N] (i64), pixel_values [F, 3, S, S] (a photo at a time, pixel_values_0 and on, where photos differ in size), image_features [V, H] and
logits [T, vocab] (f32).")]
pub(super) struct InspectArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// LoRA adapter to answer with, a folder of the model's `adapters/`.
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// The chat, as JSON.
    #[arg(long)]
    messages: PathBuf,
    /// Where the tensors go.
    #[arg(long)]
    dump: PathBuf,
    /// Longest greedy answer, tokens.
    #[arg(long, default_value_t = 64)]
    max_new_tokens: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
}

impl InspectArgs {
    /// Writes the dump.
    ///
    /// # Errors
    /// When the model, the chat or a photo cannot be read, or the dump cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        let text = std::fs::read_to_string(&self.messages)
            .with_context(|| format!("cannot read {}", self.messages.display()))?;
        let chat: Vec<Value> = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a list of messages", self.messages.display()))?;
        let folder = self.messages.parent().unwrap_or(Path::new("."));
        let (messages, photos) = parse(&chat, folder)?;
        let files = self.model.open()?;
        let device = self.device.open()?;
        let mut engine = pollster::block_on(Engine::load(files, &device, &Still, &mut |_, _| ()))?;
        engine.use_adapter(self.adapter.as_deref())?;
        let found =
            pollster::block_on(engine.inspect(&messages, &photos, self.max_new_tokens, &Still))?;
        write(&found, &self.dump)?;
        println!(
            "{} tokens, {} photos, {} greedy tokens: {}",
            found.input_ids.len(),
            photos.len(),
            found.greedy_ids.len(),
            self.dump.display()
        );
        Ok(())
    }
}

/// Messages, and the bytes of their photos in order.
fn parse(chat: &[Value], folder: &Path) -> Result<(Vec<Message>, Vec<Vec<u8>>)> {
    let mut photos = Vec::new();
    let mut messages = Vec::with_capacity(chat.len());
    for (at, message) in chat.iter().enumerate() {
        let place = || format!("message {at}");
        let role = message["role"]
            .as_str()
            .with_context(|| format!("{} has no \"role\"", place()))?;
        let mut content = Vec::new();
        match &message["content"] {
            Value::String(text) => content.push(Part::Text(text.clone())),
            Value::Array(parts) => {
                for part in parts {
                    content.push(parse_part(part, folder, &mut photos).with_context(place)?);
                }
            }
            _ => bail!("{} has no \"content\": a text or a list of parts", place()),
        }
        messages.push(Message {
            role: role.to_owned(),
            content,
        });
    }
    Ok((messages, photos))
}

fn parse_part(part: &Value, folder: &Path, photos: &mut Vec<Vec<u8>>) -> Result<Part> {
    match part["type"].as_str() {
        Some("text") => {
            let text = part["text"].as_str();
            Ok(Part::Text(
                text.context("a text part needs \"text\"")?.into(),
            ))
        }
        Some("image") => {
            let path = part["path"]
                .as_str()
                .context("an image part needs \"path\", a file beside the messages")?;
            let path = folder.join(path);
            photos.push(
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
            );
            Ok(Part::Image)
        }
        other => bail!("a part of type {other:?}; \"text\" and \"image\" are known"),
    }
}

/// The frames of all photos as one tensor, where they are of one size.
fn together(photos: &[Values]) -> Option<Values> {
    let size = photos.first()?.shape.get(1..)?.to_vec();
    if photos.iter().any(|photo| photo.shape[1..] != size[..]) {
        return None;
    }
    let frames = photos.iter().map(|photo| photo.shape[0]).sum();
    Some(Values {
        shape: [vec![frames], size].concat(),
        values: photos
            .iter()
            .flat_map(|photo| photo.values.iter().copied())
            .collect(),
    })
}

fn write(found: &Inspection, path: &Path) -> Result<()> {
    let ids = |ids: &[u32]| -> (Dtype, Vec<usize>, Vec<u8>) {
        let bytes = ids.iter().flat_map(|&id| i64::from(id).to_le_bytes());
        (Dtype::I64, vec![ids.len()], bytes.collect())
    };
    let mut tensors = vec![
        ("input_ids", ids(&found.input_ids)),
        ("greedy_ids", ids(&found.greedy_ids)),
    ];
    let pixels = together(&found.pixel_values);
    let pixels: Vec<(String, &Values)> = match &pixels {
        Some(all) => vec![("pixel_values".to_owned(), all)],
        None => found
            .pixel_values
            .iter()
            .enumerate()
            .map(|(photo, values)| (format!("pixel_values_{photo}"), values))
            .collect(),
    };
    let mut floats: Vec<(&str, &Values)> = pixels.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    floats.extend(
        found
            .image_features
            .as_ref()
            .map(|values| ("image_features", values)),
    );
    floats.push(("logits", &found.logits));
    for (name, values) in floats {
        let bytes = values.values.iter().flat_map(|v| v.to_le_bytes());
        tensors.push((name, (Dtype::F32, values.shape.clone(), bytes.collect())));
    }
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(views, None)?;
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
