//! Launch of `matmul.wgsl`: with one of the block formats of `shaders/common`.

use super::format::Format;
use super::{Grid, Kernel, common, launch, word};
use crate::blocks::BLOCK;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../shaders/matmul.wgsl");
const WORKGROUP: u32 = 256;
/// Rows and columns of a workgroup's share of the product; `TILE` of the text. On an NVIDIA H200 none was quicker by more than
/// noise, for few tiles or many: tests/benches/RESULTS.md.
pub const TILE: usize = 64;

/// Table entry for f32.
pub static F32: Kernel = Kernel::new(
    "matmul_f32",
    &[common::GRID, common::F32, MAIN],
    WORKGROUP,
    3,
    4,
);

/// Table entry for Q4_0 blocks.
pub static Q4_0: Kernel = Kernel::new(
    "matmul_q4_0",
    &[common::GRID, common::GGML, common::Q4_0, MAIN],
    WORKGROUP,
    3,
    4,
);

/// Table entry for Q8_0 blocks.
pub static Q8_0: Kernel = Kernel::new(
    "matmul_q8_0",
    &[common::GRID, common::GGML, common::Q8_0, MAIN],
    WORKGROUP,
    3,
    4,
);

/// Workgroups for M rows of activations times N rows of the matrix.
pub fn plan(m: usize, n: usize) -> Grid {
    Grid::folded(n.div_ceil(TILE), m.div_ceil(TILE))
}

/// x `[M, K]`, blocks `[N, words]` of `format` -> `[M, N]`.
pub(crate) fn run(x: &CubeTensor, blocks: &CubeTensor, format: Format) -> CubeTensor {
    let [m, k] = x.meta.shape().dims();
    let [n, row_words] = blocks.meta.shape().dims();
    let kernel = match format {
        Format::F32 => &F32,
        Format::Q4_0 => &Q4_0,
        Format::Q8_0 => &Q8_0,
    };
    let y = launch::output(x, [m, n], DType::F32);
    let params = [m, n, row_words, k / BLOCK].map(word);
    launch::launch(kernel, plan(m, n), &[x, blocks, &y], &params);
    y
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
