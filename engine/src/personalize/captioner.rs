//! The captioner in memory: a model that writes, with its tokenizer, its adapters and, where it sees photos, its image processor.

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::answer::BoxScale;
use super::captioner_files::CaptionerFiles;
use super::files::{ModelFiles, all_taken};
use super::photo_cache::ReferencePhotos;
use crate::generate::SamplingOptions;
use crate::host::{Host, breathe};
use crate::image::ImageProcessor;
use crate::model::config::VlmConfig;
use crate::model::families;
use crate::model::lora::Adapter;
use crate::model::params::{ParamBuilder, ParamNames};
use crate::model::precision::{InPrecision, Precision};
use crate::model::vision_encoder::VisionEncoder;
use crate::model::vlm::Vlm;
use crate::text::{ChatEncoder, GenerationSettings};
use crate::weights::ByteSource;
use crate::{Error, Result};

/// A model that writes captions, or answers about texts alone where it has no eyes.
#[derive(Debug)]
pub struct Captioner {
    pub(super) vlm: Vlm,
    pub(super) config: VlmConfig,
    pub(super) chat: ChatEncoder,
    /// `None` where the model reads text only.
    pub(super) processor: Option<ImageProcessor>,
    pub(super) device: Device,
    /// Reference photos as the decoder takes them.
    pub(super) reference_photos: ReferencePhotos,
    /// How tokens are chosen unless a request says otherwise.
    pub(super) sampling: SamplingOptions,
    /// Longest answer unless a request says otherwise, if the checkpoint says.
    pub(super) max_tokens: Option<usize>,
    generation: GenerationSettings,
    parameters: usize,
    fingerprint: [u8; 32],
}

/// A captioner as its files have it, without adapters and without anything a conversation needs: what training starts from.
#[derive(Debug)]
pub struct CaptionerParts {
    /// The model.
    pub vlm: Vlm,
    /// Checkpoint key of every parameter.
    pub names: ParamNames,
    /// Its dimensions.
    pub config: VlmConfig,
    /// Encodes chats.
    pub chat: ChatEncoder,
    /// Prepares photos; `None` where the model reads text only.
    pub processor: Option<ImageProcessor>,
    generation: GenerationSettings,
    parameters: usize,
    /// Of its weights as they are in memory.
    fingerprint: [u8; 32],
}

impl CaptionerParts {
    /// Reads them; parameters can be trained where `device` has gradients.
    ///
    /// # Errors
    /// Whatever is wrong with a file, by name; [`crate::Error::Cancelled`].
    pub async fn open(files: &mut ModelFiles, device: &Device, host: &dyn Host) -> Result<Self> {
        Self::read(files, Precision::Stored, device, host).await
    }

    async fn read(
        files: &mut ModelFiles,
        precision: Precision,
        device: &Device,
        host: &dyn Host,
    ) -> Result<Self> {
        let CaptionerFiles {
            config,
            processor,
            chat,
            generation,
            weights,
        } = CaptionerFiles::describe(files)?;
        breathe(host).await?;
        let mut source = CaptionerFiles::source(weights, files, &config, device)?;
        let mut stored = InPrecision::new(&mut source, precision, device);
        let mut params = ParamBuilder::new(&mut stored, device);
        let vlm = Vlm::new(&mut params, &config)?;
        let names = params.into_names();
        all_taken(&source, config.tie_word_embeddings)?;
        let fingerprint = Sha256::new()
            .chain_update(source.fingerprint())
            .chain_update(format!("{precision:?} {device:?}"));
        Ok(Self {
            fingerprint: fingerprint.finalize().into(),
            parameters: source.parameters(),
            vlm,
            names,
            config,
            chat,
            processor,
            generation,
        })
    }
}

