//! SmolVLM: vision tower, connector and decoder, joined at the image tokens of the prompt.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::config::VlmConfig;
use super::connector::Connector;
use super::decoder::Decoder;
use super::kv_cache::KvCache;
use super::params::ParamBuilder;
use super::vision::VisionTower;
use crate::{Error, Result};

/// The whole vision-language model.
#[derive(Module, Debug)]
pub struct Vlm {
    /// Photos to patch features.
    pub vision: VisionTower,
    /// Patch features to visual tokens.
    pub connector: Connector,
    /// Visual and text tokens to logits.
    pub decoder: Decoder,
    image_token_id: u32,
    kv_heads: usize,
    head_dim: usize,
}

impl Vlm {
    /// Builds the model under the names of SmolVLM checkpoints.
    ///
    /// # Errors
    /// [`Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &VlmConfig) -> Result<Self> {
        let text = &config.text_config;
        let tied = config.tie_word_embeddings || !p.contains("lm_head.weight");
        Ok(Self {
            vision: VisionTower::new(p, "model.vision_model", &config.vision_config)?,
            connector: Connector::new(
                p,
                "model.connector",
                config.vision_config.hidden_size,
                text.hidden_size,
                config.scale_factor,
            )?,
            decoder: Decoder::new(p, "model.text_model", text, tied)?,
            image_token_id: config.image_token_id,
            kv_heads: text.num_key_value_heads,
            head_dim: text.head_dim(),
        })
    }

    /// Frames `[N, 3, S, S]` to their visual tokens `[N * tokens_per_image, hidden]`, frame by frame.
    pub fn encode_images(&self, pixels: Tensor<4>) -> Tensor<2> {
        self.connect(self.vision.forward(pixels))
    }

    /// Patch features `[N, P, vision hidden]` to visual tokens `[N * tokens_per_image, hidden]`.
    pub fn connect(&self, features: Tensor<3>) -> Tensor<2> {
        let tokens = self.connector.forward(features);
        let [frames, per_frame, hidden] = tokens.dims();
        tokens.reshape([frames * per_frame, hidden])
    }

    /// Token ids with the visual tokens in the places of the image token.
    ///
    /// # Shapes
    /// - ids: B rows of T ids
    /// - visual: `[V, hidden]`, the visual tokens of all photos, in reading order over all rows
    /// - output: `[B, T, hidden]`
    ///
    /// # Errors
    /// [`Error::Template`] when the places and the visual tokens do not match in number.
    pub fn embed(&self, ids: &[Vec<u32>], visual: Option<Tensor<2>>) -> Result<Tensor<3>> {
        let rows = ids.len();
        let width = ids.first().map_or(0, Vec::len);
        let device = self.decoder.device();
        let flat: Vec<i64> = ids.iter().flatten().map(|&id| i64::from(id)).collect();
        let places = flat
            .iter()
            .filter(|&&id| id == i64::from(self.image_token_id))
            .count();
        let given = visual.as_ref().map_or(0, |visual| visual.dims()[0]);
        if places != given {
            return Err(Error::Template {
                problem: format!("the prompt has {places} image places for {given} visual tokens"),
            });
        }
        let total = flat.len();
        let mut next_visual = total as i64;
        let order: Vec<i64> = flat
            .iter()
            .enumerate()
            .map(|(i, &id)| {
                if id == i64::from(self.image_token_id) {
                    next_visual += 1;
                    next_visual - 1
                } else {
                    i as i64
                }
            })
            .collect();
        let int = |v: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(v, [total]), &device);
        let text = self.decoder.embed(int(flat));
        let hidden = text.dims()[1];
        let merged = match visual {
            Some(visual) => Tensor::cat(vec![text, visual], 0).select(0, int(order)),
            None => text,
        };
        Ok(merged.reshape([rows, width, hidden]))
    }

    /// An empty cache for one sequence of at most `capacity` tokens.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        KvCache::new(
            self.decoder.depth(),
            self.kv_heads,
            self.head_dim,
            capacity,
            &self.decoder.device(),
        )
    }
}
