//! The whole engine as one value: model, retriever, tokenizer, library, and how they are loaded.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::retriever::{Retriever, Thresholds};
use crate::concepts::Library;
use crate::host::{Host, breathe};
use crate::image::{ImageProcessor, decode};
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::{DualConfig, VlmConfig};
use crate::model::dual::DualEncoder;
use crate::model::gguf_layout::GgufLayout;
use crate::model::params::ParamBuilder;
use crate::model::vlm::Vlm;
use crate::text::{ChatEncoder, TextSettings, Tokenizer};
use crate::weights::{ByteSource, WeightFile, Weights};
use crate::{Error, Result};

/// The files of a model bundle: small ones as text, weights as byte sources.
///
/// `config.json`, `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`,
/// `preprocessor_config.json` and `model.safetensors` are the captioner; below `retriever/` the
/// dual encoder has `config.json`, `model.safetensors` and `retrieval.json`. In place of the
/// captioner's `model.safetensors` there may be `model.gguf` with `mmproj.gguf`; matrices that are
/// quantised there stay so.
#[derive(Default)]
pub struct ModelFiles {
    files: HashMap<String, Box<dyn ByteSource>>,
}

impl std::fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// Largest JSON or template file read into memory.
const MAX_TEXT: u64 = 64 << 20;

impl ModelFiles {
    /// Adds a file under its name in the bundle.
    pub fn insert(&mut self, name: impl Into<String>, source: Box<dyn ByteSource>) {
        self.files.insert(name.into(), source);
    }

