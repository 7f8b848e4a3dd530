//! The whole engine as one value: model, retriever, tokenizer, library, and how they are loaded.

use std::collections::HashMap;

use burn::tensor::Device;

use super::files::{ModelFiles, all_taken};
use super::retriever::{Retriever, Thresholds};
use super::scene::Picture;
use crate::concepts::Library;
use crate::host::{Host, breathe};
use crate::image::{ImageMarkup, ImageProcessor, decode};
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::{DualConfig, VlmConfig};
use crate::model::dual::DualEncoder;
use crate::model::gguf_config::pair;
use crate::model::gguf_layout::GgufLayout;
use crate::model::params::ParamBuilder;
use crate::model::vlm::Vlm;
use crate::text::{ChatEncoder, GenerationSettings, TextSettings, Tokenizer};
use crate::weights::Weights;
use crate::{Error, Result};

/// A model with its concepts, ready for photos.
#[derive(Debug)]
pub struct Lens {
    pub(super) vlm: Vlm,
    pub(super) config: VlmConfig,
    pub(super) chat: ChatEncoder,
    pub(super) processor: ImageProcessor,
    pub(super) retriever: Option<Retriever>,
    pub(super) device: Device,
    /// Reference photos by (concept, position, time of change), as the decoder takes them.
    pub(super) reference_pictures: HashMap<(String, usize, u64), Picture>,
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
        let Captioner {
            config,
            processor,
            chat,
            weights,
            ..
        } = Captioner::describe(&mut files)?;
        progress(1, 3);
        breathe(host).await?;
        let mut source = Captioner::source(weights, &mut files, &config, device)?;
        let mut params = ParamBuilder::new(&mut source, device);
        let vlm = Vlm::new(&mut params, &config)?;
        all_taken(&source, config.tie_word_embeddings)?;
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
            reference_pictures: HashMap::new(),
            library: Library::new(digest),
        })
    }

    /// Parameters of the captioner.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Longest sequence, tokens.
    pub fn context_length(&self) -> usize {
        self.config.text_config.context()
    }

    /// Side of the square the model sees, pixels; `None` where every photo keeps its shape.
    pub fn image_side(&self) -> Option<usize> {
        self.processor.side()
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

/// Refuses an image processor whose frames the tower cannot take.
fn fits(processor: &ImageProcessor, config: &VlmConfig) -> Result<()> {
    let vision = &config.vision_config;
    let (key, problem) = if config.is_dynamic() {
        let unit = vision.patch_size * config.scale_factor;
        if processor.unit() == Some(unit) {
            return Ok(());
        }
        (
            "patch_size",
            format!("makes frames whose sides are no multiples of {unit}"),
        )
    } else {
        if processor.side() == Some(vision.image_size) {
            return Ok(());
        }
        let side = vision.image_size;
        (
            "max_image_size",
            format!("makes frames that do not fit a tower of {side} pixels a side"),
        )
    };
    Err(Error::Config {
        file: "preprocessor_config.json".into(),
        key: key.into(),
        problem,
    })
}

/// What is known of a captioner before its parameters are read.
pub(super) struct Captioner {
    pub(super) config: VlmConfig,
    processor: ImageProcessor,
    chat: ChatEncoder,
    pub(super) generation: GenerationSettings,
    /// The files, where they had to be opened to know the rest.
    pub(super) weights: Option<Weights>,
}

impl Captioner {
    /// From `config.json` and the files beside it, or else from the metadata of GGUF files.
    pub(super) fn describe(files: &mut ModelFiles) -> Result<Self> {
        let described = match files.contains("config.json") {
            true => None,
            false => files.gguf()?,
        };
        let read = |name: &str| files.optional_text(name);
        let Some(weights) = described else {
            let config = VlmConfig::from_json(&files.text("config.json")?)?;
            let tokenizer = Tokenizer::from_json(files.text("tokenizer.json")?.as_bytes())?;
            let settings = TextSettings::read(&read)?;
            let processor = ImageProcessor::from_folder(&read)?;
            return Self::new(config, processor, &settings, tokenizer, None);
        };
        let config = VlmConfig::from_gguf(&weights)?;
        let (text, projector) = pair(&weights)?;
        // Beside the files a tokenizer may lie that GGUF has no way of saying.
        let tokenizer = match read("tokenizer.json")? {
            Some(json) => Tokenizer::from_json(json.as_bytes())?,
            None => Tokenizer::from_gguf(text)?,
        };
        let settings = TextSettings::from_gguf(text)?.or(TextSettings::read(&read)?);
        let processor = ImageProcessor::from_gguf(projector)?;
        Self::new(config, processor, &settings, tokenizer, Some(weights))
    }

    fn new(
        config: VlmConfig,
        processor: ImageProcessor,
        settings: &TextSettings,
        tokenizer: Tokenizer,
        weights: Option<Weights>,
    ) -> Result<Self> {
        fits(&processor, &config)?;
        Ok(Self {
            chat: chat_encoder(settings, tokenizer, &config)?,
            generation: settings.generation.clone(),
            config,
            processor,
            weights,
        })
    }

    /// Where its parameters come from.
    pub(super) fn source(
        weights: Option<Weights>,
        files: &mut ModelFiles,
        config: &VlmConfig,
        device: &Device,
    ) -> Result<CheckpointSource> {
        match weights {
            Some(weights) => Ok(CheckpointSource::new(weights)
                .with_layout(GgufLayout::of(config))
                .keep_blocks(device)),
            None => files.captioner(config, device),
        }
    }
}

fn chat_encoder(
    settings: &TextSettings,
    tokenizer: Tokenizer,
    config: &VlmConfig,
) -> Result<ChatEncoder> {
    let markup = match config.is_dynamic() {
        true => ImageMarkup::Repeat,
        false => settings.smolvlm_markup(config.tokens_per_image()),
    };
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
    let (weights, digest) = files.digested("retriever/model.safetensors")?;
    let mut source = CheckpointSource::new(weights);
    let mut params = ParamBuilder::new(&mut source, device);
    let dual = DualEncoder::new(&mut params, &config)?;
    let grid = config.vision_config.patches_per_side();
    let processor = processor.clone().with_image_splitting(false);
    Ok(Some(Retriever::new(
        dual, processor, grid, digest, thresholds, device,
    )))
}
