//! Launch of `quant_rows.wgsl`: rows of a matrix as numbers, with one of the block formats of `shaders/common`.

use super::{Grid, Kernel, common, launch, word};
use crate::blocks::{BLOCK, QuantKind};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../shaders/quant_rows.wgsl");
const WORKGROUP: u32 = 64;

/// Table entry for Q4_0 blocks.
pub static Q4_0: Kernel = Kernel::new(
    "quant_rows_q4_0",
    &[common::GRID, common::GGML, common::Q4_0, MAIN],
    WORKGROUP,
    3,
    3,
);

/// Table entry for Q8_0 blocks.
pub static Q8_0: Kernel = Kernel::new(
    "quant_rows_q8_0",
    &[common::GRID, common::GGML, common::Q8_0, MAIN],
    WORKGROUP,
    3,
    3,
);

/// An invocation a piece of a block.
pub fn plan(pieces: usize) -> Grid {
    Grid::folded(pieces.div_ceil(WORKGROUP as usize), 1)
}

/// blocks `[N, words]` of `kind` in rows of `cols` weights, numbers `[count]` of rows -> `[count, cols]`.
pub(crate) fn run(
    blocks: &CubeTensor,
    numbers: &CubeTensor,
    kind: QuantKind,
    cols: usize,
) -> CubeTensor {
    // `UNITS` of the texts of both formats.
    let (kernel, units) = match kind {
        QuantKind::Q4_0 => (&Q4_0, 4),
        QuantKind::Q8_0 => (&Q8_0, 8),
        other => unreachable!("{other:?} is expanded when it is read (`QuantMatrix::keeps`)"),
    };
    let [count] = numbers.meta.shape().dims();
    let [_, row_words] = blocks.meta.shape().dims();
    let y = launch::output(blocks, [count, cols], DType::F32);
    let pieces = count * cols / BLOCK * units;
    let params = [pieces, row_words, cols / BLOCK].map(word);
    launch::launch(kernel, plan(pieces), &[blocks, numbers, &y], &params);
    y
}