    /// Whether the bundle has a file.
    pub fn contains(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    fn text(&self, name: &str) -> Result<String> {
        let refuse = |problem: String| Error::Config {
            file: name.into(),
            key: "(whole file)".into(),
            problem,
        };
        let source = self
            .files
            .get(name)
            .ok_or_else(|| refuse("is missing from the model; take the folder whole".into()))?;
        if source.len() > MAX_TEXT {
            return Err(refuse(format!("{} bytes are too many", source.len())));
        }
        let mut bytes = vec![0; source.len() as usize];
        source.read_at(0, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8 text".into()))
    }

    /// As [`Self::text`], for files that need not be there.
    fn optional_text(&self, name: &str) -> Result<Option<String>> {
        self.contains(name).then(|| self.text(name)).transpose()
    }

    /// The weights of some files, and a digest of the last one.
    fn weights(&mut self, names: &[&str]) -> Result<(Weights, String)> {
        let mut weights = Weights::new();
        let mut digest = String::new();
        for &name in names {
            let source = self.files.remove(name).ok_or_else(|| Error::Weights {
                file: name.into(),
                place: "file".into(),
                problem: "is missing from the model; take the folder whole".into(),
            })?;
            digest = header_digest(source.as_ref())?;
            weights.push(WeightFile::open(name, source)?)?;
        }
        Ok((weights, digest))
    }

    /// Where the captioner's parameters come from.
    fn captioner(&mut self, config: &VlmConfig, device: &Device) -> Result<CheckpointSource> {
        if self.contains("model.safetensors") || !self.contains("model.gguf") {
            return Ok(CheckpointSource::new(
                self.weights(&["model.safetensors"])?.0,
            ));
        }
        let layout = GgufLayout {
            heads: config.text_config.num_attention_heads,
            kv_heads: config.text_config.num_key_value_heads,
        };
        let (weights, _) = self.weights(&["model.gguf", "mmproj.gguf"])?;
        Ok(CheckpointSource::new(weights)
            .with_layout(layout)
            .keep_blocks(device))
    }
}

/// Sixteen hex digits that name a weight file by its first and last bytes and its length.
fn header_digest(source: &dyn ByteSource) -> Result<String> {
    let part = source.len().min(1 << 16);
    let mut bytes = vec![0; part as usize];
    let mut hash = Sha256::new();
    hash.update(source.len().to_le_bytes());
    for offset in [0, source.len() - part] {
        source.read_at(offset, &mut bytes)?;
        hash.update(&bytes);
    }
    Ok(hash.finalize()[..8]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}

/// A model with its concepts, ready for photos.
#[derive(Debug)]
pub struct Lens {
    pub(super) vlm: Vlm,
    pub(super) config: VlmConfig,
    pub(super) chat: ChatEncoder,
    pub(super) processor: ImageProcessor,
    pub(super) retriever: Option<Retriever>,
    pub(super) device: Device,
    /// Visual tokens of reference photos by (concept, position, time of change).
    pub(super) reference_tokens: HashMap<(String, usize, u64), Tensor<2>>,
    parameters: usize,
    /// The concepts; changes count from the next request on.
    pub library: Library,
}

impl Lens {
    /// Loads a model bundle onto `device`.
    ///
    /// `progress` hears of parts done. Weights are read tensor by tensor; a file is let go of as
    /// soon as its tensors are on the device.
    ///
    /// # Errors
    /// Whatever is wrong with a file, by name; [`Error::Cancelled`].
    pub async fn load(
        mut files: ModelFiles,
        device: &Device,
        host: &dyn Host,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let config = VlmConfig::from_json(&files.text("config.json")?)?;
        let processor = ImageProcessor::from_folder(&|name| files.optional_text(name))?;
        let side = config.vision_config.image_size;
        if processor.side() != Some(side) {
            return Err(Error::Config {
                file: "preprocessor_config.json".into(),
                key: "max_image_size".into(),
                problem: format!("makes frames that do not fit a tower of {side} pixels a side"),
            });
        }
        let chat = chat_encoder(&files, &config)?;
        progress(1, 3);
        breathe(host).await?;
        let mut source = files.captioner(&config, device)?;
        let mut params = ParamBuilder::new(&mut source, device);
        let vlm = Vlm::new(&mut params, &config)?;
        progress(2, 3);
        breathe(host).await?;
        let retriever = load_retriever(&mut files, &processor, device)?;
        progress(3, 3);
        let digest = retriever.as_ref().map_or("", Retriever::digest).to_owned();
        Ok(Self {
            parameters: burn::module::Module::num_params(&vlm),
            vlm,
            config,
            chat,
            processor,
            retriever,
            device: device.clone(),
            reference_tokens: HashMap::new(),
            library: Library::new(digest),
        })
    }

    /// Parameters of the captioner.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Longest sequence, tokens.
    pub fn context_length(&self) -> usize {
        self.config.text_config.max_position_embeddings
    }

    /// Side of the square the model sees, pixels.
    pub fn image_side(&self) -> usize {
        self.config.vision_config.image_size
    }

    /// The device the model is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What searches photos for known things, if the model has it.
    pub fn retriever(&self) -> Option<&Retriever> {
        self.retriever.as_ref()
    }

    /// Embeds every reference photo the current encoder has not seen.
    ///
    /// # Errors
    /// When a photo cannot be read; those before it keep their embeddings.
    pub async fn embed_references(&mut self, host: &dyn Host) -> Result<()> {
        let Some(retriever) = &self.retriever else {
            return Ok(());
        };
        for (id, position) in self.library.unseen_references() {
            let photo = self
                .library
                .get(&id)
                .and_then(|concept| concept.references.get(position))
                .map(|reference| reference.photo.clone());
            let Some(photo) = photo.filter(|photo| !photo.is_empty()) else {
                continue;
            };
            let embedding = retriever.embed_reference(&decode(&photo)?, host).await?;
            let digest = retriever.digest();
            self.library
                .set_embeddings(&id, position, digest, vec![embedding])?;
        }
        Ok(())
    }
}

fn chat_encoder(files: &ModelFiles, config: &VlmConfig) -> Result<ChatEncoder> {
    let tokenizer = Tokenizer::from_json(files.text("tokenizer.json")?.as_bytes())?;
    let settings = TextSettings::read(&|name| files.optional_text(name))?;
    let markup = settings.smolvlm_markup(config.tokens_per_image());
    settings.chat_encoder(tokenizer, config.image_token_id, markup)
}

fn load_retriever(
    files: &mut ModelFiles,
    processor: &ImageProcessor,
    device: &Device,
) -> Result<Option<Retriever>> {
    if !files.contains("retriever/config.json") {
        return Ok(None);
    }
    let config = DualConfig::from_json(&files.text("retriever/config.json")?)?;
    let thresholds = Thresholds::from_json(&files.text("retriever/retrieval.json")?)?;
    if processor.side() != Some(config.vision_config.image_size) {
        return Err(Error::Config {
            file: "retriever/config.json".into(),
            key: "vision_config.image_size".into(),
            problem: "must be the side the photos are prepared for".into(),
        });
    }
    let (weights, digest) = files.weights(&["retriever/model.safetensors"])?;
    let mut source = CheckpointSource::new(weights);
    let mut params = ParamBuilder::new(&mut source, device);
    let dual = DualEncoder::new(&mut params, &config)?;
    let grid = config.vision_config.patches_per_side();
    let processor = processor.clone().with_image_splitting(false);
    Ok(Some(Retriever::new(
        dual, processor, grid, digest, thresholds, device,
    )))
}
