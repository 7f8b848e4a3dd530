//! Launch of `cosine_scores.wgsl`: every query against every row of the index.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Invocations that share a row of the index; `LANES` of the text.
pub const LANES: u32 = 32;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "cosine_scores",
    &[
        common::GRID,
        common::REDUCE,
        include_str!("../../../../shaders/cosine_scores.wgsl"),
    ],
    WORKGROUP,
    &[Read, Read, Write],
    2,
);

/// Workgroups for Q queries times N rows of the index.
pub fn plan(queries: usize, rows: usize) -> Grid {
    Grid::folded(rows.div_ceil((WORKGROUP / LANES) as usize), queries)
}

/// queries `[Q, D]`, index `[N, D]` -> scores `[Q, N]`.
pub(crate) fn run(queries: &CubeTensor, index: &CubeTensor) -> CubeTensor {
    let [count, width] = queries.meta.shape().dims();
    let [rows, _] = index.meta.shape().dims();
    let scores = launch::output(queries, [count, rows], DType::F32);
    let grid = plan(count, rows);
    launch::launch(
        &KERNEL,
        grid,
        &[queries, index, &scores],
        &[word(rows), word(width)],
    );
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_two_rows_and_a_slice_one_query() {
        assert_eq!(plan(2, 7), Grid([4, 1, 2]));
        assert_eq!(plan(1, 200_000), Grid([50_000, 2, 1]));
    }
}
