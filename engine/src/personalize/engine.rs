//! The whole engine as one value: model, retriever, tokenizer, library, and how they are loaded.

use burn::tensor::Device;

use super::captioner::Captioner;
use super::captioner_files::CaptionerFiles;
use super::feature_encoder::FeatureEncoder;
use super::files::{ModelFiles, all_taken};
use super::photo_cache::PhotoCache;
use super::retriever::Retriever;
use super::retriever_files::RetrieverFiles;
use crate::concepts::Library;
use crate::host::{Host, breathe};
use crate::model::checkpoint::CheckpointSource;
use crate::model::dual::DualEncoder;
use crate::model::families;
use crate::model::feature_net::FeatureNet;
use crate::model::params::ParamBuilder;
use crate::model::precision::Precision;
use crate::weights::{ByteSource, Weights};
use crate::{Error, Result};

/// A model with its concepts, ready for photos.
#[derive(Debug)]
pub struct Engine {
    /// What writes; without it answers are made of what the retriever found.
    pub(super) captioner: Option<Captioner>,
    /// What searches photos for known things.
    pub(super) retriever: Option<Retriever>,
    device: Device,
    /// What was computed of the photo last asked about.
    pub(super) photo_cache: PhotoCache,
    /// The concepts; changes count from the next request on.
    pub library: Library,
}

impl Engine {
    /// Loads a model bundle onto `device`, with its adapters, none of which is in use yet.
    ///
    /// `progress` hears of parts done. Weights are read tensor by tensor; a file is let go of as
    /// soon as its tensors are on the device.
    ///
    /// # Errors
    /// Whatever is wrong with a file, by name; [`Error::Cancelled`].
    pub async fn load(
        files: ModelFiles,
        device: &Device,
        host: &dyn Host,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        Self::load_as(files, Precision::Stored, device, host, progress).await
    }

    /// [`Self::load`], with the captioner's matrices held in `precision`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_as(
        mut files: ModelFiles,
        precision: Precision,
        device: &Device,
        host: &dyn Host,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        progress(0, 2);
        let captioner = match CaptionerFiles::are_in(&files) {
            true => Some(Captioner::load(&mut files, precision, device, host).await?),
            false => None,
        };
        progress(1, 2);
        breathe(host).await?;
        let retriever = load_retriever(&mut files, captioner.as_ref(), device)?;
        progress(2, 2);
        Ok(Self {
            captioner,
            device: device.clone(),
            photo_cache: PhotoCache::default(),
            library: Retriever::empty_library(retriever.as_ref()),
            retriever,
        })
    }

    /// What writes captions, if the model has it.
    pub fn captioner(&self) -> Option<&Captioner> {
        self.captioner.as_ref()
    }

    /// What writes captions.
    ///
    /// # Errors
    /// [`Error::Option`] where the model has none.
    pub(super) fn need_captioner(&self) -> Result<&Captioner> {
        self.captioner.as_ref().ok_or_else(no_captioner)
    }

    /// Drops what is kept of the photo last asked about: the memory is free, and the next question about it reads all anew.
    pub fn forget_photo(&mut self) {
        self.photo_cache = PhotoCache::default();
    }

    /// Loads a LoRA adapter beside those of the model's folder; `config` is the text of its `adapter_config.json`, `weights` its
    /// `adapter_model.safetensors`.
    ///
    /// # Errors
    /// When the name is taken, or the adapter is for another model or more than LoRA.
    pub fn add_adapter(
        &mut self,
        name: &str,
        config: &str,
        weights: Box<dyn ByteSource>,
    ) -> Result<()> {
        let captioner = self.captioner.as_mut().ok_or_else(no_captioner)?;
        captioner.add_adapter(name, config, weights)
    }

    /// Answers with this adapter from now on, or with none.
    ///
    /// # Errors
    /// [`Error::Option`] when there is none of this name.
    pub fn use_adapter(&mut self, name: Option<&str>) -> Result<()> {
        if name == self.active_adapter() {
            return Ok(());
        }
        let captioner = self.captioner.as_mut().ok_or_else(no_captioner)?;
        captioner.vlm.set_adapter(name)?;
        // An adapter may see otherwise than the model alone.
        captioner.reference_photos.clear();
        self.forget_photo();
        Ok(())
    }

    /// Lets go of an adapter; where it was in use, none is afterwards.
    ///
    /// # Errors
    /// [`Error::Option`] when there is none of this name.
    pub fn remove_adapter(&mut self, name: &str) -> Result<()> {
        if self.active_adapter() == Some(name) {
            self.use_adapter(None)?;
        }
        let captioner = self.captioner.as_mut().ok_or_else(no_captioner)?;
        captioner.vlm.remove_adapter(name)
    }

    /// Names of the adapters, those of the folder first.
    pub fn adapters(&self) -> &[String] {
        self.captioner.as_ref().map_or(&[], |c| c.vlm.adapters())
    }

    /// Adapters of the folder that cannot be used, and why; choosing one fails with its reason.
    pub fn broken_adapters(&self) -> &[(String, Error)] {
        let captioner = self.captioner.as_ref();
        captioner.map_or(&[], |c| c.vlm.broken_adapters())
    }

    /// The adapter in use.
    pub fn active_adapter(&self) -> Option<&str> {
        self.captioner.as_ref()?.vlm.active_adapter()
    }

    /// The device the model is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Looks at every photo more closely, or only where the first look is unsure; see [`Retriever::set_thorough`].
    pub fn set_thorough(&mut self, thorough: bool) {
        if let Some(retriever) = &mut self.retriever {
            retriever.set_thorough(thorough);
        }
    }

    /// What searches photos for known things, to be set up otherwise.
    pub fn retriever_mut(&mut self) -> Option<&mut Retriever> {
        self.retriever.as_mut()
    }

    /// What searches photos for known things, if the model has it.
    pub fn retriever(&self) -> Option<&Retriever> {
        self.retriever.as_ref()
    }
}

