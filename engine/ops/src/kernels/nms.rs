//! Launch of `nms.wgsl`: greedy suppression in a single workgroup.

use super::Access::{Read, Update};
use super::{Grid, Kernel, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "nms",
    &[common::BOXES, include_str!("../../../../shaders/nms.wgsl")],
    256,
    &[Read, Read, Update, Update],
    2,
);

/// Always one workgroup: suppression is sequential in the boxes that are kept.
pub fn plan() -> Grid {
    Grid([1, 1, 1])
}

/// boxes `[N, 4]`, scores `[N]` -> kept mask `[N]` i32.
pub(crate) fn run(boxes: &CubeTensor, scores: &CubeTensor, iou_threshold: f32) -> CubeTensor {
    let [count] = scores.meta.shape().dims();
    let order = launch::output(scores, [count], DType::I32);
    let kept = launch::output(scores, [count], DType::I32);
    let params = [word(count), iou_threshold.to_bits()];
    launch::launch(&KERNEL, plan(), &[boxes, scores, &order, &kept], &params);
    kept
}
