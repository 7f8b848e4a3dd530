//! Launches of `matvec.wgsl` and of its gated relative: a few rows of activations.

use super::Access::{Read, Write};
use super::product::{FINISHES, Finish, LAYOUTS, WEIGHTS, Weights, finishes, launched, layouts};
use super::{Grid, Kernel, common};
use crate::blocks::{BLOCK, Layout};
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../../shaders/matvec.wgsl");
const GATED_MAIN: &str = include_str!("../../../../shaders/matvec_gated.wgsl");
const WORKGROUP: u32 = 64;

/// Invocations that share a row of the matrix; `LANES` of the text.
pub const LANES: u32 = 32;

/// Table entries, by layout of the weights and by what becomes of the sums.
pub static ENTRIES: [[Kernel; FINISHES]; WEIGHTS] = layouts!(
    finishes,
    "matvec",
    WORKGROUP,
    [common::GRID, common::REDUCE, common::ROW_DOT, MAIN]
);

/// The table entry of the gated text with a layout.
macro_rules! gated {
    ($name:literal, $layout:literal, [$($blocks:expr),*]) => {
        Kernel::new(
            concat!($name, $layout),
            &[
                common::GRID,
                common::REDUCE,
                $($blocks,)*
                common::SILU,
                common::ROW_DOT,
                GATED_MAIN,
            ],
            WORKGROUP,
            &[Read, Read, Write],
            4,
        )
    };
}

/// Table entries of the gated text, by layout of the weights.
pub static GATED: [Kernel; LAYOUTS] = layouts!(quantised gated, "matvec_gated");

/// Workgroups for M rows of activations times N rows of the matrix.
pub fn plan(m: usize, n: usize) -> Grid {
    Grid::folded(n.div_ceil((WORKGROUP / LANES) as usize), m)
}

/// x `[M, K]`, blocks `[N, words]` of `weights` -> `[M, N]`.
pub(crate) fn run(
    x: &CubeTensor,
    blocks: &CubeTensor,
    weights: Weights,
    finish: Finish<'_>,
) -> CubeTensor {
    let [n, _] = blocks.meta.shape().dims();
    let kernel = &ENTRIES[weights.index()][finish.index()];
    started(kernel, [x, blocks], finish, n)
}

/// x `[M, K]`, blocks `[2 N, words]` of `layout`, of a gate and what it lets through -> `silu(x gateᵀ) (x upᵀ)` `[M, N]`.
pub(crate) fn run_gated(x: &CubeTensor, blocks: &CubeTensor, layout: Layout) -> CubeTensor {
    let [both, _] = blocks.meta.shape().dims();
    let kernel = &GATED[layout as usize];
    started(kernel, [x, blocks], Finish::Put, both / 2)
}

fn started(
    kernel: &'static Kernel,
    [x, blocks]: [&CubeTensor; 2],
    finish: Finish<'_>,
    n: usize,
) -> CubeTensor {
    let [m, k] = x.meta.shape().dims();
    let [_, row_words] = blocks.meta.shape().dims();
    let params = [n, row_words, k / BLOCK, k / 4];
    launched(kernel, plan(m, n), [x, blocks], finish, [m, n], params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_two_rows_and_a_slice_one_activation() {
        assert_eq!(plan(1, 576), Grid([288, 1, 1]));
        assert_eq!(plan(3, 5), Grid([3, 1, 3]));
    }
}
