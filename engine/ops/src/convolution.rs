//! Convolutions over maps with channels last: a product over channels, and neighbours channel by channel.

use burn::tensor::Tensor;
#[cfg(feature = "cpu")]
use burn::tensor::TensorData;

use super::conv_weights::{ConvWeights, Form};
use super::conv_window::Window;
#[cfg(feature = "cpu")]
use super::dispatch::on_flex;
#[cfg(feature = "cube")]
use super::dispatch::on_kernels;
use super::epilogue::Epilogue;
#[cfg(feature = "cpu")]
use super::flex;
#[cfg(feature = "cpu")]
use super::flex_depthwise::{Depthwise, Sizes};
#[cfg(feature = "cpu")]
use super::flex_pointwise::Pointwise;
#[cfg(feature = "cpu")]
use super::flex_stem::Stem;
use super::projection::dense_linear;
use super::reference;
#[cfg(feature = "cube")]
use crate::kernels;

/// A convolution of one pixel with its bias: `x wᵀ + bias`, plus `added`, kept in 0..=6 if `clamp`.
///
/// # Shapes
/// x `[M, K]`, w `[N, K]`, added and output `[M, N]`.
///
/// # Panics
/// When shapes disagree.
pub fn pointwise(
    x: Tensor<2>,
    w: &ConvWeights,
    added: Option<Tensor<2>>,
    clamp: bool,
) -> Tensor<2> {
    let ([rows, depth], [columns, inputs]) = (x.dims(), w.dims);
    assert_eq!(depth, inputs, "pointwise: channels");
    if let Some(added) = &added {
        assert_eq!(added.dims(), [rows, columns], "pointwise: what is added");
    }
    let (x, added) = (x.inner(), added.map(Tensor::inner));
    match &w.form {
        Form::Dense(dense) => {
            let (weight, bias) = dense.as_ref().clone();
            let epilogue = Epilogue {
                bias: Some(bias),
                activation: None,
                onto: added,
            };
            let y = dense_linear(x, weight, epilogue);
            if clamp { y.clamp(0.0, 6.0) } else { y }
        }
        #[cfg(feature = "cpu")]
        Form::Packed(packed) => {
            let device = x.device();
            let mut out = vec![0.0; rows * columns];
            let added = added.map(flex::storage);
            let residual = added.as_ref().map(flex::slice);
            Pointwise {
                weights: packed,
                clamp,
                x: flex::slice(&flex::storage(x)),
                residual,
                out: &mut out,
            }
            .run();
            Tensor::from_data(TensorData::new(out, [rows, columns]), &device)
        }
    }
}

/// [`pointwise`] of maps.
///
/// # Shapes
/// x `[N, H, W, in]`, w `[out, in]`, added and output `[N, H, W, out]`.
///
/// # Panics
/// When shapes disagree.
pub fn pointwise_map(
    x: Tensor<4>,
    w: &ConvWeights,
    added: Option<Tensor<4>>,
    clamp: bool,
) -> Tensor<4> {
    let ([images, height, width, input], [output, _]) = (x.dims(), w.dims);
    let pixels = images * height * width;
    let added = added.map(|added| added.reshape([pixels, output]));
    pointwise(x.reshape([pixels, input]), w, added, clamp).reshape([images, height, width, output])
}

/// The first convolution of a network: three colours with their neighbours, its bias added, kept in 0..=6.
///
/// # Shapes
/// x `[N, H, W, 3]`, w `[C, kernel * kernel * 3]`, colours innermost -> `[N, H', W', C]`.
///
/// # Panics
/// When shapes disagree.
pub fn stem(x: Tensor<4>, w: &ConvWeights, window: Window) -> Tensor<4> {
    let [images, height, width, colours] = x.dims();
    let [channels, depth] = w.dims;
    assert_eq!(colours, 3, "stem: colours");
    assert_eq!(depth, 3 * window.kernel * window.kernel, "stem: weights");
    let [rows, columns] = [height, width].map(|side| window.outputs(side));
    #[cfg(feature = "cpu")]
    if let Form::Packed(packed) = &w.form {
        let (device, sizes) = (x.device(), sizes([height, width], window));
        let x = flex::storage(x.inner().reshape([images, height * width * 3]));
        let mut out = vec![0.0; images * rows * columns * channels];
        let maps = out.chunks_exact_mut((rows * columns * channels).max(1));
        for (x, out) in flex::slice(&x).chunks_exact(height * width * 3).zip(maps) {
            let weights = packed;
            flex::simd(Stem {
                sizes,
                x,
                weights,
                out,
            });
        }
        return Tensor::from_data(
            TensorData::new(out, [images, rows, columns, channels]),
            &device,
        );
    }
    let patches = reference::patches(x.inner(), window);
    let patches = patches.reshape([images * rows * columns, depth]);
    pointwise(patches, w, None, true).reshape([images, rows, columns, channels])
}

/// A convolution of neighbours, each channel by itself, with its bias, kept in 0..=6.
///
/// # Shapes
/// x `[N, H, W, C]`, w `[kernel * kernel, C]` (rows of the kernel one after the other), bias `[C]` -> `[N, H', W', C]`.
///
/// # Panics
/// When shapes disagree.
pub fn depthwise(x: Tensor<4>, w: Tensor<2>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    let [images, height, width, channels] = x.dims();
    let taps = window.kernel * window.kernel;
    assert_eq!(w.dims(), [taps, channels], "depthwise: weights");
    assert_eq!(bias.dims(), [channels], "depthwise: bias");
    let (x, w, bias) = (x.inner(), w.inner(), bias.inner());
    #[cfg(feature = "cube")]
    if on_kernels(&x.device(), &[x.dtype(), w.dtype(), bias.dtype()]) {
        let sizes = kernels::depthwise::Sizes {
            images,
            input: [height, width],
            channels,
            output: [height, width].map(|side| window.outputs(side)),
            kernel: window.kernel,
            stride: window.stride,
            before: window.before,
        };
        let (x, w) = (kernels::into_cube(x), kernels::into_cube(w));
        let bias = kernels::into_cube(bias);
        return kernels::from_cube(kernels::depthwise::run(&x, &w, &bias, sizes));
    }
    #[cfg(feature = "cpu")]
    if on_flex(&x.device(), x.dtype()) && Depthwise::supports(window.kernel, window.stride) {
        let device = x.device();
        let sizes = sizes([height, width], window);
        let [rows, columns] = sizes.output;
        let x = flex::storage(x.reshape([images, height * width * channels]));
        let (w, bias) = (flex::storage(w), flex::storage(bias.reshape([1, channels])));
        let mut out = vec![0.0; images * rows * columns * channels];
        let maps = out.chunks_exact_mut((rows * columns * channels).max(1));
        for (x, out) in flex::slice(&x)
            .chunks_exact(height * width * channels)
            .zip(maps)
        {
            flex::simd(Depthwise {
                sizes,
                x,
                weights: flex::slice(&w),
                bias: flex::slice(&bias),
                out,
            });
        }
        return Tensor::from_data(
            TensorData::new(out, [images, rows, columns, channels]),
            &device,
        );
    }
    let _ = (images, height, width);
    reference::depthwise(x, w, bias, window)
}

#[cfg(feature = "cpu")]
pub(super) fn sizes(input: [usize; 2], window: Window) -> Sizes {
    Sizes {
        input,
        output: input.map(|side| window.outputs(side)),
        padding: [window.before; 2],
        kernel: window.kernel,
        stride: window.stride,
    }
}
