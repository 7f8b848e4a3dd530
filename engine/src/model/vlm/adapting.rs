//! What may change the layers of a loaded model: adapters, what they leave out, and the precision of products.

use burn::tensor::DType;

use super::Vlm;
use crate::model::decoder::Decoder;
use crate::model::linear::Linear;
use crate::model::lora::{self, Adapter, LoraConfig, SavedAdapter};
use crate::model::names::Names;
use crate::model::params::{ParamBuilder, ParamNames};
use crate::model::vision_encoder::VisionEncoder;
use crate::{Error, Result};

impl Vlm {
    /// Loads an adapter under a name of your choice; [`Vlm::set_adapter`] makes it count.
    ///
    /// # Errors
    /// [`Error::Option`] when the name is empty or taken; [`Error::Weights`] when a tensor of the adapter has another shape
    /// than its layer, holds a number that is none, or has no layer here. The model is then unchanged.
    pub fn add_adapter(&mut self, name: &str, adapter: Adapter) -> Result<()> {
        let device = self.decoder.device();
        let mut linears = linears(&mut self.vision, &mut self.decoder);
        self.adapters.add(name, adapter, &mut linears, &device)
    }

    /// Makes a new adapter to be trained, its parameters from `p`: drawn, or those of a checkpoint of its training. It changes
    /// nothing as it starts; [`Vlm::set_adapter`] makes it count.
    ///
    /// `p` hands out nothing but the adapter's parameters, so that [`ParamBuilder::into_names`] lists what a checkpoint holds.
    ///
    /// # Errors
    /// [`Error::Option`] when the name is empty or taken, a setting is outside its range or no layer is meant;
    /// [`Error::Weights`] when the source lacks a tensor. The model is then unchanged.
    pub fn create_adapter(
        &mut self,
        name: &str,
        config: &LoraConfig,
        p: &mut ParamBuilder<'_>,
    ) -> Result<()> {
        let mut linears = linears(&mut self.vision, &mut self.decoder);
        self.adapters.create(name, config, p, &mut linears)
    }

    /// Names and ids of an adapter's parameters, as checkpoints of its training have them.
    pub fn adapter_params(&mut self, name: &str) -> ParamNames {
        let linears = linears(&mut self.vision, &mut self.decoder);
        let params = linears.iter().filter_map(|linear| {
            let lora = linear.lora_of(name)?;
            Some(lora.params(linear.key()))
        });
        ParamNames(params.flatten().collect())
    }

    /// Draws what adapters leave out of their inputs by this key from now on, which should be another one in every step;
    /// `None`, as it is at first, leaves nothing out.
    pub fn set_dropout(&mut self, key: Option<u64>) {
        let linears = linears(&mut self.vision, &mut self.decoder);
        linears
            .into_iter()
            .for_each(|linear| linear.set_dropout(key));
    }

    /// Makes products of many rows in bf16 from now on, or no longer: all but the head's and the adapters'. Weights and what they
    /// learn stay f32.
    ///
    /// # Errors
    /// [`Error::Option`] where the device has no bf16.
    pub fn set_bf16(&mut self, on: bool) -> Result<()> {
        if on && !self.decoder.device().supports_dtype(DType::BF16) {
            return Err(Error::Option {
                option: "bf16".into(),
                problem: "this device has none; leave it out, or compute on CUDA".into(),
            });
        }
        let linears = linears(&mut self.vision, &mut self.decoder).into_iter();
        linears
            .filter(|linear| linear.key() != Decoder::HEAD)
            .for_each(|linear| linear.set_bf16(on));
        Ok(())
    }

    /// An adapter as PEFT saves it, for checkpoints of a family with these names; `base` says of which model. Blocks; native
    /// only.
    ///
    /// # Errors
    /// [`Error::Option`] when no adapter of this name is loaded.
    pub fn save_adapter(
        &mut self,
        name: &str,
        names: Names,
        base: Option<&str>,
    ) -> Result<SavedAdapter> {
        self.adapters.usable(name)?;
        let linears = linears(&mut self.vision, &mut self.decoder);
        let share =
            |linear: &Linear| Some((linear.key().to_owned(), linear.lora_of(name)?.clone()));
        let shares: Vec<_> = linears.iter().filter_map(|linear| share(linear)).collect();
        Ok(lora::save(&shares, names, base))
    }

    /// Keeps the name of an adapter that cannot be used; choosing it fails with this reason.
    pub fn add_broken_adapter(&mut self, name: &str, reason: Error) {
        self.adapters.add_broken(name, reason);
    }

    /// Lets one adapter count from now on, or none. Keys and values cached before are those of the model as it was.
    ///
    /// # Errors
    /// [`Error::Option`] when no adapter of this name is loaded, or it cannot be used; the choice is then unchanged.
    pub fn set_adapter(&mut self, name: Option<&str>) -> Result<()> {
        let linears = linears(&mut self.vision, &mut self.decoder);
        self.adapters.choose(name, linears)
    }

    /// Lets go of an adapter; where it counted, none does afterwards.
    ///
    /// # Errors
    /// [`Error::Option`] when no adapter of this name is loaded.
    pub fn remove_adapter(&mut self, name: &str) -> Result<()> {
        let linears = linears(&mut self.vision, &mut self.decoder);
        self.adapters.remove(name, linears)
    }

    /// Names of the adapters, in the order they were loaded.
    pub fn adapters(&self) -> &[String] {
        self.adapters.names()
    }

    /// Adapters that cannot be used, and why.
    pub fn broken_adapters(&self) -> &[(String, Error)] {
        self.adapters.broken()
    }

    /// The adapter that counts.
    pub fn active_adapter(&self) -> Option<&str> {
        self.adapters.active()
    }

    /// Our names of the layers an adapter may add to.
    pub(in crate::model) fn adaptable(&mut self) -> Vec<String> {
        let linears = linears(&mut self.vision, &mut self.decoder);
        let name = |linear: &&mut Linear| linear.key().to_owned();
        linears.iter().map(name).collect()
    }
}

/// Every layer an adapter may add to.
fn linears<'a>(
    vision: &'a mut Option<VisionEncoder>,
    decoder: &'a mut Decoder,
) -> Vec<&'a mut Linear> {
    let vision = vision.iter_mut().flat_map(VisionEncoder::linears);
    vision.chain(decoder.linears()).collect()
}
