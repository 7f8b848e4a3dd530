//! Convolutions over maps `[N, H, W, C]`, channels last: of one pixel, or of neighbours channel by channel.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::params::{Init, ParamBuilder};
use crate::Result;
use crate::ops::{self, Window};

/// A convolution of one pixel: a product over channels.
#[derive(Module, Debug)]
pub struct Pointwise {
    /// `[out, in]`.
    weight: Param<Tensor<2>>,
    /// `[out]`.
    bias: Param<Tensor<1>>,
}

impl Pointwise {
    /// Builds `{name}.weight` `[out, in]` and `{name}.bias` `[out]`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, input: usize, output: usize) -> Result<Self> {
        let std = (2.0 / input as f64).sqrt();
        let weight = format!("{name}.weight");
        Ok(Self {
            weight: p.param(&weight, [output, input], Init::Normal(std))?,
            bias: p.param(&format!("{name}.bias"), [output], Init::Constant(0.0))?,
        })
    }

    /// # Shapes
    /// - x: `[N, H, W, in]`
    /// - added, output: `[N, H, W, out]`; `clamp` keeps the output in 0..=6
    pub fn forward(&self, x: Tensor<4>, added: Option<Tensor<4>>, clamp: bool) -> Tensor<4> {
        let [images, height, width, input] = x.dims();
        let [output, _] = self.weight.dims();
        let pixels = images * height * width;
        let added = added.map(|added| added.reshape([pixels, output]));
        let (weight, bias) = (self.weight.val(), self.bias.val());
        ops::pointwise(x.reshape([pixels, input]), weight, bias, added, clamp)
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

/// The neighbours of every output pixel side by side: `[N, H, W, C]` -> `[N, H', W', kernel * kernel * C]`, so that a
/// convolution is a product over the last axis.
pub fn patches(x: Tensor<4>, window: Window) -> Tensor<4> {
    let Window {
        kernel,
        stride,
        before,
        after,
    } = window;
    let [_, height, width, _] = x.dims();
    let (rows, columns) = (window.outputs(height), window.outputs(width));
    let sides = (before, after);
    let x = x.pad([(0, 0), sides, sides, (0, 0)], 0.0);
    let taken =
        |first: usize, count: usize| (first as isize)..(first + (count - 1) * stride + 1) as isize;
    let taps = (0..kernel * kernel).map(|tap| {
        let (row, column) = (taken(tap / kernel, rows), taken(tap % kernel, columns));
        let step = stride as isize;
        let part = x.clone();
        part.slice(burn::tensor::s![.., row;step, column;step, ..])
    });
    Tensor::cat(taps.collect(), 3)
}
