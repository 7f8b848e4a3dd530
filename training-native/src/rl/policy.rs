//! The model that learns: read from a folder, with a fresh adapter or all of its weights trained, and as it was before.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::module::{Module, ParamId};
use burn::tensor::{Device, Tensor};
use namelens_engine::host::Still;
use namelens_engine::image::{ImageProcessor, PhotoLayout, decode};
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::connector::Visual;
use namelens_engine::model::lora::{LoraConfig, Start};
use namelens_engine::model::params::{ParamBuilder, ParamNames};
use namelens_engine::model::positions::Grid;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::{CaptionerParts, photo_frames};
use namelens_engine::text::{ChatEncoder, Message, Part};

use super::config::GrpoConfig;
use super::param_values::{Keyed, restored};
use super::prompt::Prompt;
use crate::rewards::row::Photo;
use crate::train::gradients::set_trainable;
use crate::{bundle, export};

/// Name of the adapter that is trained.
pub const ADAPTER: &str = "policy";
/// Beginnings of the parameters that see photos.
const VISION: [&str; 2] = ["model.vision_model", "model.connector"];

/// All but the weights: how prompts become tokens, and which parameters learn.
#[derive(Debug)]
pub struct Kit {
    /// Dimensions of the model.
    pub config: VlmConfig,
    /// Encodes chats.
    pub chat: ChatEncoder,
    /// Tokens that are never drawn: those that stand for photos.
    pub banned: Vec<u32>,
    /// Parameters that learn, by checkpoint key.
    pub names: ParamNames,
    /// Every parameter of the model itself.
    pub all: ParamNames,
    /// Whether an adapter learns, not the weights.
    pub adapter: bool,
    /// Whether what photos become stays as it is.
    pub freeze_vision: bool,
    /// `None` where the model reads text only.
    processor: Option<ImageProcessor>,
    device: Device,
}

/// A model and what belongs to it.
#[derive(Debug)]
pub struct Policy {
    /// The model, on a device with gradients.
    pub vlm: Vlm,
    /// The model as it was, without gradients.
    pub reference: Vlm,
    /// The rest.
    pub kit: Kit,
}

/// A prompt as the model reads it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What was asked.
    pub prompt: Arc<Prompt>,
    /// Its tokens, up to where the answer begins.
    pub ids: Vec<u32>,
    /// Visual tokens of its photos, from the weights at hand; constants.
    pub visual: Option<Visual>,
    /// Rows and columns of each photo's visual tokens.
    pub grids: Vec<Grid>,
    /// How the chat shows each photo.
    layouts: Vec<PhotoLayout>,
    /// Frames of each photo, kept only where the vision tower learns.
    pixels: Vec<Tensor<4>>,
}

impl Policy {
    /// Reads the model of folder `model`; `device` is one without gradients.
    ///
    /// # Errors
    /// When the model cannot be read, no layer is meant by `lora_target_modules`, or all weights are to be trained of a model
    /// whose weights are in blocks.
    pub fn open(model: &Path, config: &GrpoConfig, device: &Device) -> Result<Self> {
        let training = device.clone().autodiff();
        let mut files = export::open_bundle(model)?;
        let parts = pollster::block_on(CaptionerParts::open(&mut files, &training, &Still))
            .with_context(|| format!("cannot read the model {}", model.display()))?;
        let CaptionerParts {
            mut vlm,
            names,
            config: dimensions,
            chat,
            processor,
            ..
        } = parts;
        vlm.set_bf16(config.bf16)?;
        let reference = vlm.valid();
        let all = names.clone();
        let names = match config.use_peft {
            true => adapter(&mut vlm, config, &training)?,
            false => {
                let stored = bundle::open_weights(model)?;
                ensure!(
                    names.0.iter().all(|(name, _)| stored.contains(name)),
                    "{} keeps its weights under other names, or in blocks, and cannot be written back; set use_peft = true",
                    model.display()
                );
                let sees = |name: &str| VISION.iter().any(|part| name.starts_with(part));
                let learns = |(name, _): &(String, ParamId)| !(config.freeze_vision && sees(name));
                ParamNames(names.0.into_iter().filter(learns).collect())
            }
        };
        let vlm = set_trainable(vlm, &|id| names.name_of(id).is_none());
        let banned = photo_tokens(&chat);
        Ok(Self {
            vlm,
            reference,
            kit: Kit {
                config: dimensions,
                chat,
                banned,
                names,
                all,
                adapter: config.use_peft,
                freeze_vision: config.freeze_vision,
                processor,
                device: device.clone(),
            },
        })
    }

    /// Gives the parameters that learn the values of a checkpoint.
    ///
    /// # Errors
    /// When the checkpoint lacks one, or has it in another shape: it is another model's.
    pub fn restore(&mut self, checkpoint: &Path) -> Result<()> {
        let vlm = restored(self.vlm.clone(), &self.kit.names, checkpoint)?;
        self.vlm = set_trainable(vlm, &|id| self.kit.names.name_of(id).is_none());
        Ok(())
    }
}

