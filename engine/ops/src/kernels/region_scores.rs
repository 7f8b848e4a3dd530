//! Launch of `region_scores.wgsl`: every window of a feature map against every reference.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// References that share a window's embedding; `BLOCK` of the text.
const BLOCK: usize = 4;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "region_scores",
    &[
        common::GRID,
        common::REDUCE,
        include_str!("../../../../shaders/region_scores.wgsl"),
    ],
    WORKGROUP,
    &[Read, Read, Read, Read, Write],
    5,
);

/// A workgroup a window, a slice a block of references.
pub fn plan(windows: usize, references: usize) -> Grid {
    Grid::folded(windows, references.div_ceil(BLOCK))
}

/// sums `[R + 1, C + 1, D]`, windows `[W, 4]`, templates `[N, 2 D]`, large `[W]` -> scores `[W, N]`; `root` compares square roots.
pub(crate) fn run(
    sums: &CubeTensor,
    windows: &CubeTensor,
    templates: &CubeTensor,
    large: &CubeTensor,
    root: bool,
) -> CubeTensor {
    let [_, columns, width] = sums.meta.shape().dims();
    let ([count, _], [references, _]) =
        (windows.meta.shape().dims(), templates.meta.shape().dims());
    let scores = launch::output(sums, [count, references], DType::F32);
    launch::launch(
        &KERNEL,
        plan(count, references),
        &[sums, windows, templates, large, &scores],
        &[
            word(count),
            word(references),
            word(width),
            word(columns),
            u32::from(root),
        ],
    );
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_a_window_and_four_references() {
        assert_eq!(plan(2194, 15), Grid([2194, 1, 4]));
        assert_eq!(plan(1, 1), Grid([1, 1, 1]));
    }
}
