//! The SigLIP vision tower: patches with learned positions through pre-norm transformer layers.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::attention::{Attention, AttentionShape, Sight};
use super::config::VisionConfig;
use super::mlp::Mlp;
use super::norm::LayerNorm;
use super::params::{Init, ParamBuilder};
use crate::Result;

/// Pre-norm transformer layer of a tower (vision or text).
#[derive(Module, Debug)]
pub struct TowerLayer {
    layer_norm1: LayerNorm,
    self_attn: Attention,
    layer_norm2: LayerNorm,
    mlp: Mlp,
}

/// What a tower layer needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TowerShape {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) heads: usize,
    pub(crate) eps: f64,
    pub(crate) act: super::config::Activation,
}

impl TowerLayer {
    pub(crate) fn new(p: &mut ParamBuilder<'_>, name: &str, shape: TowerShape) -> Result<Self> {
        let TowerShape {
            hidden,
            intermediate,
            heads,
            eps,
            act,
        } = shape;
        let attention = AttentionShape {
            hidden,
            heads,
            kv_heads: heads,
            head_dim: hidden / heads,
            bias: true,
            output: "out_proj",
        };
        Ok(Self {
            layer_norm1: LayerNorm::new(p, &format!("{name}.layer_norm1"), hidden, eps)?,
            self_attn: Attention::new(p, &format!("{name}.self_attn"), attention)?,
            layer_norm2: LayerNorm::new(p, &format!("{name}.layer_norm2"), hidden, eps)?,
            mlp: Mlp::new(p, &format!("{name}.mlp"), hidden, intermediate, act)?,
        })
    }

    /// # Shapes
    /// - x, output: `[B, T, hidden]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone()
            + self
                .self_attn
                .forward(self.layer_norm1.forward(x), Sight::Full);
        x.clone() + self.mlp.forward(self.layer_norm2.forward(x))
    }
}

/// The tower up to and including its final norm.
#[derive(Module, Debug)]
pub struct VisionTower {
    patch_weight: Param<Tensor<4>>,
    patch_bias: Param<Tensor<1>>,
    positions: Param<Tensor<2>>,
    layers: Vec<TowerLayer>,
    post_layernorm: LayerNorm,
    patch_size: usize,
}

impl VisionTower {
    /// Builds the tower below `name` (`model.vision_model` in SmolVLM, `vision_model` in SigLIP).
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, config: &VisionConfig) -> Result<Self> {
        let hidden = config.hidden_size;
        let patch = config.patch_size;
        let shape = TowerShape {
            hidden,
            intermediate: config.intermediate_size,
            heads: config.num_attention_heads,
            eps: config.layer_norm_eps,
            act: config.hidden_act,
        };
        let fan_in = 3 * patch * patch;
        Ok(Self {
            patch_weight: p.param(
                &format!("{name}.embeddings.patch_embedding.weight"),
                [hidden, 3, patch, patch],
                Init::Normal((1.0 / fan_in as f64).sqrt()),
            )?,
            patch_bias: p.param(
                &format!("{name}.embeddings.patch_embedding.bias"),
                [hidden],
                Init::Constant(0.0),
            )?,
            positions: p.param(
                &format!("{name}.embeddings.position_embedding.weight"),
                [config.num_patches(), hidden],
                Init::Normal(0.2),
            )?,
            layers: (0..config.num_hidden_layers)
                .map(|i| TowerLayer::new(p, &format!("{name}.encoder.layers.{i}"), shape))
                .collect::<Result<_>>()?,
            post_layernorm: LayerNorm::new(
                p,
                &format!("{name}.post_layernorm"),
                hidden,
                config.layer_norm_eps,
            )?,
            patch_size: patch,
        })
    }

    /// Number of layers, the steps of progress a caller may report.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// # Shapes
    /// - pixels: `[N, 3, S, S]`, normalised
    /// - output: patch features `[N, P, hidden]`, row-major over the patch grid
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let mut x = self.embed(pixels);
        for layer in 0..self.depth() {
            x = self.layer(layer, x);
        }
        self.finish(x)
    }

    /// Patches to the width of the tower, with positions: the first step of [`VisionTower::forward`].
    pub fn embed(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [images, channels, height, width] = pixels.dims();
        let patch = self.patch_size;
        let (rows, cols) = (height / patch, width / patch);
        // A convolution whose stride is its kernel is one product over unfolded patches.
        let patches = pixels
            .reshape([images, channels, rows, patch, cols, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([images, rows * cols, channels * patch * patch]);
        let [hidden, ..] = self.patch_weight.dims();
        let kernel = self
            .patch_weight
            .val()
            .reshape([hidden, channels * patch * patch]);
        burn::tensor::module::linear(patches, kernel.transpose(), Some(self.patch_bias.val()))
            + self.positions.val().unsqueeze()
    }

    /// One layer, so that a caller can yield or cancel in between.
    pub fn layer(&self, index: usize, x: Tensor<3>) -> Tensor<3> {
        self.layers[index].forward(x)
    }

    /// The final norm.
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        self.post_layernorm.forward(x)
    }
}
