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
    /// - added, output: `[N, H, W, out]`; `clamp` keeps the output in 0..=6
    pub fn forward(&self, x: Tensor<4>, added: Option<Tensor<4>>, clamp: bool) -> Tensor<4> {
        let [images, height, width, input] = x.dims();
        let [output, _] = self.weights.dims();
        let pixels = images * height * width;
        let added = added.map(|added| added.reshape([pixels, output]));
        ops::pointwise(x.reshape([pixels, input]), &self.weights, added, clamp)
            .reshape([images, height, width, output])
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

    /// # Shapes
    /// - x: `[N, H, W, C]`
    /// - output: `[N, H', W', C]`, in 0..=6
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::depthwise(x, self.weight.val(), self.bias.val(), self.window)
    }
}
