//! The whole engine as one value: model, retriever, tokenizer, library, and how they are loaded.

use burn::tensor::Device;

use super::answer::BoxScale;
use super::captioner::Captioner;
use super::files::{ModelFiles, all_taken};
use super::photo_cache::{PhotoCache, ReferencePhotos};
use super::retriever::Retriever;
use super::retriever_files::{self, RetrieverFiles};
use crate::concepts::Library;
use crate::generate::SamplingOptions;
use crate::host::{Host, breathe};
use crate::image::ImageProcessor;
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::VlmConfig;
use crate::model::dual::DualEncoder;
use crate::model::families;
use crate::model::lora::Adapter;
use crate::model::params::ParamBuilder;
use crate::model::precision::{InPrecision, Precision};
use crate::model::vlm::Vlm;
use crate::text::{ChatEncoder, GenerationSettings};
use crate::weights::ByteSource;
use crate::{Error, Result};

/// A model with its concepts, ready for photos.
#[derive(Debug)]
pub struct Engine {
    pub(super) vlm: Vlm,
    pub(super) config: VlmConfig,
    pub(super) chat: ChatEncoder,
    pub(super) processor: ImageProcessor,
    pub(super) retriever: Option<Retriever>,
    pub(super) device: Device,
    /// Reference photos as the decoder takes them.
    pub(super) reference_photos: ReferencePhotos,
    /// What was computed of the photo last asked about.
    pub(super) photo_cache: PhotoCache,
    /// How tokens are chosen unless a request says otherwise.
    pub(super) sampling: SamplingOptions,
    /// Longest answer unless a request says otherwise, if the checkpoint says.
    pub(super) max_tokens: Option<usize>,
    generation: GenerationSettings,
    parameters: usize,
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
        let Captioner {
            config,
            processor,
            chat,
            generation,
            weights,
        } = Captioner::describe(&mut files)?;
        progress(1, 3);
        breathe(host).await?;
        let mut source = Captioner::source(weights, &mut files, &config, device)?;
        let mut stored = InPrecision::new(&mut source, precision, device);
        let mut params = ParamBuilder::new(&mut stored, device);
        let mut vlm = Vlm::new(&mut params, &config)?;
        all_taken(&source, config.tie_word_embeddings)?;
        let parameters = burn::module::Module::num_params(&vlm);
        for name in files.adapters() {
            let adapter = files.adapter(&name, families::names(&config.model_type));
            // Nobody has chosen it yet: what is wrong with it is told to who does.
            if let Err(reason) = adapter.and_then(|adapter| vlm.add_adapter(&name, adapter)) {
                vlm.add_broken_adapter(&name, reason);
            }
        }
        progress(2, 3);
        breathe(host).await?;
        let retriever = load_retriever(&mut files, &processor, device)?;
        progress(3, 3);
        let digest = retriever.as_ref().map_or("", Retriever::digest).to_owned();
        Ok(Self {
            parameters,
            vlm,
            config,
            chat,
            processor,
            retriever,
            device: device.clone(),
            reference_photos: ReferencePhotos::default(),
            photo_cache: PhotoCache::default(),
            sampling: SamplingOptions::from(&generation),
            max_tokens: generation.max_new_tokens.map(|most| most as usize),
            generation,
            library: Library::new(digest),
        })
    }

    /// The captioner's family, as `model_type` of its configuration names it.
    pub fn family(&self) -> &str {
        &self.config.model_type
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
        let names = families::names(&self.config.model_type);
        let adapter = Adapter::open(name, config, weights, names)?;
        self.vlm.add_adapter(name, adapter)
    }

    /// Answers with this adapter from now on, or with none.
    ///
    /// # Errors
    /// [`Error::Option`] when there is none of this name.
    pub fn use_adapter(&mut self, name: Option<&str>) -> Result<()> {
        if name == self.active_adapter() {
            return Ok(());
        }
        self.vlm.set_adapter(name)?;
        // An adapter may see otherwise than the model alone.
        self.reference_photos.clear();
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
        self.vlm.remove_adapter(name)
    }

    /// Names of the adapters, those of the folder first.
    pub fn adapters(&self) -> &[String] {
        self.vlm.adapters()
    }

    /// Adapters of the folder that cannot be used, and why; choosing one fails with its reason.
    pub fn broken_adapters(&self) -> &[(String, Error)] {
        self.vlm.broken_adapters()
    }

    /// The adapter in use.
    pub fn active_adapter(&self) -> Option<&str> {
        self.vlm.active_adapter()
    }

    /// Parameters of the captioner, without adapters.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// What the checkpoint's `generation_config.json` sets, a line each.
    pub fn generation_report(&self) -> Vec<String> {
        self.generation.report()
    }

    /// How the model writes boxes on a photo it saw in this width and height.
    pub(super) fn box_scale(&self, size: (usize, usize)) -> BoxScale {
        BoxScale {
            units: self.config.box_units,
            size,
        }
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
}

fn load_retriever(
    files: &mut ModelFiles,
    processor: &ImageProcessor,
    device: &Device,
) -> Result<Option<Retriever>> {
    let Some(described) = RetrieverFiles::describe(files, processor)? else {
        return Ok(None);
    };
    let RetrieverFiles {
        config,
        thresholds,
        processor,
    } = described;
    let (weights, digest) = files.digested(retriever_files::WEIGHTS)?;
    let names = families::names(&config.model_type);
    let mut source = CheckpointSource::new(weights).with_names(names);
    let mut params = ParamBuilder::new(&mut source, device);
    let dual = DualEncoder::new(&mut params, &config)?;
    all_taken(&source, false)?;
    let grid = config.vision_config.patches_per_side();
    Ok(Some(Retriever::new(
        dual, processor, grid, digest, thresholds, device,
    )))
}
