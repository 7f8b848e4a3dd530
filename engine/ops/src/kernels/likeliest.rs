//! Launch of `likeliest.wgsl`: the likeliest token of each row, and the sum its probability is a share of.

use super::{Grid, Kernel, MAX_GROUPS, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "likeliest",
    &[include_str!("../../../../shaders/likeliest.wgsl")],
    256,
    2,
    1,
);

/// Columns up to which a column is a whole number of f32.
pub const MAX_COLUMNS: usize = 1 << 24;

/// A workgroup a row.
///
/// # Panics
/// For more rows than a grid dimension holds.
pub fn plan(rows: usize) -> Grid {
    assert!(rows <= MAX_GROUPS, "likeliest: {rows} rows");
    Grid([rows as u32, 1, 1])
}

/// logits `[R, C]` -> `[R, 2]`: column, -1 where no logit is finite; sum of `exp(logit - largest)`.
pub(crate) fn run(logits: &CubeTensor) -> CubeTensor {
    let [rows, columns] = logits.meta.shape().dims();
    let best = launch::output(logits, [rows, 2], DType::F32);
    launch::launch(&KERNEL, plan(rows), &[logits, &best], &[word(columns)]);
    best
}
