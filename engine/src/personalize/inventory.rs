//! What a model consists of, told from headers alone: parts, sizes, memory it needs, and all that is wrong with it.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::Serialize;

use super::captioner::Captioner;
use super::files::ModelFiles;
use crate::Result;
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::VlmConfig;
use crate::model::gguf_layout::GgufLayout;
use crate::model::plan::{Planned, parameters, surplus};
use crate::ops::QuantKind;
use crate::weights::{Dtype, TensorInfo};

/// The memory of a WebAssembly program, bytes.
const WASM: u64 = 1 << 32;
/// Bytes of a number in memory.
const F32: u64 = 4;

/// A model's captioner, looked at without reading its weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// `model_type` of the family.
    pub family: String,
    /// Longest conversation kept in memory, tokens.
    pub context: usize,
    /// Embedding matrix, decoder, vision.
    pub parts: Vec<PartInventory>,
    /// All files and their bytes, by name.
    pub files: BTreeMap<String, u64>,
    /// Tensors in use, by how they are stored.
    pub types: BTreeMap<String, TypeInventory>,
    /// Bytes of the weights in memory: f32, but for matrices that stay in blocks.
    pub weights: u64,
    /// The parameter that takes the largest buffer.
    pub largest: Option<Buffer>,
    /// Bytes of keys and values a token of a conversation takes.
    pub cache_per_token: u64,
    /// What the model recommends for drawing answers, a line each.
    pub generation: Vec<String>,
    /// Everything that keeps the model from being loaded.
    pub problems: Vec<String>,
}

/// One part of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PartInventory {
    /// `embeddings`, `text` or `vision`.
    pub part: &'static str,
    /// Number of parameters.
    pub parameters: u64,
    /// Bytes in the files.
    pub stored: u64,
    /// Bytes in memory.
    pub memory: u64,
}

/// Tensors of one element type.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TypeInventory {
    /// How many.
    pub tensors: usize,
    /// Their bytes in the files.
    pub bytes: u64,
}

/// A parameter in memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Buffer {
    /// Its key.
    pub parameter: String,
    /// Its bytes.
    pub bytes: u64,
}

/// Memory needed for a conversation of so many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Tokens.
    pub context: usize,
    /// Keys and values of the conversation, bytes.
    pub cache: u64,
    /// Without a GPU: weights and cache, bytes.
    pub cpu: u64,
    /// On a GPU: weights and cache, bytes.
    pub gpu: u64,
    /// In the largest single buffer (`maxStorageBufferBindingSize`), bytes.
    pub binding: u64,
    /// In a page's program while it loads onto the CPU: files, weights and cache, bytes.
    pub page_cpu: u64,
    /// In a page's program while it loads onto the GPU: files, and one tensor on its way, bytes.
    pub page_gpu: u64,
    /// Whether a page's 4 GiB hold it without a GPU.
    pub fits_page_cpu: bool,
    /// Whether they do with one.
    pub fits_page_gpu: bool,
}

impl Inventory {
    /// Looks at a model. What is wrong with its tensors is listed in [`Inventory::problems`]; `device` holds a few small
    /// tensors meanwhile.
    ///
    /// # Errors
    /// When the files do not say what model they are of: description, tokenizer, chat template and image processor must be
    /// usable.
    pub fn take(mut files: ModelFiles, device: &Device) -> Result<Self> {
        let sizes = files.sizes();
        let Captioner {
            config,
            generation,
            weights,
            ..
        } = Captioner::describe(&mut files)?;
        let mut source = Captioner::source(weights, &mut files, &config, device)?;
        let text = &config.text_config;
        let kept = text.num_hidden_layers * text.num_key_value_heads * text.head_dim();
        let mut inventory = Self {
            family: config.model_type.clone(),
            context: text.context(),
            parts: Vec::new(),
            files: sizes,
            types: BTreeMap::new(),
            weights: 0,
            largest: None,
            cache_per_token: 2 * F32 * kept as u64,
            generation: generation.report(),
            problems: Vec::new(),
        };
        inventory.count(&mut source, &config, device)?;
        Ok(inventory)
    }

    fn count(
        &mut self,
        source: &mut CheckpointSource,
        config: &VlmConfig,
        device: &Device,
    ) -> Result<()> {
        let mut parts: BTreeMap<&str, PartInventory> = BTreeMap::new();
        for planned in parameters(config, device)? {
            let stored = match source.claim(&planned.key, &planned.shape) {
                Ok(stored) => stored,
                Err(error) => {
                    let problem = error.to_string();
                    // A fused tensor is asked for once for each of its blocks.
                    if !self.problems.contains(&problem) {
                        self.problems.push(problem);
                    }
                    Vec::new()
                }
            };
            let bytes = memory(&planned, &stored, source.keeps_blocks());
            let name = part_of(&planned.key);
            let part = parts.entry(name).or_default();
            part.part = name;
            part.parameters += planned.elements();
            part.memory += bytes;
            for tensor in &stored {
                part.stored += tensor.bytes;
                let kind = self.types.entry(tensor.dtype.to_string()).or_default();
                kind.tensors += 1;
                kind.bytes += tensor.bytes;
            }
            self.weights += bytes;
            if self.largest.as_ref().is_none_or(|most| most.bytes < bytes) {
                self.largest = Some(Buffer {
                    parameter: planned.key,
                    bytes,
                });
            }
        }
        self.parts = parts.into_values().collect();
        let surplus = surplus(source, config.tie_word_embeddings);
        let told = surplus.iter().map(|name| {
            let file = source.file_of(name);
            format!("{file}: {name}: has no place in this model")
        });
        self.problems.extend(told);
        Ok(())
    }

    /// The memory a conversation of `context` tokens needs.
    pub fn needs(&self, context: usize) -> Needs {
        let cache = self.cache_per_token.saturating_mul(context as u64);
        let all = self.weights.saturating_add(cache);
        let files: u64 = self.files.values().sum();
        let binding = self.largest.as_ref().map_or(0, |largest| largest.bytes);
        let page_cpu = files.saturating_add(all);
        // The stored bytes and the expanded ones, both in the program before the GPU has them.
        let page_gpu = files.saturating_add(binding.saturating_mul(2));
        Needs {
            context,
            cache,
            cpu: all,
            gpu: all,
            binding,
            page_cpu,
            page_gpu,
            fits_page_cpu: page_cpu <= WASM,
            fits_page_gpu: page_gpu <= WASM,
        }
    }
}

fn part_of(key: &str) -> &'static str {
    match key {
        key if GgufLayout::in_projector(key) => "vision",
        key if key.contains("embed_tokens") => "embeddings",
        _ => "text",
    }
}

/// Bytes of a parameter in memory.
fn memory(planned: &Planned, stored: &[TensorInfo], keeps_blocks: bool) -> u64 {
    let kind = match stored.first().map(|tensor| tensor.dtype) {
        Some(Dtype::Q8_0) => Some(QuantKind::Q8_0),
        Some(Dtype::Q4_0) => Some(QuantKind::Q4_0),
        _ => None,
    };
    match (kind, planned.shape.as_slice()) {
        (Some(kind), &[rows, cols]) if keeps_blocks && planned.keeps_blocks => {
            (rows as u64).saturating_mul(kind.row_words(cols) as u64 * 4)
        }
        // A kernel over several frames is summed.
        (_, &[_, _, frames, _, _]) => {
            (planned.elements() / frames.max(1) as u64).saturating_mul(F32)
        }
        _ => planned.elements().saturating_mul(F32),
    }
}
