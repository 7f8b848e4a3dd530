//! The two sides of A2C on one language model: the policy wears one adapter, the critic another, and a head reads values.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use namelens_engine::model::lora::{LoraConfig, Start};
use namelens_engine::model::params::{ParamBuilder, ParamNames};
use namelens_engine::model::vlm::Vlm;

use super::a2c_config::A2cConfig;
use super::buffer::{Rolled, padded, states};
use super::config::GrpoConfig;
use super::param_values::{Keyed, restored};
use super::policy::{Policy, Prepared};
use super::value_head::ValueHead;
use crate::train::gradients::set_trainable;

/// Name of the critic's adapter.
const CRITIC: &str = "critic";

/// Whether a parameter, by checkpoint key, is the critic's: of its adapter or of the head.
pub fn is_critic(name: &str) -> bool {
    name.starts_with("critic:") || name.starts_with("value_head.")
}

/// What A2C trains.
#[derive(Module, Debug)]
pub struct ActorCritic {
    /// The policy's adapter counts.
    pub vlm: Vlm,
    /// Reads values off hidden states.
    pub head: ValueHead,
}

impl ActorCritic {
    /// Both sides on the model of `policy`, which gets the critic's adapter; and the names of all that learns.
    ///
    /// # Errors
    /// When no layer can wear an adapter.
    pub fn new(
        policy: &mut Policy,
        config: &A2cConfig,
        device: &Device,
    ) -> Result<(Self, ParamNames)> {
        let training = device.clone().autodiff();
        let mut names = policy.kit.names.clone();
        let mut source = Keyed { seed: config.seed };
        if config.value_lora_r > 0 {
            let lora = LoraConfig {
                rank: config.value_lora_r,
                alpha: 2.0 * config.value_lora_r as f64,
                dropout: 0.0,
                by_root: false,
                start: Start::Kaiming,
                targets: Vec::new(),
                excluded: vec![
                    "vision_model".to_owned(),
                    "connector".to_owned(),
                    "lm_head".to_owned(),
                ],
            };
            let mut params = ParamBuilder::new(&mut source, &training);
            policy.vlm.create_adapter(CRITIC, &lora, &mut params)?;
            names.0.extend(params.into_names().0);
        }
        let width = policy.kit.config.text_config.hidden_size;
        let mut params = ParamBuilder::new(&mut source, &training);
        let head = ValueHead::new(&mut params, width, config)?;
        names.0.extend(params.into_names().0);
        let model = Self {
            vlm: policy.vlm.clone(),
            head,
        };
        Ok((model.trainable(&names), names))
    }

    /// Only `names` learn.
    fn trainable(self, names: &ParamNames) -> Self {
        set_trainable(self, &|id| names.name_of(id).is_none())
    }

    /// The weights of a checkpoint.
    ///
    /// # Errors
    /// When it is another model's.
    pub fn restore(self, names: &ParamNames, checkpoint: &Path) -> Result<Self> {
        Ok(restored(self, names, checkpoint)?.trainable(names))
    }

    /// Values of the completions' tokens, `[rows, tokens]`, zero behind each row's end.
    ///
    /// # Errors
    /// When prompts and photos do not fit each other.
    pub fn values(&self, prompts: &[Prepared], rows: &[Rolled]) -> Result<Tensor<2>> {
        let mut vlm = self.vlm.clone();
        let critic = vlm.adapters().iter().any(|name| name == CRITIC);
        vlm.set_adapter(critic.then_some(CRITIC))?;
        let hidden = states(&vlm, prompts, rows)?;
        let count = hidden.dims()[0];
        let values = self.head.forward(hidden.unsqueeze::<3>());
        Ok(padded(values.reshape([count]), rows))
    }
}

/// How the policy of A2C is made: an adapter in every layer of the language model, nothing left out of its inputs.
pub fn policy_settings(config: &A2cConfig) -> GrpoConfig {
    GrpoConfig {
        seed: config.seed,
        use_peft: true,
        lora_dropout: 0.0,
        ..GrpoConfig::default()
    }
}
