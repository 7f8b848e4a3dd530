//! What a model consists of, told from headers alone: parts, sizes, memory it needs, and all that is wrong with it.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::Serialize;

pub use super::needs::Needs;

use super::captioner_files::{CaptionerFiles, Examined};
use super::encoder_files::uncalibrated;
use super::files::ModelFiles;
use super::needs::Weight;
use super::retriever_files::{RetrieverFiles, twice};
use crate::class_defaults::Taken;
use crate::image::ImageProcessor;
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::VlmConfig;
use crate::model::dual::DualEncoder;
use crate::model::families;
use crate::model::feature_net::FeatureNet;
use crate::model::gguf_layout::GgufLayout;
use crate::model::plan::{Planned, claim, claim_vlm, surplus};
use crate::ops::QuantMatrix;
use crate::weights::{TensorInfo, Weights};
use crate::{Error, Result};

/// Tensors without a place that are listed one by one.
const MOST_LISTED: usize = 100;
/// Bytes of a number in memory.
const F32: u64 = 4;

/// A model, looked at without reading its weights.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Inventory {
    /// `model_type` of the family; empty where the files do not say.
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
    /// What files left to their classes in `transformers`.
    pub defaults: Vec<Taken>,
    /// Everything that keeps the model from being loaded.
    pub problems: Vec<String>,
    /// What is broken and in the way of nothing but itself.
    pub optional: Vec<Broken>,
}

/// A part of a model that can be done without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The part, which cannot be chosen.
    pub what: String,
    /// Why.
    pub problem: String,
}

/// One part of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PartInventory {
    /// `embeddings`, `text`, `vision` or `retriever`.
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

impl Inventory {
    /// Looks at a model as loading it would, but reads no weights. What is wrong is listed in [`Inventory::problems`] and
    /// [`Inventory::optional`], all of it, and what could be known is told all the same; `device` holds a few small tensors
    /// meanwhile.
    ///
    /// # Errors
    /// None at present: whatever is wrong with a file is a problem of the list.
    pub fn take(mut files: ModelFiles, device: &Device) -> Result<Self> {
        let mut inventory = Self {
            files: files.sizes(),
            defaults: defaults(&files),
            ..Self::default()
        };
        let is_captioner = CaptionerFiles::are_in(&files);
        let found = match is_captioner {
            true => Examined::of(&mut files),
            false => Examined::default(),
        };
        inventory.blame(found.faults);
        if let Some(generation) = &found.generation {
            inventory.generation = generation.report();
        }
        if let Some(config) = &found.config {
            let text = &config.text_config;
            let kept = text.num_hidden_layers * text.num_key_value_heads * text.head_dim();
            inventory.family.clone_from(&config.model_type);
            inventory.context = text.context();
            inventory.cache_per_token = 2 * F32 * kept as u64;
            // Weights that are not what config.json says of them lack nothing else.
            let counted = match found.quantised {
                true => Ok(()),
                false => inventory.captioner(&mut files, config, found.weights, device),
            };
            inventory.blame(counted.err());
        }
        // A captioner that cannot be described has been blamed; its retriever may need its image processor.
        let reads_text_only = found.config.as_ref().is_some_and(|c| !c.sees_photos());
        if found.processor.is_some() || reads_text_only || !is_captioner {
            let processor = found.processor.as_ref();
            let folders = RetrieverFiles::folders(&files);
            let mut digests = Vec::new();
            for folder in &folders {
                let counted = inventory.retriever(&mut files, folder, processor, device);
                inventory.blame(counted.as_ref().err().cloned());
                digests.extend(counted);
            }
            if folders.len() > 1 {
                let alone = folders.iter().filter_map(|folder| {
                    let described = RetrieverFiles::describe(&files, folder, processor);
                    described.ok()?.check_beside(folder).err()
                });
                inventory.blame(alone.collect::<Vec<_>>());
                digests.sort_unstable();
                let count = digests.len();
                digests.dedup();
                inventory.blame((digests.len() < count).then(twice));
            }
        }
        Ok(inventory)
    }

