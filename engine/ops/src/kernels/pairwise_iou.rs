//! Launch of `pairwise_iou.wgsl`: the overlap of every pair of boxes.

use super::Access::{Read, Write};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "pairwise_iou",
    &[
        common::GRID,
        common::BOXES,
        include_str!("../../../../shaders/pairwise_iou.wgsl"),
    ],
    WORKGROUP,
    &[Read, Read, Write],
    2,
);

/// An invocation a pair.
pub fn plan(n: usize, m: usize) -> Grid {
    Grid::folded((n * m).div_ceil(WORKGROUP as usize), 1)
}

/// a `[N, 4]`, b `[M, 4]` -> `[N, M]`.
pub(crate) fn run(a: &CubeTensor, b: &CubeTensor) -> CubeTensor {
    let ([n, _], [m, _]) = (a.meta.shape().dims(), b.meta.shape().dims());
    let iou = launch::output(a, [n, m], DType::F32);
    launch::launch(&KERNEL, plan(n, m), &[a, b, &iou], &[word(n), word(m)]);
    iou
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_serves_a_pair() {
        assert_eq!(plan(3, 50), Grid([3, 1, 1]));
        assert_eq!(plan(2100, 2100), Grid([34_454, 2, 1]));
    }
}
