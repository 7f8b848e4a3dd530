//! Launch of `matmul.wgsl`: many rows of activations.

use super::product::{FINISHES, Finish, WEIGHTS, Weights, finishes, launched, layouts};
use super::{Grid, Kernel, common};
use crate::blocks::BLOCK;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../../shaders/matmul.wgsl");
const WORKGROUP: u32 = 256;
/// Rows and columns of a workgroup's share of the product; `TILE` of the text. On an NVIDIA H200 none was quicker by more than
/// noise, for few tiles or many: tests/benches/RESULTS.md.
pub const TILE: usize = 64;

/// Table entries, by layout of the weights and by what becomes of the sums.
pub static ENTRIES: [[Kernel; FINISHES]; WEIGHTS] =
    layouts!(finishes, "matmul", WORKGROUP, [common::GRID, MAIN]);

/// Workgroups for M rows of activations times N rows of the matrix.
pub fn plan(m: usize, n: usize) -> Grid {
    Grid::folded(n.div_ceil(TILE), m.div_ceil(TILE))
}

/// x `[M, K]`, blocks `[N, words]` of `weights` -> `[M, N]`.
pub(crate) fn run(
    x: &CubeTensor,
    blocks: &CubeTensor,
    weights: Weights,
    finish: Finish<'_>,
) -> CubeTensor {
    let [m, k] = x.meta.shape().dims();
    let [n, row_words] = blocks.meta.shape().dims();
    let kernel = &ENTRIES[weights.index()][finish.index()];
    let params = [m, n, row_words, k / BLOCK];
    launched(kernel, plan(m, n), [x, blocks], finish, n, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_a_square_of_the_product() {
        assert_eq!(plan(9, 576), Grid([9, 1, 1]));
        assert_eq!(plan(65, 33), Grid([1, 1, 2]));
    }
}
