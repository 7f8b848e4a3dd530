//! Convolutions over maps with channels last: a product over channels, and neighbours channel by channel.

use burn::tensor::Tensor;

use super::reference;
#[cfg(feature = "cube")]
use crate::kernels;

/// A convolution over neighbours: its kernel, its stride and the zeros around its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Rows of zeros above, and columns on the left.
    pub before: usize,
    /// Rows of zeros below, and columns on the right.
    pub after: usize,
}

impl Window {
    /// The padding that gives `side / stride` outputs, rounded up, on a side ("same").
    pub fn same(kernel: usize, stride: usize, side: usize) -> Self {
        let outputs = side.div_ceil(stride);
        let whole = ((outputs.saturating_sub(1)) * stride + kernel).saturating_sub(side);
        Self {
            kernel,
            stride,
            before: whole / 2,
            after: whole - whole / 2,
        }
    }

    /// Outputs along a side.
    pub fn outputs(&self, side: usize) -> usize {
        (side + self.before + self.after + self.stride).saturating_sub(self.kernel) / self.stride
    }
}

/// A convolution of one pixel with its bias: `x wᵀ + bias`, plus `added`, kept in 0..=6 if `clamp`.
///
/// # Shapes
/// x `[M, K]`, w `[N, K]`, bias `[N]`, added and output `[M, N]`.
///
/// # Panics
/// When shapes disagree.
pub fn pointwise(
    x: Tensor<2>,
    w: Tensor<2>,
    bias: Tensor<1>,
    added: Option<Tensor<2>>,
    clamp: bool,
) -> Tensor<2> {
    assert_eq!(x.dims()[1], w.dims()[1], "pointwise: channels");
    assert_eq!(w.dims()[0], bias.dims()[0], "pointwise: bias");
    let (x, w, bias) = (x.inner(), w.inner(), bias.inner());
    reference::pointwise(x, w, bias, added.map(Tensor::inner), clamp)
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
    #[cfg(not(feature = "cube"))]
    let _ = (images, height, width);
    let taps = window.kernel * window.kernel;
    assert_eq!(w.dims(), [taps, channels], "depthwise: weights");
    assert_eq!(bias.dims(), [channels], "depthwise: bias");
    let (x, w, bias) = (x.inner(), w.inner(), bias.inner());
    #[cfg(feature = "cube")]
    if super::on_kernels(&x.device(), &[x.dtype(), w.dtype(), bias.dtype()]) {
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
    reference::depthwise(x, w, bias, window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_gives_a_stride_of_outputs() {
        for side in 1..50 {
            for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
                let window = Window::same(kernel, stride, side);
                assert_eq!(
                    window.outputs(side),
                    side.div_ceil(stride),
                    "{window:?} on {side}"
                );
            }
        }
    }
}
