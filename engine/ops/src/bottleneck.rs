//! Inverted bottlenecks, the blocks of mobile networks: on the CPU strip by strip, elsewhere one convolution after the other.

use burn::tensor::Tensor;
#[cfg(feature = "cpu")]
use burn::tensor::TensorData;

use super::conv_weights::ConvWeights;
#[cfg(feature = "cpu")]
use super::conv_weights::Form;
use super::conv_window::Window;
#[cfg(feature = "cpu")]
use super::convolution::sizes;
use super::convolution::{depthwise, pointwise_map};
#[cfg(feature = "cpu")]
use super::dispatch::on_flex;
#[cfg(feature = "cpu")]
use super::flex;
#[cfg(feature = "cpu")]
use super::flex_bottleneck;
#[cfg(feature = "cpu")]
use super::flex_depthwise::Depthwise;

/// An inverted bottleneck (Sandler et al., CVPR 2018, Section 3.3), its batch norms folded: maps are expanded, convolved channel by
/// channel, and projected.
#[derive(Debug)]
pub struct Bottleneck<'a> {
    /// `[inner, in]`; `None` where the input is as wide as the inner maps.
    pub expand: Option<&'a ConvWeights>,
    /// `[kernel * kernel, inner]` and `[inner]`.
    pub depthwise: (Tensor<2>, Tensor<1>),
    /// Of the depthwise convolution.
    pub window: Window,
    /// `[out, inner]`.
    pub project: &'a ConvWeights,
    /// Whether the input, of the output's shape, is added.
    pub residual: bool,
}

/// The expansion and the depthwise convolution are kept in 0..=6.
///
/// # Shapes
/// x `[N, H, W, in]` -> `[N, H', W', out]`.
///
/// # Panics
/// When shapes disagree.
pub fn bottleneck(x: Tensor<4>, block: Bottleneck<'_>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_flex(&x.device(), x.dtype())
        && Depthwise::supports(block.window.kernel, block.window.stride)
    {
        return on_strips(x, block);
    }
    one_by_one(x, block)
}

/// [`bottleneck`] as three convolutions, whose results are held whole.
///
/// # Panics
/// When shapes disagree.
pub fn one_by_one(x: Tensor<4>, block: Bottleneck<'_>) -> Tensor<4> {
    let inner = match block.expand {
        Some(expand) => pointwise_map(x.clone(), expand, None, true),
        None => x.clone(),
    };
    let (weight, bias) = block.depthwise;
    let inner = depthwise(inner, weight, bias, block.window);
    pointwise_map(inner, block.project, block.residual.then_some(x), false)
}

#[cfg(feature = "cpu")]
fn on_strips(x: Tensor<4>, block: Bottleneck<'_>) -> Tensor<4> {
    let [images, height, width, channels] = x.dims();
    let (weight, bias) = &block.depthwise;
    let ([outputs, inner], [taps, wide]) = (block.project.dims(), weight.dims());
    let expands = block.expand.map_or([channels, channels], ConvWeights::dims);
    assert_eq!(expands, [inner, channels], "bottleneck: expansion");
    assert_eq!(wide, inner, "bottleneck: depthwise weights");
    assert_eq!(bias.dims(), [inner], "bottleneck: depthwise bias");
    let side = block.window.kernel;
    assert_eq!(taps, side * side, "bottleneck: kernel");
    let sizes = sizes([height, width], block.window);
    let [rows, columns] = sizes.output;
    let same = [rows, columns, outputs] == [height, width, channels];
    assert!(same || !block.residual, "bottleneck: residual");
    let packed = |weights: &'_ ConvWeights| match &weights.form {
        Form::Packed(packed) => Some(packed.clone()),
        Form::Dense(_) => None,
    };
    let (expand, project) = (block.expand.map(packed), packed(block.project));
    let (Some(project), false) = (project, matches!(expand, Some(None))) else {
        return one_by_one(x, block);
    };
    let expand = expand.flatten();
    let device = x.device();
    let x = flex::storage(x.inner().reshape([images, height * width * channels]));
    let weight = flex::storage(weight.clone().inner());
    let bias = flex::storage(bias.clone().inner().reshape([1, inner]));
    let mut out = vec![0.0; images * rows * columns * outputs];
    let maps = out.chunks_exact_mut((rows * columns * outputs).max(1));
    let images_in = flex::slice(&x).chunks_exact((height * width * channels).max(1));
    for (x, out) in images_in.zip(maps) {
        flex_bottleneck::Bottleneck {
            expand: expand.as_deref(),
            sizes,
            weights: flex::slice(&weight),
            bias: flex::slice(&bias),
            project: &project,
            residual: block.residual,
            x,
            out,
        }
        .run();
    }
    Tensor::from_data(
        TensorData::new(out, [images, rows, columns, outputs]),
        &device,
    )
}
