//! The pixel-shuffle connector: squares of patch features folded into one visual token.

use burn::module::Module;
use burn::tensor::Tensor;

use super::linear::Linear;
use super::params::ParamBuilder;
use crate::Result;

/// Space to depth, then one projection without bias.
#[derive(Module, Debug)]
pub struct Connector {
    proj: Linear,
    scale_factor: usize,
}

impl Connector {
    /// Builds `{name}.modality_projection.proj`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks it.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        vision_hidden: usize,
        text_hidden: usize,
        scale_factor: usize,
    ) -> Result<Self> {
        let folded = vision_hidden * scale_factor * scale_factor;
        Ok(Self {
            proj: Linear::new(
                p,
                &format!("{name}.modality_projection.proj"),
                folded,
                text_hidden,
                false,
            )?,
            scale_factor,
        })
    }

    /// # Shapes
    /// - features: `[N, P, hidden]` of a square patch grid
    /// - output: `[N, P / scale², text_hidden]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        self.proj.forward(fold(features, self.scale_factor))
    }
}

/// Space to depth: `scale x scale` squares of a square patch grid become one row each.
///
/// # Shapes
/// - features: `[N, P, hidden]`
/// - output: `[N, P / scale², scale² * hidden]`
pub fn fold(features: Tensor<3>, scale: usize) -> Tensor<3> {
    let [images, patches, hidden] = features.dims();
    let small = patches.isqrt() / scale;
    // Channel order of a folded square: row within, column within, feature (Idefics3).
    features
        .reshape([images, small, scale, small, scale, hidden])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([images, small * small, scale * scale * hidden])
}