/// The error of what only a captioner can do.
pub(super) fn no_captioner() -> Error {
    Error::Option {
        option: "model".into(),
        problem: "has no captioner; load one beside it for captions, adapters and token counts"
            .into(),
    }
}

fn load_retriever(
    files: &mut ModelFiles,
    captioner: Option<&Captioner>,
    device: &Device,
) -> Result<Option<Retriever>> {
    let processor = captioner.and_then(|captioner| captioner.processor.as_ref());
    let mut all: Option<Retriever> = None;
    for folder in RetrieverFiles::folders(files) {
        let described = RetrieverFiles::describe(files, &folder, processor)?;
        let (weights, digest) = RetrieverFiles::weights(files, &folder)?;
        let one = load_encoder(described, weights, (folder, digest), device)?;
        all = Some(match all {
            Some(others) => others.beside(one)?,
            None => one,
        });
    }
    Ok(all)
}

/// A retriever over one encoder, of which is known where its files lie and what names them.
fn load_encoder(
    described: RetrieverFiles,
    weights: Weights,
    (folder, digest): (String, String),
    device: &Device,
) -> Result<Retriever> {
    let names = families::names(described.family());
    let mut source = CheckpointSource::new(weights).with_names(names);
    let mut params = ParamBuilder::new(&mut source, device);
    let retriever = match described {
        RetrieverFiles::Dual {
            config,
            thresholds,
            processor,
        } => {
            let dual = DualEncoder::new(&mut params, &config)?;
            let grid = config.vision_config.patches_per_side();
            Retriever::new(dual, processor, grid, digest, thresholds, device)
        }
        RetrieverFiles::Features {
            config,
            processor,
            calibration,
            scale,
            words,
        } => {
            let net = FeatureNet::new(&mut params, &config)?;
            let encoder = FeatureEncoder::new(net, processor, device);
            Retriever::of_features(encoder, calibration, scale, words, (folder, digest))
        }
    };
    all_taken(&source, false)?;
    Ok(retriever)
}
