//! Launch of `foremost.wgsl`: the likeliest tokens of each row, and the sum of which each one's probability is a share.

use super::Access::{Read, Write};
use super::{Grid, Kernel, MAX_GROUPS, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Invocations, each of which has a largest number.
pub const WORKGROUP: u32 = 256;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "foremost",
    &[include_str!("../../../../shaders/foremost.wgsl")],
    WORKGROUP,
    // Room behind what was found stays as it is, and nobody reads it.
    &[Read, Write],
    3,
);

/// Columns up to which a column is a whole number of f32.
pub const MAX_COLUMNS: usize = 1 << 24;

/// Numbers a row of the result has room for. Of numbers in no order the bound leaves 1.1 k of small k, and 1.4 k of the largest, for which
/// there are two invocations each.
pub const fn room(k: usize) -> usize {
    if k == 1 { 1 } else { 2 * k }
}

/// A workgroup a row.
///
/// # Panics
/// For more rows than a grid dimension holds.
pub fn plan(rows: usize) -> Grid {
    assert!(rows <= MAX_GROUPS, "foremost: {rows} rows");
    Grid([rows as u32, 1, 1])
}

/// logits `[R, C]`, k up to half the invocations -> `[R, 2 + 2 room(k)]`: how many were found; sum of
/// `exp(logit - largest)`; column and logit of each.
pub(crate) fn run(logits: &CubeTensor, k: usize) -> CubeTensor {
    let [rows, columns] = logits.meta.shape().dims();
    let room = room(k);
    let front = launch::output(logits, [rows, 2 + 2 * room], DType::F32);
    let params = [word(columns), word(k), word(room)];
    launch::launch(&KERNEL, plan(rows), &[logits, &front], &params);
    front
}
