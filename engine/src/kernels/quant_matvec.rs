//! Launch of `quant_matvec.wgsl` with one of the block formats of `shaders/common`.

use super::{Grid, Kernel, common, launch, word};
use crate::blocks::{BLOCK, QuantKind};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../shaders/quant_matvec.wgsl");
const WORKGROUP: u32 = 64;

/// Invocations that share a row of the matrix; `LANES` of the text.
pub const LANES: u32 = 32;

/// Table entry for Q4_0 blocks.
pub static Q4_0: Kernel = Kernel::new(
    "quant_matvec_q4_0",
    &[
        common::GRID,
        common::REDUCE,
        common::GGML,
        common::Q4_0,
        MAIN,
    ],
    WORKGROUP,
    3,
    4,
);

/// Table entry for Q8_0 blocks.
pub static Q8_0: Kernel = Kernel::new(
    "quant_matvec_q8_0",
    &[
        common::GRID,
        common::REDUCE,
        common::GGML,
        common::Q8_0,
        MAIN,
    ],
    WORKGROUP,
    3,
    4,
);

/// Workgroups for M rows of activations times N rows of the matrix.
pub fn plan(m: usize, n: usize) -> Grid {
    Grid::folded(n.div_ceil((WORKGROUP / LANES) as usize), m)
}

/// x `[M, K]`, blocks `[N, words]` of `kind` -> `[M, N]`.
pub(crate) fn run(x: &CubeTensor, blocks: &CubeTensor, kind: QuantKind) -> CubeTensor {
    let [m, k] = x.meta.shape().dims();
    let [n, row_words] = blocks.meta.shape().dims();
    let kernel = match kind {
        QuantKind::Q4_0 => &Q4_0,
        QuantKind::Q8_0 => &Q8_0,
        other => unreachable!("{other:?} is expanded when it is read (`QuantMatrix::keeps`)"),
    };
    let y = launch::output(x, [m, n], DType::F32);
    let params = [word(n), word(row_words), word(k / BLOCK), word(k / 4)];
    launch::launch(kernel, plan(m, n), &[x, blocks, &y], &params);
    y
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
