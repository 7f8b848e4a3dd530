//! Launch of `layer_norm.wgsl`: mean and variance of the last axis.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "layer_norm",
    &[
        common::GRID,
        common::REDUCE,
        include_str!("../../../../shaders/layer_norm.wgsl"),
    ],
    64,
    &[Read, Read, Read, Write],
    3,
);

/// A workgroup a row.
pub fn plan(rows: usize) -> Grid {
    Grid::folded(rows, 1)
}

/// x `[rows, width]`, weight and bias `[width]` -> `[rows, width]`.
pub(crate) fn run(x: &CubeTensor, weight: &CubeTensor, bias: &CubeTensor, eps: f64) -> CubeTensor {
    let [rows, width] = x.meta.shape().dims();
    let y = launch::output(x, [rows, width], DType::F32);
    let params = [word(rows), word(width), (eps as f32).to_bits()];
    launch::launch(&KERNEL, plan(rows), &[x, weight, bias, &y], &params);
    y
}
