//! Layer norm (SigLIP, CLIP, Qwen3-VL towers), RMS norm (decoders, Qwen2.5-VL tower), and a norm that is either.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::params::{Init, ParamBuilder};
use super::variants::NormKind;
use crate::{Result, ops};

/// `(x - mean) / sqrt(var + eps) * weight + bias` over the last dimension.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// Builds `{name}.weight` and `{name}.bias`, both `[width]`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, width: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: p.param(&format!("{name}.weight"), [width], Init::Constant(1.0))?,
            bias: p.param(&format!("{name}.bias"), [width], Init::Constant(0.0))?,
            eps,
        })
    }

    /// # Shapes
    /// - x, output: `[.., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
    }
}

/// `x / sqrt(mean(x²) + eps) * weight` over the last dimension.
#[derive(Module, Debug)]
pub struct RmsNorm {
    weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    /// Builds `{name}.weight` `[width]`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks it.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, width: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: p.param(&format!("{name}.weight"), [width], Init::Constant(1.0))?,
            eps,
        })
    }

    /// The device it is on.
    pub(super) fn device(&self) -> Device {
        self.weight.val().device()
    }

    /// The weight and epsilon.
    #[cfg(feature = "cpu")]
    pub(super) fn parts(&self) -> (Tensor<1>, f64) {
        (self.weight.val(), self.eps)
    }

    /// # Shapes
    /// - x, output: `[.., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::rms_norm(x, self.weight.val(), self.eps)
    }
}

/// The norm a configuration asks for.
#[derive(Module, Debug)]
pub enum Norm {
    /// Mean and variance.
    Layer(LayerNorm),
    /// Root mean square.
    Rms(RmsNorm),
}

impl Norm {
    /// Builds the norm `kind` below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        width: usize,
        eps: f64,
        kind: NormKind,
    ) -> Result<Self> {
        Ok(match kind {
            NormKind::Layer => Self::Layer(LayerNorm::new(p, name, width, eps)?),
            NormKind::Rms => Self::Rms(RmsNorm::new(p, name, width, eps)?),
        })
    }

    /// # Shapes
    /// - x, output: `[.., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }
}
