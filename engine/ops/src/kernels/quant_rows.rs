//! Launch of `quant_rows.wgsl`: rows of a quantised matrix as numbers.

use super::Access::{Read, Write};
use super::product::{LAYOUTS, layouts};
use super::{Grid, Kernel, common, launch, word};
use crate::blocks::{BLOCK, Layout};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../../shaders/quant_rows.wgsl");
const WORKGROUP: u32 = 64;

/// The table entry with a layout.
macro_rules! entry {
    ($name:literal, $layout:literal, [$($blocks:expr),*]) => {
        Kernel::new(
            concat!($name, $layout),
            &[common::GRID, $($blocks,)* MAIN],
            WORKGROUP,
            &[Read, Read, Write],
            3,
        )
    };
}

/// Table entries, by layout of the weights.
pub static ENTRIES: [Kernel; LAYOUTS] = layouts!(quantised entry, "quant_rows");

/// Pieces of a block that are work for an invocation each: `UNITS` of the layouts' texts.
const fn units(layout: Layout) -> usize {
    match layout {
        Layout::Q4_0 | Layout::A4 => 4,
        Layout::Q8_0 | Layout::A8 => 8,
    }
}

/// An invocation a piece of a block.
pub fn plan(pieces: usize) -> Grid {
    Grid::folded(pieces.div_ceil(WORKGROUP as usize), 1)
}

/// blocks `[N, words]` of `layout` in rows of `cols` weights, numbers `[count]` of rows -> `[count, cols]`.
pub(crate) fn run(
    blocks: &CubeTensor,
    numbers: &CubeTensor,
    layout: Layout,
    cols: usize,
) -> CubeTensor {
    let [count] = numbers.meta.shape().dims();
    let [_, row_words] = blocks.meta.shape().dims();
    let y = launch::output(blocks, [count, cols], DType::F32);
    let pieces = count * cols / BLOCK * units(layout);
    let params = [pieces, row_words, cols / BLOCK].map(word);
    let kernel = &ENTRIES[layout as usize];
    launch::launch(kernel, plan(pieces), &[blocks, numbers, &y], &params);
    y
}
