//! How like the windows of a feature map are to references.

#[cfg(feature = "cpu")]
use burn::tensor::TensorData;
use burn::tensor::{Int, Tensor};

#[cfg(feature = "cpu")]
use super::dispatch::on_flex;
#[cfg(feature = "cube")]
use super::dispatch::on_kernels;
#[cfg(feature = "cpu")]
use super::flex;
#[cfg(feature = "cpu")]
use super::flex_region_scores::RegionScores;
use super::reference;
#[cfg(feature = "cube")]
use crate::kernels;

/// The similarity of every window of a feature map to every reference.
///
/// A window's embedding is its summed features, of unit length; with `root` it is their square roots (none for negative ones), which
/// compares distributions as Hellinger's kernel does. A reference has two unit templates, for things that are large in a photo and for small ones; `large`, 0 to 1, is the share of the first at each
/// window.
///
/// # Shapes
/// sums `[R + 1, C + 1, D]`, the map summed over all that lies above and left; windows `[W, 4]` of cells, left, top, right and
/// bottom within the map; templates `[N, 2 D]`; large `[W]` -> `[W, N]`.
///
/// # Panics
/// When shapes disagree.
pub fn region_scores(
    sums: Tensor<3>,
    windows: Tensor<2, Int>,
    templates: Tensor<2>,
    large: Tensor<1>,
    root: bool,
) -> Tensor<2> {
    let [_, _, width] = sums.dims();
    let ([count, corners], [_, both]) = (windows.dims(), templates.dims());
    assert_eq!(corners, 4, "region_scores: corners of a window");
    assert_eq!(both, 2 * width, "region_scores: two templates a reference");
    assert_eq!(large.dims(), [count], "region_scores: a share a window");
    let (sums, windows) = (sums.inner(), windows.inner());
    let (templates, large) = (templates.inner(), large.inner());
    #[cfg(feature = "cube")]
    if on_kernels(
        &sums.device(),
        &[sums.dtype(), templates.dtype(), large.dtype()],
    ) {
        let (sums, windows) = (kernels::into_cube(sums), kernels::into_cube(windows));
        let (templates, large) = (kernels::into_cube(templates), kernels::into_cube(large));
        return kernels::from_cube(kernels::region_scores::run(
            &sums, &windows, &templates, &large, root,
        ));
    }
    #[cfg(feature = "cpu")]
    if on_flex(&sums.device(), sums.dtype()) {
        return on_loops(sums, windows, templates, large, root);
    }
    reference::region_scores(sums, windows, templates, large, root)
}

#[cfg(feature = "cpu")]
fn on_loops(
    sums: Tensor<3>,
    windows: Tensor<2, Int>,
    templates: Tensor<2>,
    large: Tensor<1>,
    root: bool,
) -> Tensor<2> {
    let device = sums.device();
    let [_, columns, width] = sums.dims();
    let ([count, _], [references, _]) = (windows.dims(), templates.dims());
    let cells = sums.dims()[0] * columns;
    let corners: Vec<usize> = windows
        .into_data()
        .iter::<i64>()
        .map(|edge| edge as usize)
        .collect();
    let sums = flex::storage(sums.reshape([cells, width]));
    // Both templates of a reference are rows of their own.
    let templates = flex::storage(templates.reshape([2 * references, width]));
    let large = flex::storage(large.reshape([1, count]));
    let mut scores = vec![0.0; count * references];
    flex::simd(RegionScores {
        sums: flex::slice(&sums),
        columns,
        width,
        corners: &corners,
        templates: flex::slice(&templates),
        large: flex::slice(&large),
        root,
        scores: &mut scores,
    });
    Tensor::from_data(TensorData::new(scores, [count, references]), &device)
}
