//! Launch of `gated_silu.wgsl`: a gate and what it lets through.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "gated_silu",
    &[
        common::GRID,
        common::SILU,
        include_str!("../../../../shaders/gated_silu.wgsl"),
    ],
    WORKGROUP,
    &[Read, Read, Write],
    1,
);

/// An invocation a number.
pub fn plan(numbers: usize) -> Grid {
    Grid::folded(numbers.div_ceil(WORKGROUP as usize), 1)
}

/// gate and up of one shape -> the same shape.
pub(crate) fn run(gate: &CubeTensor, up: &CubeTensor) -> CubeTensor {
    let numbers = gate.meta.shape().num_elements();
    let y = launch::output(gate, gate.meta.shape().clone(), DType::F32);
    launch::launch(&KERNEL, plan(numbers), &[gate, up, &y], &[word(numbers)]);
    y
}
