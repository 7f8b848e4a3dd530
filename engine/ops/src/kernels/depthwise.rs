//! Launch of `depthwise.wgsl`: neighbours of a map with channels last, each channel by itself.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "depthwise",
    &[
        common::GRID,
        include_str!("../../../../shaders/depthwise.wgsl"),
    ],
    WORKGROUP,
    &[Read, Read, Read, Write],
    9,
);

/// Sizes of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Maps.
    pub images: usize,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Channels.
    pub channels: usize,
    /// Rows and columns of the output.
    pub output: [usize; 2],
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Rows of zeros above the input, and columns on its left.
    pub before: usize,
}

impl Sizes {
    fn outputs(&self) -> usize {
        self.images * self.output[0] * self.output[1] * self.channels
    }
}

/// An invocation an output.
pub fn plan(sizes: Sizes) -> Grid {
    Grid::folded(sizes.outputs().div_ceil(WORKGROUP as usize), 1)
}

/// x `[N, H, W, C]`, w `[kernel * kernel, C]`, bias `[C]` -> `[N, H', W', C]`, in 0..=6.
pub(crate) fn run(x: &CubeTensor, w: &CubeTensor, bias: &CubeTensor, sizes: Sizes) -> CubeTensor {
    let Sizes {
        images,
        input,
        channels,
        output,
        kernel,
        stride,
        before,
    } = sizes;
    let y = launch::output(x, [images, output[0], output[1], channels], DType::F32);
    let params = [
        sizes.outputs(),
        input[0],
        input[1],
        channels,
        output[0],
        output[1],
        kernel,
        stride,
        before,
    ];
    launch::launch(&KERNEL, plan(sizes), &[x, w, bias, &y], &params.map(word));
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_serves_an_output() {
        let sizes = Sizes {
            images: 2,
            input: [9, 7],
            channels: 24,
            output: [5, 4],
            kernel: 3,
            stride: 2,
            before: 1,
        };
        assert_eq!(plan(sizes), Grid([15, 1, 1]));
    }
}
