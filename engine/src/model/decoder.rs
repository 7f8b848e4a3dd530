//! The decoder: RMS norm, grouped-query attention with rotary positions, gated feed-forward (Llama, Qwen2, Qwen3).

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::attention::{Attention, AttentionShape, Mask, Place};
use super::config::{Activation, TextConfig};
use super::kv_cache::KvCache;
use super::linear::Linear;
use super::mlp::GatedMlp;
use super::norm::RmsNorm;
use super::params::ParamBuilder;
use super::rope::{Rope, Rotation};
use crate::Result;
#[cfg(any(feature = "train", feature = "cpu"))]
use crate::ops;
#[cfg(feature = "train")]
use crate::ops::TokenScores;

#[derive(Module, Debug)]
struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: GatedMlp,
}

#[cfg(feature = "cpu")]
impl DecoderLayer {
    /// The layer as a token goes through it in one go, where it is made of nothing but packed matrices.
    fn packed(&self) -> Option<ops::PackedLayer<'_>> {
        let ([q, k, v], output) = self.self_attn.matrices()?;
        let (gated, down) = self.mlp.matrices()?;
        Some(ops::PackedLayer {
            norms: [&self.input_layernorm, &self.post_attention_layernorm].map(RmsNorm::parts),
            projections: [q.0, k.0, v.0],
            biases: [q.1, k.1, v.1],
            output,
            gated,
            down,
            head_dim: self.self_attn.head_dim(),
        })
    }
}

/// Embeddings, layers, final norm and the head that turns hidden states into logits.
#[derive(Module, Debug)]
pub struct Decoder {
    /// A row for each token.
    embed_tokens: Linear,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    /// `None` when the head is the embedding matrix.
    lm_head: Option<Linear>,
    /// Rotary positions.
    #[module(skip)]
    pub rope: Rope,
}

impl Decoder {
    /// Our name of the head, where it is no embedding.
    pub(super) const HEAD: &str = "lm_head";

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
            memory: None,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim(),
            bias: config.variant.qkv_bias,
            output_bias: config.variant.output_bias,
            qk_norm: config.variant.qk_norm.then_some(config.rms_norm_eps),
            output: "o_proj",
        };
        let eps = config.rms_norm_eps;
        let silu = Activation::Silu;
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
                mlp: GatedMlp::new(p, &mlp, hidden, config.intermediate_size, silu, false)?,
            })
        };
        let layers = (0..config.num_hidden_layers)
            .map(&mut layer)
            .collect::<Result<_>>()?;
        let table = format!("{name}.embed_tokens");
        Ok(Self {
            embed_tokens: Linear::table(p, &table, config.vocab_size, hidden)?,
            layers,
            norm: RmsNorm::new(p, &format!("{name}.norm"), hidden, eps)?,
            lm_head: if tied {
                None
            } else {
                Some(Linear::new(
                    p,
                    Self::HEAD,
                    hidden,
                    config.vocab_size,
                    false,
                )?)
            },
            rope: Rope::text(
                config.head_dim(),
                config.context(),
                config.rope_theta,
                config.variant.mrope,
                &device,
            ),
        })
    }

    /// The device the parameters live on.
    pub fn device(&self) -> Device {
        self.norm.device()
    }

    /// The projections of every layer, and the head where it is one.
    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        let layers = self.layers.iter_mut().flat_map(|layer| {
            let attention = layer.self_attn.linears().into_iter();
            attention.chain(layer.mlp.linears())
        });
        layers.chain(&mut self.lm_head).collect()
    }

    /// Tokens to embeddings `[N, hidden]`.
    ///
    /// # Panics
    /// When a token is not in the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Tensor<2> {
        self.embed_tokens.rows(ids)
    }

    /// Whether the vocabulary has it.
    pub(super) fn is_token(&self, id: u32) -> bool {
        (id as usize) < self.embed_tokens.dims()[0]
    }

    /// [`Self::embed`] of ids that are told on the device, as [`Linear::rows_told`].
    pub(super) fn embed_told(&self, ids: &Tensor<1, Int>) -> Tensor<2> {
        self.embed_tokens.rows_told(ids)
    }

    /// Number of layers, the steps of progress a caller may report.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// One layer, so that a caller can yield or cancel in between; the caller advances the cache.
    ///
    /// # Shapes
    /// - x, output: `[B, T, hidden]`; with a cache B is its number of rows and x are the tokens after the cached ones
    ///
    /// `mask` says who may look at whom where there is no cache.
    pub fn layer(
        &self,
        index: usize,
        x: Tensor<3>,
        rotation: &Rotation,
        mask: &Mask,
        #[cfg_attr(not(feature = "cpu"), allow(unused_mut))] mut cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        let layer = &self.layers[index];
        #[cfg(feature = "cpu")]
        if let Some(cache) = cache.as_deref_mut()
            && let Some(packed) = layer.packed().filter(|packed| packed.takes(&x))
        {
            return cache.rewrite(index, 1, |cache, column, starts| {
                packed.step(x, rotation.turns(), cache, column, starts)
            });
        }
        let mut place = Place {
            rotation,
            mask,
            cache,
            layer: index,
        };
        let normed = layer.input_layernorm.forward(x.clone());
        let x = layer.self_attn.forward_at(normed, x, &mut place);
        let normed = layer.post_attention_layernorm.forward(x.clone());
        layer.mlp.forward_onto(normed, x)
    }

    /// The final norm, after the last layer.
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(x)
    }

    /// How likely `targets` are after the hidden states `[N, hidden]`, a target a row, at a temperature; see
    /// [`ops::token_scores`].
    ///
    /// # Panics
    /// When there is no row, or a target is not in the vocabulary.
    #[cfg(feature = "train")]
    pub fn token_scores(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
        temperature: f32,
    ) -> TokenScores {
        let head = match &self.lm_head {
            Some(head) => head.unmerged(hidden.clone()),
            None => self.embed_tokens.unmerged(hidden.clone()),
        };
        ops::token_scores(hidden, head, targets, temperature)
    }

    /// Hidden states `[N, hidden]` to logits `[N, vocab]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => self.embed_tokens.forward(hidden),
        }
    }
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
