//! What a model's files say of its captioner: configuration, photos, chats, and where its parameters are.

use burn::tensor::Device;

use super::files::ModelFiles;
use crate::image::{ImageMarkup, ImageProcessor};
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::VlmConfig;
use crate::model::gguf_config::pair;
use crate::model::gguf_layout::GgufLayout;
use crate::text::{ChatEncoder, GenerationSettings, TextSettings, Tokenizer};
use crate::weights::Weights;
use crate::{Error, Result};

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
    pub(super) processor: ImageProcessor,
    pub(super) chat: ChatEncoder,
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
