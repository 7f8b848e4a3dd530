//! The Llama decoder: RMS norm, grouped-query attention with rotary positions, gated feed-forward.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::attention::{Attention, AttentionShape, Place};
use super::config::TextConfig;
use super::kv_cache::KvCache;
use super::linear::Linear;
use super::mlp::GatedMlp;
use super::norm::RmsNorm;
use super::params::{Init, ParamBuilder};
use super::rope::Rope;
use crate::Result;

#[derive(Module, Debug)]
struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: GatedMlp,
}

/// Embeddings, layers, final norm and the head that turns hidden states into logits.
#[derive(Module, Debug)]
pub struct Decoder {
    embed_tokens: Param<Tensor<2>>,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    /// `None` when the head is the embedding matrix.
    lm_head: Option<Linear>,
    #[module(skip)]
    rope: Rope,
}

impl Decoder {
    /// Builds the decoder below `name` (`model.text_model` in SmolVLM) and, when not tied, `lm_head`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        config: &TextConfig,
        tied: bool,
    ) -> Result<Self> {
        let hidden = config.hidden_size;
        let device = p.device().clone();
        let attention = AttentionShape {
            hidden,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim(),
            bias: false,
            output: "o_proj",
        };
        let eps = config.rms_norm_eps;
        let mut layer = |i: usize| -> Result<DecoderLayer> {
            let name = format!("{name}.layers.{i}");
            let mlp = format!("{name}.mlp");
            Ok(DecoderLayer {
                input_layernorm: RmsNorm::new(p, &format!("{name}.input_layernorm"), hidden, eps)?,
                self_attn: Attention::new(p, &format!("{name}.self_attn"), attention)?,
                post_attention_layernorm: RmsNorm::new(
                    p,
                    &format!("{name}.post_attention_layernorm"),
                    hidden,
                    eps,
                )?,
                mlp: GatedMlp::new(p, &mlp, hidden, config.intermediate_size)?,
            })
        };
        let layers = (0..config.num_hidden_layers)
            .map(&mut layer)
            .collect::<Result<_>>()?;
        let embedding_std = (1.0 / hidden as f64).sqrt();
        Ok(Self {
            embed_tokens: p.param(
                &format!("{name}.embed_tokens.weight"),
                [config.vocab_size, hidden],
                Init::Normal(embedding_std),
            )?,
            layers,
            norm: RmsNorm::new(p, &format!("{name}.norm"), hidden, eps)?,
            lm_head: if tied {
                None
            } else {
                Some(Linear::new(p, "lm_head", hidden, config.vocab_size, false)?)
            },
            rope: Rope::new(
                config.head_dim(),
                config.max_position_embeddings,
                config.rope_theta,
                &device,
            ),
        })
    }

    /// The device the parameters live on.
    pub fn device(&self) -> Device {
        self.embed_tokens.val().device()
    }

    /// Token ids `[N]` to embeddings `[N, hidden]`.
    pub fn embed(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        self.embed_tokens.val().select(0, ids)
    }

    /// Number of layers, the steps of progress a caller may report.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// All layers and the final norm.
    ///
    /// # Shapes
    /// - x: `[B, T, hidden]`; with a cache B is 1 and x are the tokens after the cached ones
    /// - output: `[B, T, hidden]`
    pub fn forward(&self, mut x: Tensor<3>, mut cache: Option<&mut KvCache>) -> Tensor<3> {
        let tokens = x.dims()[1];
        for layer in 0..self.depth() {
            x = self.layer(layer, x, cache.as_deref_mut());
        }
        if let Some(cache) = cache {
            cache.advance(tokens);
        }
        self.norm.forward(x)
    }

    /// One layer, so that a caller can yield or cancel in between; the caller advances the cache.
    pub fn layer(&self, index: usize, x: Tensor<3>, cache: Option<&mut KvCache>) -> Tensor<3> {
        let layer = &self.layers[index];
        let mut place = Place {
            rope: &self.rope,
            cache,
            layer: index,
        };
        let attended = layer
            .self_attn
            .forward_at(layer.input_layernorm.forward(x.clone()), &mut place);
        let x = x + attended;
        x.clone() + layer.mlp.forward(layer.post_attention_layernorm.forward(x))
    }

    /// The final norm, after the last layer.
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(x)
    }

    /// Hidden states `[N, hidden]` to logits `[N, vocab]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => hidden.matmul(self.embed_tokens.val().transpose()),
        }
    }
}
