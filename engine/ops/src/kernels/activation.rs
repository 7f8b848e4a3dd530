//! Launch of `activation.wgsl`: GELU, exact and approximate.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../../shaders/activation.wgsl");
const WORKGROUP: u32 = 64;

/// Activations that are texts of `shaders/common`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gelu {
    /// `gelu.wgsl`
    Exact,
    /// `gelu_tanh.wgsl`
    Tanh,
}

/// Table entry of the exact GELU.
pub static GELU: Kernel = Kernel::new(
    "gelu",
    &[common::GRID, common::GELU, MAIN],
    WORKGROUP,
    &[Read, Write],
    1,
);

/// Table entry of its approximation.
pub static GELU_TANH: Kernel = Kernel::new(
    "gelu_tanh",
    &[common::GRID, common::SILU, common::GELU_TANH, MAIN],
    WORKGROUP,
    &[Read, Write],
    1,
);

/// An invocation a number.
pub fn plan(numbers: usize) -> Grid {
    Grid::folded(numbers.div_ceil(WORKGROUP as usize), 1)
}

/// x of any shape -> the same shape.
pub(crate) fn run(x: &CubeTensor, gelu: Gelu) -> CubeTensor {
    let numbers = x.meta.shape().num_elements();
    let y = launch::output(x, x.meta.shape().clone(), DType::F32);
    let kernel = match gelu {
        Gelu::Exact => &GELU,
        Gelu::Tanh => &GELU_TANH,
    };
    launch::launch(kernel, plan(numbers), &[x, &y], &[word(numbers)]);
    y
}
