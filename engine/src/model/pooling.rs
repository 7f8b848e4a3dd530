//! Patch features to the embeddings of photos and of regions in them.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Tensor};

use super::attention::{Mask, attend, split_heads};
use super::dual_config::DualConfig;
use super::linear::Linear;
use super::mlp::Mlp;
use super::norm::LayerNorm;
use super::params::{Init, ParamBuilder};
use super::variants::PhotoPooling;
use crate::{Result, ops};

/// The image side's last step, as the configuration asks.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has one; a box would save nothing"
)]
pub enum PhotoHead {
    /// SigLIP's.
    Probe(PoolingHead),
    /// CLIP's.
    ClassToken(Linear),
}

impl PhotoHead {
    /// Builds the head below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, config: &DualConfig) -> Result<Self> {
        let hidden = config.vision_config.hidden_size;
        Ok(match config.variant.photos {
            PhotoPooling::Probe => Self::Probe(PoolingHead::new(p, name, config)?),
            PhotoPooling::ClassToken => {
                Self::ClassToken(Linear::new(p, name, hidden, config.width(), false)?)
            }
        })
    }

    /// Pools each of R regions of each image.
    ///
    /// CLIP never learned regions: its photo is the class token, and a region here is the mean of what the patches inside
    /// it become by the same norm and projection. That is coarser than SigLIP's probe, which attends within the region.
    ///
    /// # Shapes
    /// - patches: `[N, P, hidden]`, or `[N, 1 + P, hidden]` with the class token first
    /// - outside: `[N or 1, R, P]`, `true` where a patch is not of the region; `None` pools the whole photo
    /// - output: `[N, R, width]`, not normalised
    pub fn forward(&self, patches: Tensor<3>, outside: Option<Tensor<3, Bool>>) -> Tensor<3> {
        let projection = match self {
            Self::Probe(head) => return head.forward(patches, outside),
            Self::ClassToken(projection) => projection,
        };
        let Some(outside) = outside else {
            return projection.forward(patches.narrow(1, 0, 1));
        };
        let [images, tokens, _] = patches.dims();
        let [_, regions, count] = outside.dims();
        let inside = outside.bool_not().float();
        let share = inside.clone() / inside.sum_dim(2).clamp_min(1.0);
        let share = share.expand([images, regions, count]);
        // The mean of projections is the projection of the mean.
        projection.forward(ops::matmul(share, patches.narrow(1, 1, tokens - 1)))
    }
}

/// Attention pooling: a learned probe looks at the patches of a region.
///
/// SigLIP's `head` has one fused `in_proj`; it is kept fused so that checkpoints load as they are.
#[derive(Module, Debug)]
pub struct PoolingHead {
    probe: Param<Tensor<3>>,
    in_proj: Param<Tensor<2>>,
    in_bias: Param<Tensor<1>>,
    out_proj: Linear,
    layernorm: LayerNorm,
    mlp: Mlp,
    heads: usize,
}

impl PoolingHead {
    fn new(p: &mut ParamBuilder<'_>, name: &str, config: &DualConfig) -> Result<Self> {
        let vision = &config.vision_config;
        let hidden = vision.hidden_size;
        let std = (1.0 / hidden as f64).sqrt();
        Ok(Self {
            probe: p.param(&format!("{name}.probe"), [1, 1, hidden], Init::Normal(1.0))?,
            in_proj: p.param(
                &format!("{name}.attention.in_proj_weight"),
                [3 * hidden, hidden],
                Init::Normal(std),
            )?,
            in_bias: p.param(
                &format!("{name}.attention.in_proj_bias"),
                [3 * hidden],
                Init::Constant(0.0),
            )?,
            out_proj: Linear::new(
                p,
                &format!("{name}.attention.out_proj"),
                hidden,
                hidden,
                true,
            )?,
            layernorm: LayerNorm::new(
                p,
                &format!("{name}.layernorm"),
                hidden,
                vision.layer_norm_eps,
            )?,
            mlp: Mlp::new(
                p,
                &format!("{name}.mlp"),
                hidden,
                vision.intermediate_size,
                vision.hidden_act,
            )?,
            heads: vision.num_attention_heads,
        })
    }

    /// Pools each of R regions of each image.
    ///
    /// # Shapes
    /// - patches: `[N, P, hidden]`
    /// - outside: `[N or 1, R, P]`, `true` where a patch is not of the region; `None` pools the whole photo
    /// - output: `[N, R, hidden]`, not normalised
    pub fn forward(&self, patches: Tensor<3>, outside: Option<Tensor<3, Bool>>) -> Tensor<3> {
        let [images, _, hidden] = patches.dims();
        let weight = self.in_proj.val();
        let bias = self.in_bias.val();
        let project = |x: Tensor<3>, part: usize| {
            let rows = part * hidden..(part + 1) * hidden;
            let w = weight.clone().slice([rows.clone()]);
            ops::dense_linear(x, w, Some(bias.clone().slice([rows])))
        };
        let regions = outside.as_ref().map_or(1, |mask| mask.dims()[1]);
        let probe = self.probe.val().expand([images, regions, hidden]);
        let q = split_heads(project(probe, 0), self.heads);
        let k = split_heads(project(patches.clone(), 1), self.heads);
        let v = split_heads(project(patches, 2), self.heads);
        let mask = match outside {
            Some(mask) => Mask::Explicit(mask.unsqueeze_dim::<4>(1)),
            None => Mask::Full,
        };
        let pooled = attend(q, k, v, mask)
            .swap_dims(1, 2)
            .reshape([images, regions, hidden]);
        let x = self.out_proj.forward(pooled);
        self.mlp.forward_onto(self.layernorm.forward(x.clone()), x)
    }
}
