//! Launches of `top_k.wgsl`: the winners of every chunk, then the winners of the winners.

use super::Access::{Read, Write};
use super::{Grid, Kernel, MAX_GROUPS, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "top_k",
    &[include_str!("../../../../shaders/top_k.wgsl")],
    256,
    &[Read, Write, Write],
    4,
);

/// Entries a workgroup looks through: small enough to stay in its cache over the k passes.
const CHUNK: usize = 4096;

/// Largest k: a workgroup passes over its chunk k times, and drivers may stop long-running loops
/// (Mesa's software adapter does so, silently, after 65535 iterations an invocation).
pub const MAX_K: usize = 512;

/// How one launch shrinks rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Chunks a row; 1 is the last launch.
    pub chunks: usize,
    /// A workgroup a chunk, a slice a row.
    pub grid: Grid,
}

/// Plan for rows of `columns` entries; a launch leaves `chunks * k` of them.
///
/// # Panics
/// For more rows or chunks than a grid dimension holds.
pub fn plan(rows: usize, columns: usize) -> Plan {
    let chunks = columns.div_ceil(CHUNK);
    assert!(
        chunks <= MAX_GROUPS && rows <= MAX_GROUPS,
        "top_k of [{rows}, {columns}] exceeds the {MAX_GROUPS} workgroups a grid dimension holds"
    );
    Plan {
        chunks,
        grid: Grid([chunks as u32, 1, rows as u32]),
    }
}

/// One launch: scores `[R, C]`, finite and above `f32::MIN`, k up to [`MAX_K`] -> winners `[R, chunks * k]` and their columns.
///
/// Winners keep the order of their chunks, so equal scores stay in column order.
pub(crate) fn run(scores: &CubeTensor, k: usize) -> (CubeTensor, CubeTensor) {
    let [rows, columns] = scores.meta.shape().dims();
    let Plan { chunks, grid } = plan(rows, columns);
    let top_scores = launch::output(scores, [rows, chunks * k], DType::F32);
    let top_columns = launch::output(scores, [rows, chunks * k], DType::I32);
    let params = [word(columns), word(CHUNK), word(k), word(chunks)];
    launch::launch(&KERNEL, grid, &[scores, &top_scores, &top_columns], &params);
    (top_scores, top_columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_shrink_to_one_chunk() {
        let grid = Grid([1, 1, 3]);
        assert_eq!(plan(3, 100), Plan { chunks: 1, grid });
        assert_eq!(plan(1, 100_000).chunks, 25);
        for k in [1, 5, MAX_K] {
            let (mut columns, mut launches) = (1_000_000, 0);
            while columns > k {
                columns = plan(1, columns).chunks * k;
                launches += 1;
            }
            assert!(launches <= 4, "{launches} launches for k = {k}");
        }
    }
}