impl Kit {
    /// Tokens and visual tokens of a prompt; `vlm` has no gradients.
    ///
    /// # Errors
    /// When a photo cannot be read or does not fit, or the chat cannot be encoded.
    pub fn prepare(&self, vlm: &Vlm, prompt: Prompt) -> Result<Prepared> {
        let (mut pixels, mut layouts, mut grids) = (Vec::new(), Vec::new(), Vec::new());
        for photo in &prompt.photos {
            let (frames, layout) = self.photo(photo)?;
            let [_, _, height, width] = frames.dims();
            grids.push(vlm.vision()?.token_grid(height, width));
            layouts.push(layout);
            pixels.push(frames);
        }
        let ids = self.chat.encode(&prompt.messages, &layouts, true)?;
        let visual = encode(vlm, &pixels)?;
        if self.freeze_vision {
            pixels.clear();
        }
        Ok(Prepared {
            prompt: Arc::new(prompt),
            ids,
            visual,
            grids,
            layouts,
            pixels,
        })
    }

    /// The tokens of `text` as the answer to a prompt, its end among them.
    ///
    /// # Errors
    /// When the chat cannot be encoded, or its template writes a prompt otherwise once it is answered.
    pub fn answer(&self, prepared: &Prepared, text: &str) -> Result<Vec<u32>> {
        let mut messages = prepared.prompt.messages.clone();
        messages.push(Message {
            role: "assistant".into(),
            content: vec![Part::Text(text.to_owned())],
        });
        let ids = self.chat.encode(&messages, &prepared.layouts, false)?;
        let answer = ids
            .strip_prefix(prepared.ids.as_slice())
            .context("the chat template writes a prompt otherwise once it is answered")?;
        let end = answer.iter().position(|id| self.chat.ends().contains(id));
        let end = end.context("the chat template does not end an answer")?;
        Ok(answer[..=end].to_vec())
    }

    /// Frames of a photo, and how a prompt shows it.
    ///
    /// # Errors
    /// When it cannot be read or processed.
    pub fn photo(&self, photo: &Photo) -> Result<(Tensor<4>, PhotoLayout)> {
        let processor = self
            .processor
            .as_ref()
            .context("the model reads text only; leave the photos out of its prompts")?;
        let frames = |bytes: &[u8]| Ok(photo_frames(processor, &decode(bytes)?, &self.device)?);
        match photo {
            Photo::Bytes(bytes) => frames(bytes),
            Photo::File(path) => std::fs::read(path)
                .map_err(anyhow::Error::from)
                .and_then(|bytes| frames(&bytes))
                .with_context(|| format!("cannot use photo {}", path.display())),
        }
    }

    /// The text of a completion, without its end.
    ///
    /// # Errors
    /// When a token is none of the tokenizer's.
    pub fn text(&self, tokens: &[u32]) -> Result<String> {
        Ok(self.chat.tokenizer().decode(tokens, true)?)
    }
}

impl Prepared {
    /// A prompt of these tokens that shows nothing.
    pub fn without_photos(prompt: Prompt, ids: Vec<u32>) -> Self {
        Self {
            prompt: Arc::new(prompt),
            ids,
            visual: None,
            grids: Vec::new(),
            layouts: Vec::new(),
            pixels: Vec::new(),
        }
    }

    /// Visual tokens under `vlm`: those that are known where the tower does not learn, else computed anew.
    ///
    /// # Errors
    /// When there are photos and `vlm` reads text only.
    pub fn visual_of(&self, vlm: &Vlm) -> Result<Option<Visual>> {
        if self.pixels.is_empty() {
            return Ok(self.visual.clone());
        }
        encode(vlm, &self.pixels)
    }
}

fn encode(vlm: &Vlm, photos: &[Tensor<4>]) -> Result<Option<Visual>> {
    let parts = photos.iter().map(|frames| {
        let device = vlm.decoder.device();
        let frames = Tensor::from_data(frames.clone().into_data(), &device);
        Ok(vlm.encode_images(frames)?)
    });
    Ok(Visual::joined(parts.collect::<Result<_>>()?))
}

/// Makes the adapter and lets it count.
fn adapter(vlm: &mut Vlm, config: &GrpoConfig, device: &Device) -> Result<ParamNames> {
    let all = config
        .lora_target_modules
        .iter()
        .any(|name| name == "all-linear");
    let excluded = match config.freeze_vision {
        true => vec!["vision_model".to_owned(), "connector".to_owned()],
        false => Vec::new(),
    };
    let lora = LoraConfig {
        rank: config.lora_r,
        alpha: config.lora_alpha,
        dropout: config.lora_dropout,
        by_root: config.use_rslora,
        start: Start::Kaiming,
        targets: if all {
            Vec::new()
        } else {
            config.lora_target_modules.clone()
        },
        excluded,
    };
    let mut source = Keyed { seed: config.seed };
    let mut params = ParamBuilder::new(&mut source, device);
    vlm.create_adapter(ADAPTER, &lora, &mut params)?;
    let names = params.into_names();
    vlm.set_adapter(Some(ADAPTER))?;
    Ok(names)
}

/// Special tokens that stand for photos or stand around them.
fn photo_tokens(chat: &ChatEncoder) -> Vec<u32> {
    let tokenizer = chat.tokenizer();
    let ids = tokenizer.special_ids().iter().copied();
    ids.filter(|id| {
        let text = tokenizer
            .id_to_token(*id)
            .unwrap_or_default()
            .to_lowercase();
        ["image", "img", "vision", "video"]
            .iter()
            .any(|word| text.contains(word))
            && !chat.ends().contains(id)
    })
    .collect()
}
