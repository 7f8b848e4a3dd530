//! Boxes: how much they overlap, and which of many are kept.

#[cfg(feature = "cube")]
use super::on_kernels;
use super::reference;
#[cfg(feature = "cube")]
use crate::kernels;
use burn::tensor::{Int, Tensor};

/// Intersection over union of every pair of boxes.
///
/// # Shapes
/// a `[N, 4]`, b `[M, 4]`, both as x0 y0 x1 y1 in any one unit -> `[N, M]` in 0..=1. A degenerate
/// box (no area, or a NaN in it) overlaps nothing.
///
/// # Panics
/// When a row is not a box.
pub fn pairwise_iou(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    assert_eq!(
        [a.dims()[1], b.dims()[1]],
        [4, 4],
        "pairwise_iou: a box has 4 sides"
    );
    let (a, b) = (a.inner(), b.inner());
    #[cfg(feature = "cube")]
    if on_kernels(&a.device(), &[a.dtype(), b.dtype()]) {
        let [a, b] = [a, b].map(kernels::into_cube);
        return kernels::from_cube(kernels::pairwise_iou::run(&a, &b));
    }
    reference::pairwise_iou(a, b)
}

/// Greedy non-maximum suppression: the best box strikes out those that overlap it by more than
/// `iou_threshold`, then the next best that still stands does, and so on.
///
/// # Shapes
/// boxes `[N, 4]` as x0 y0 x1 y1, scores `[N]` -> mask `[N]`, 1 for a box that is kept. Of equal
/// scores the lower number goes first. A box whose score is NaN or minus infinity is not kept and
/// strikes out nothing.
///
/// # Panics
/// When the shapes disagree.
pub fn nms(boxes: Tensor<2>, scores: Tensor<1>, iou_threshold: f32) -> Tensor<1, Int> {
    let [count] = scores.dims();
    assert_eq!(boxes.dims(), [count, 4], "nms: boxes for {count} scores");
    let (boxes, scores) = (boxes.inner(), scores.inner());
    #[cfg(feature = "cube")]
    if on_kernels(&boxes.device(), &[boxes.dtype(), scores.dtype()]) {
        let (boxes, scores) = (kernels::into_cube(boxes), kernels::into_cube(scores));
        return kernels::from_cube(kernels::nms::run(&boxes, &scores, iou_threshold));
    }
    reference::nms(boxes, scores, iou_threshold)
}
