//! Convolutions over maps `[N, H, W, C]`, channels last: of one pixel, or of neighbours channel by channel.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::params::{Init, ParamBuilder};
use crate::Result;
use crate::ops::{self, ConvWeights, Window};

/// A convolution of one pixel: a product over channels.
#[derive(Module, Debug)]
pub struct Pointwise {
    #[module(skip)]
    weights: ConvWeights,
}

impl Pointwise {
    /// Builds `{name}.weight` `[out, in]` and `{name}.bias` `[out]`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, input: usize, output: usize) -> Result<Self> {
        let std = (2.0 / input as f64).sqrt();
        let weight = format!("{name}.weight");
        let weight = p.param(&weight, [output, input], Init::Normal(std))?;
        let bias = p.param(&format!("{name}.bias"), [output], Init::Constant(0.0))?;
        Ok(Self {
            weights: ConvWeights::new(weight.val(), bias.val()),
        })
    }

    /// The first convolution of a network, whose rows are the neighbours of a pixel; see [`ops::stem`].
    pub fn stem(&self, pixels: Tensor<4>, window: Window) -> Tensor<4> {
        ops::stem(pixels, &self.weights, window)
    }

    /// # Shapes
    /// - x: `[N, H, W, in]`
    /// - output: `[N, H, W, out]`, in 0..=6
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::pointwise_map(x, &self.weights, None, true)
    }
}

/// A convolution of neighbours, each channel by itself.
#[derive(Module, Debug)]
pub struct Depthwise {
    /// `[kernel * kernel, channels]`.
    weight: Param<Tensor<2>>,
    /// `[channels]`.
    bias: Param<Tensor<1>>,
    #[module(skip)]
    window: Window,
}

impl Depthwise {
    /// Builds `{name}.weight` `[kernel * kernel, channels]` and `{name}.bias` `[channels]`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        channels: usize,
        window: Window,
    ) -> Result<Self> {
        let taps = window.kernel * window.kernel;
        let std = (2.0 / taps as f64).sqrt();
        let weight = format!("{name}.weight");
        Ok(Self {
            weight: p.param(&weight, [taps, channels], Init::Normal(std))?,
            bias: p.param(&format!("{name}.bias"), [channels], Init::Constant(0.0))?,
            window,
        })
    }

    /// Its input expanded, if it is, and its output projected: an inverted bottleneck, see [`ops::bottleneck`].
    ///
    /// # Shapes
    /// - x: `[N, H, W, in]`
    /// - output: `[N, H', W', out]`; `residual` adds the input
    pub fn between(
        &self,
        x: Tensor<4>,
        expand: Option<&Pointwise>,
        project: &Pointwise,
        residual: bool,
    ) -> Tensor<4> {
        let block = ops::Bottleneck {
            expand: expand.map(|expand| &expand.weights),
            depthwise: (self.weight.val(), self.bias.val()),
            window: self.window,
            project: &project.weights,
            residual,
        };
        ops::bottleneck(x, block)
    }
}
