//! Launches of `matmul.wgsl`: many rows of activations, or a batch of products.

use super::Access::{Read, Write};
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

/// Workgroups for a batch of M rows of activations times N rows of a matrix.
pub fn plan(batch: usize, m: usize, n: usize) -> Grid {
    Grid::folded(n.div_ceil(TILE), batch * m.div_ceil(TILE))
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
    launched(kernel, plan(1, m, n), [x, blocks], finish, [m, n], params)
}

/// x `[B, M, K]`, w `[B, N, K]`, K a multiple of [`BLOCK`] -> `x wᵀ` of each, `[B, M, N]`.
pub(crate) fn run_batch(x: &CubeTensor, w: &CubeTensor) -> CubeTensor {
    let [batch, m, k] = x.meta.shape().dims();
    let [_, n, _] = w.meta.shape().dims();
    let kernel = &ENTRIES[Weights::F32.index()][Finish::Put.index()];
    let params = [m, n, k, k / BLOCK];
    let shape = [batch, m, n];
    launched(
        kernel,
        plan(batch, m, n),
        [x, w],
        Finish::Put,
        shape,
        params,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_a_square_of_the_product() {
        assert_eq!(plan(1, 9, 576), Grid([9, 1, 1]));
        assert_eq!(plan(1, 65, 33), Grid([1, 1, 2]));
        assert_eq!(plan(3, 65, 33), Grid([1, 1, 6]));
    }
}
