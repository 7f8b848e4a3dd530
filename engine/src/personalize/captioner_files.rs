//! What a model's files say of its captioner: configuration, photos, chats, and where its parameters are.

use burn::tensor::Device;

use super::encoder_files;
use super::files::ModelFiles;
use crate::image::{ImageMarkup, ImageProcessor, PhotoLayout};
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::VlmConfig;
use crate::model::families;
use crate::model::gguf_config::pair;
use crate::model::gguf_layout::GgufLayout;
use crate::text::{ChatEncoder, GenerationSettings, Message, Part, TextSettings, Tokenizer};
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
pub(super) struct CaptionerFiles {
    pub(super) config: VlmConfig,
    /// `None` where the model reads text only.
    pub(super) processor: Option<ImageProcessor>,
    pub(super) chat: ChatEncoder,
    pub(super) generation: GenerationSettings,
    /// The files, where they had to be opened to know the rest.
    pub(super) weights: Option<Weights>,
}

/// What of a captioner could be described, and what is wrong with the rest.
#[derive(Default)]
pub(super) struct Examined {
    pub(super) config: Option<VlmConfig>,
    pub(super) processor: Option<ImageProcessor>,
    pub(super) generation: Option<GenerationSettings>,
    pub(super) weights: Option<Weights>,
    chat: Option<ChatEncoder>,
    /// Whether the weights are stored in a way that is not read.
    pub(super) quantised: bool,
    /// Each keeps the model from being loaded.
    pub(super) faults: Vec<Error>,
}

impl Examined {
    /// A value, or none and one fault more.
    fn keep<T>(&mut self, value: Result<T>) -> Option<T> {
        value.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// Everything at once, from `config.json` and the files beside it, or else from the metadata of GGUF files.
    pub(super) fn of(files: &mut ModelFiles) -> Self {
        let mut found = Self::default();
        if files.contains("config.json") {
            found.read_folder(files);
            return found;
        }
        match files.gguf() {
            Ok(Some(weights)) => found.read_gguf(files, weights),
            Ok(None) => found.read_folder(files),
            Err(fault) => found.faults.push(fault),
        }
        found
    }

    fn read_folder(&mut self, files: &ModelFiles) {
        let read = |name: &str| files.optional_text(name);
        if let Some(json) = self.keep(files.text("config.json")) {
            self.config = self.keep(VlmConfig::from_json(&json));
            if files.has_safetensors() && self.config.is_some() {
                self.quantised = self.keep(families::refuse_quantised(&json)).is_none();
            }
        }
        let tokenizer = files.text("tokenizer.json");
        let tokenizer = tokenizer.and_then(|json| Tokenizer::from_json(json.as_bytes()));
        let tokenizer = self.keep(tokenizer);
        let settings = self.keep(TextSettings::read(&read));
        if self.config.as_ref().is_none_or(VlmConfig::sees_photos) {
            self.processor = self.keep(ImageProcessor::from_folder(&read));
        }
        self.join(tokenizer, settings);
    }

    fn read_gguf(&mut self, files: &ModelFiles, weights: Weights) {
        let read = |name: &str| files.optional_text(name);
        self.config = self.keep(VlmConfig::from_gguf(&weights));
        // Where a half is missing, the line before has said so.
        if let Ok((text, projector)) = pair(&weights) {
            // Beside the files a tokenizer may lie that GGUF has no way of saying.
            let tokenizer = read("tokenizer.json").and_then(|json| match json {
                Some(json) => Tokenizer::from_json(json.as_bytes()),
                None => Tokenizer::from_gguf(text),
            });
            let tokenizer = self.keep(tokenizer);
            let settings = TextSettings::from_gguf(text)
                .and_then(|settings| Ok(settings.or(TextSettings::read(&read)?)));
            let settings = self.keep(settings);
            if let Some(projector) = projector {
                self.processor = self.keep(ImageProcessor::from_gguf(projector));
            }
            self.join(tokenizer, settings);
        }
        self.weights = Some(weights);
    }

    /// What the parts must be to each other.
    fn join(&mut self, tokenizer: Option<Tokenizer>, settings: Option<TextSettings>) {
        self.generation = settings.as_ref().map(|text| text.generation.clone());
        let Some(config) = self.config.clone() else {
            return;
        };
        if let Some(processor) = self.processor.clone() {
            self.keep(fits(&processor, &config));
        }
        if let (Some(settings), Some(tokenizer)) = (settings, tokenizer) {
            let chat = chat_encoder(&settings, tokenizer, &config);
            let chat = chat.and_then(|chat| tried(chat, &config));
            self.chat = self.keep(chat);
        }
    }
}

impl CaptionerFiles {
    /// Whether there is a captioner, or what is left of one; a retriever alone is a model as well.
    pub(super) fn are_in(files: &ModelFiles) -> bool {
        let is_captioners =
            |name: &str| !name.contains('/') && !["model.json", "manifest.json"].contains(&name);
        !files.contains(encoder_files::FIRST) || files.names().any(is_captioners)
    }

    /// From `config.json` and the files beside it, or else from the metadata of GGUF files.
    pub(super) fn describe(files: &mut ModelFiles) -> Result<Self> {
        let found = Examined::of(files);
        match (found.config, found.chat, found.generation) {
            (Some(config), Some(chat), Some(generation))
                if found.faults.is_empty() && config.sees_photos() == found.processor.is_some() =>
            {
                Ok(Self {
                    config,
                    processor: found.processor,
                    chat,
                    generation,
                    weights: found.weights,
                })
            }
            _ => Err(found.faults.into_iter().next().unwrap_or_else(incomplete)),
        }
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
    let markup = match (config.sees_photos(), config.is_dynamic()) {
        (false, _) => ImageMarkup::Absent,
        (true, true) => ImageMarkup::Repeat,
        (true, false) => settings.smolvlm_markup(config.tokens_per_image()),
    };
    settings.chat_encoder(tokenizer, config.image_token_id, markup)
}

/// A chat encoder whose template has shown what every request asks of it: a text in a person's turn, and a photo before it where
/// the model sees any. A file that
/// is no template compiles, too, and prints always the same.
fn tried(chat: ChatEncoder, config: &VlmConfig) -> Result<ChatEncoder> {
    let mut content = vec![Part::Image, Part::Text("?".into())];
    let mut layouts = vec![match config.is_dynamic() {
        true => PhotoLayout::Tokens(1),
        false => PhotoLayout::WHOLE,
    }];
    if !config.sees_photos() {
        content.remove(0);
        layouts.clear();
    }
    let role = "user".into();
    let prompt = chat.encode(&[Message { role, content }], &layouts, true)?;
    let known = config.text_config.vocab_size;
    match prompt.iter().find(|id| **id as usize >= known) {
        None => Ok(chat),
        Some(id) => Err(Error::Tokenizer {
            problem: format!(
                "a prompt has token {id}, and the model has {known}; take the tokenizer from the model's own folder"
            ),
        }),
    }
}

/// Never in practice: what is missing is among the faults.
fn incomplete() -> Error {
    Error::Config {
        file: "config.json".into(),
        key: "(whole file)".into(),
        problem: "does not describe a model; take the folder whole".into(),
    }
}
