//! Launch of `rotate.wgsl`: heads turned by rotary positions.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "rotate",
    &[
        common::GRID,
        common::TURNS,
        include_str!("../../../../shaders/rotate.wgsl"),
    ],
    WORKGROUP,
    &[Read, Read, Read, Write],
    5,
);

/// An invocation a number.
pub fn plan(numbers: usize) -> Grid {
    Grid::folded(numbers.div_ceil(WORKGROUP as usize), 1)
}

/// x `[B, H, T, D]`, cosines and sines `[B or 1, 1, T, D]` -> `[B, H, T, D]`.
pub(crate) fn run(x: &CubeTensor, cos: &CubeTensor, sin: &CubeTensor) -> CubeTensor {
    let [batch, heads, tokens, width] = x.meta.shape().dims();
    let [tables, ..] = cos.meta.shape().dims::<4>();
    let own = heads * tokens * width;
    let y = launch::output(x, [batch, heads, tokens, width], DType::F32);
    let params = [batch * own, own, tokens * width, width, tables];
    let grid = plan(batch * own);
    launch::launch(&KERNEL, grid, &[x, cos, sin, &y], &params.map(word));
    y
}