impl Captioner {
    /// Loads it with its adapters, none of which is in use yet. Matrices are held in `precision`.
    ///
    /// # Errors
    /// Whatever is wrong with a file, by name; [`crate::Error::Cancelled`].
    pub(super) async fn load(
        files: &mut ModelFiles,
        precision: Precision,
        device: &Device,
        host: &dyn Host,
    ) -> Result<Self> {
        let CaptionerParts {
            mut vlm,
            config,
            processor,
            chat,
            generation,
            parameters,
            fingerprint,
            ..
        } = CaptionerParts::read(files, precision, device, host).await?;
        for name in files.adapters() {
            let adapter = files.adapter(&name, families::names(&config.model_type));
            // Nobody has chosen it yet: what is wrong with it is told to who does.
            if let Err(reason) = adapter.and_then(|adapter| vlm.add_adapter(&name, adapter)) {
                vlm.add_broken_adapter(&name, reason);
            }
        }
        Ok(Self {
            parameters,
            fingerprint,
            vlm,
            config,
            chat,
            processor,
            device: device.clone(),
            reference_photos: ReferencePhotos::default(),
            sampling: SamplingOptions::from(&generation),
            max_tokens: generation.max_new_tokens.map(|most| most as usize),
            generation,
        })
    }

    /// The name under which a host keeps what this model makes of a reference photo as `processor` prepares it: the photo's
    /// hash, then that of everything else it depends on, 32 hexadecimal digits each. `None` with an adapter, of which many may
    /// be tried.
    pub(super) fn kept_name(&self, photo: &[u8], processor: &ImageProcessor) -> Option<String> {
        if self.vlm.active_adapter().is_some() {
            return None;
        }
        let with = Sha256::new()
            .chain_update(self.fingerprint)
            .chain_update(format!("{processor:?}"));
        Some(format!(
            "{}-{}",
            half_in_hex(Sha256::digest(photo).as_slice()),
            half_in_hex(with.finalize().as_slice())
        ))
    }

    /// Its family, as `model_type` of its configuration names it.
    pub fn family(&self) -> &str {
        &self.config.model_type
    }

    /// Parameters, without adapters.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// What the checkpoint's `generation_config.json` sets, a line each.
    pub fn generation_report(&self) -> Vec<String> {
        self.generation.report()
    }

    /// Longest sequence, tokens.
    pub fn context_length(&self) -> usize {
        self.config.text_config.context()
    }

    /// Side of the square the model sees, pixels; `None` where every photo keeps its shape, or the model sees none.
    pub fn image_side(&self) -> Option<usize> {
        self.processor.as_ref()?.side()
    }

    /// Whether it sees photos; it reads text only otherwise.
    pub fn sees_photos(&self) -> bool {
        self.config.sees_photos()
    }

    /// What prepares photos, and what makes visual tokens of them.
    ///
    /// # Errors
    /// As [`Vlm::vision`].
    pub(super) fn sight(&self) -> Result<(&ImageProcessor, &VisionEncoder)> {
        let vision = self.vlm.vision()?;
        let processor = self.processor.as_ref().ok_or_else(|| Error::Config {
            file: "preprocessor_config.json".into(),
            key: "(whole file)".into(),
            problem: "is missing; it says how photos are prepared".into(),
        })?;
        Ok((processor, vision))
    }

    /// How the model writes boxes on a photo it saw in this width and height.
    pub(super) fn box_scale(&self, size: (usize, usize)) -> BoxScale {
        BoxScale {
            units: self.config.box_units,
            size,
        }
    }

    /// Loads an adapter; see [`super::Engine::add_adapter`].
    pub(super) fn add_adapter(
        &mut self,
        name: &str,
        config: &str,
        weights: Box<dyn ByteSource>,
    ) -> Result<()> {
        let names = families::names(&self.config.model_type);
        let adapter = Adapter::open(name, config, weights, names)?;
        self.vlm.add_adapter(name, adapter)
    }
}

/// The first half of a hash: enough to tell apart what nobody has an interest to confuse.
fn half_in_hex(hash: &[u8]) -> String {
    let digits = hash.iter().take(16);
    digits.map(|byte| format!("{byte:02x}")).collect()
}
