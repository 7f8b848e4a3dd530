//! Launch of `gelu_tanh.wgsl`: the approximate GELU.

use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "gelu_tanh",
    &[
        common::GRID,
        common::SILU,
        include_str!("../../../shaders/gelu_tanh.wgsl"),
    ],
    WORKGROUP,
    2,
    1,
);

/// An invocation a number.
pub fn plan(numbers: usize) -> Grid {
    Grid::folded(numbers.div_ceil(WORKGROUP as usize), 1)
}

/// x of any shape -> the same shape.
pub(crate) fn run(x: &CubeTensor) -> CubeTensor {
    let numbers = x.meta.shape().num_elements();
    let y = launch::output(x, x.meta.shape().clone(), DType::F32);
    launch::launch(&KERNEL, plan(numbers), &[x, &y], &[word(numbers)]);
    y
}