    fn blame(&mut self, faults: impl IntoIterator<Item = Error>) {
        for fault in faults {
            let problem = fault.to_string();
            // A fused tensor is asked for once for each of its blocks.
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    /// Counts the captioner's parameters, and looks at its adapters.
    fn captioner(
        &mut self,
        files: &mut ModelFiles,
        config: &VlmConfig,
        weights: Option<Weights>,
        device: &Device,
    ) -> Result<()> {
        let mut source = CaptionerFiles::source(weights, files, config, device)?;
        let mut model = claim_vlm(&mut source, config, device)?;
        let mut parts: BTreeMap<&str, PartInventory> = BTreeMap::new();
        for claimed in &mut model.claimed {
            let stored = std::mem::replace(&mut claimed.stored, Ok(Vec::new()));
            let stored = stored.unwrap_or_else(|fault| {
                self.blame([fault]);
                Vec::new()
            });
            let planned = &claimed.planned;
            let keeps = source.keeps_blocks().then_some(device);
            let bytes = memory(planned, &stored, keeps);
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
                    parameter: planned.key.clone(),
                    bytes,
                });
            }
        }
        self.parts = parts.into_values().collect();
        self.left_over(&source, config.tie_word_embeddings);
        for name in files.adapters() {
            if !model.is_whole() {
                break;
            }
            let adapter = files.adapter(&name, families::names(&config.model_type));
            let fits = adapter.and_then(|mut adapter| model.fits(&mut adapter));
            if let Err(fault) = fits {
                self.optional.push(Broken {
                    what: format!("adapter `{name}`"),
                    problem: fault.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Looks at one encoder of what searches photos; its digest.
    fn retriever(
        &mut self,
        files: &mut ModelFiles,
        folder: &str,
        processor: Option<&ImageProcessor>,
        device: &Device,
    ) -> Result<String> {
        let described = RetrieverFiles::describe(files, folder, processor)?;
        let (weights, digest) = RetrieverFiles::weights(files, folder)?;
        // A retriever alone is a model as well.
        if self.family.is_empty() {
            self.family = described.family().to_owned();
        }
        let names = families::names(described.family());
        let mut source = CheckpointSource::new(weights).with_names(names);
        let claimed = match described {
            RetrieverFiles::Dual { config, .. } => claim(&mut source, device, |params| {
                DualEncoder::new(params, &config).map(drop)
            })?,
            RetrieverFiles::Features {
                config,
                calibration,
                ..
            } => {
                if calibration.is_none() {
                    self.optional.push(Broken {
                        what: "how sure the retriever is".into(),
                        problem: uncalibrated(folder).to_string(),
                    });
                }
                claim(&mut source, device, |params| {
                    FeatureNet::new(params, &config).map(drop)
                })?
            }
        };
        let elements = claimed.iter().map(|claimed| claimed.planned.elements());
        let parameters: u64 = elements.sum();
        let stored = claimed
            .iter()
            .flat_map(|claimed| claimed.stored.iter().flatten());
        self.parts.push(PartInventory {
            part: "retriever",
            parameters,
            stored: stored.map(|tensor| tensor.bytes).sum(),
            memory: parameters.saturating_mul(F32),
        });
        self.weights += parameters.saturating_mul(F32);
        self.blame(claimed.into_iter().filter_map(|c| c.stored.err()));
        self.left_over(&source, false);
        Ok(digest)
    }

    /// The memory a conversation of `context` tokens needs.
    pub fn needs(&self, context: usize) -> Needs {
        let model = Weight {
            files: self.files.values().sum(),
            weights: self.weights,
            largest: self.largest.as_ref().map_or(0, |largest| largest.bytes),
            cache_per_token: self.cache_per_token,
        };
        Needs::of(model, context)
    }

    /// Tensors of another model.
    fn left_over(&mut self, source: &CheckpointSource, tied: bool) {
        let surplus = surplus(source, tied);
        let told = surplus.iter().take(MOST_LISTED).map(|name| {
            let file = source.file_of(name);
            format!("{file}: {name}: has no place in this model")
        });
        self.problems.extend(told);
        if surplus.len() > MOST_LISTED {
            let more = surplus.len() - MOST_LISTED;
            self.problems
                .push(format!("{more} more tensors have no place in this model"));
        }
    }
}

/// What the files that were found leave to their classes; one that cannot be read is among the problems.
fn defaults(files: &ModelFiles) -> Vec<Taken> {
    let mut all = Vec::new();
    let folders = RetrieverFiles::folders(files).into_iter();
    for folder in std::iter::once(String::new()).chain(folders) {
        let read = |name: &str| files.optional_text(&format!("{folder}{name}"));
        let mut taken = match read("config.json") {
            Ok(Some(json)) => families::defaults_taken(&json).unwrap_or_default(),
            _ => Vec::new(),
        };
        taken.extend(ImageProcessor::defaults_of_folder(&read).unwrap_or_default());
        for value in &mut taken {
            value.file = format!("{folder}{}", value.file);
        }
        all.append(&mut taken);
    }
    all
}

fn part_of(key: &str) -> &'static str {
    match key {
        key if GgufLayout::in_projector(key) => "vision",
        key if key.contains("embed_tokens") => "embeddings",
        _ => "text",
    }
}

/// Bytes of a parameter in memory; `keeps` is the device that blocks are kept on, where they are.
fn memory(planned: &Planned, stored: &[TensorInfo], keeps: Option<&Device>) -> u64 {
    let kind = stored.first().and_then(|tensor| tensor.dtype.quant_kind());
    match (kind, planned.shape.as_slice(), keeps) {
        (Some(kind), &[rows, cols], Some(device)) if planned.keeps_blocks => {
            QuantMatrix::bytes(kind, rows, cols, device)
        }
        // A kernel over several frames is summed.
        (_, &[_, _, frames, _, _], _) => {
            (planned.elements() / frames.max(1) as u64).saturating_mul(F32)
        }
        _ => planned.elements().saturating_mul(F32),
    }
}
