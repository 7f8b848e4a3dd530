//! What is most like a query among many rows, and the largest of many numbers.

#[cfg(feature = "cube")]
use super::on_kernels;
use super::reference;
#[cfg(feature = "cpu")]
use super::{flex_nearest, flex_top_k, on_flex};
#[cfg(feature = "cube")]
use crate::{kernels, logits::MAX_FOREMOST};
use burn::tensor::{Int, Tensor};

/// The cosine of every query with every row of the index.
///
/// # Shapes
/// queries `[Q, D]`, index `[N, D]` -> `[Q, N]`. The score is the cosine whatever the lengths of the vectors: 0 where one of
/// them is zero, and -2 where one holds a NaN.
///
/// # Panics
/// When the widths disagree.
pub fn cosine_scores(queries: Tensor<2>, index: Tensor<2>) -> Tensor<2> {
    let ([_, width], [_, index_width]) = (queries.dims(), index.dims());
    assert_eq!(
        width, index_width,
        "cosine_scores: width of the queries and of the index"
    );
    let (queries, index) = (queries.inner(), index.inner());
    #[cfg(feature = "cube")]
    if on_kernels(&queries.device(), &[queries.dtype(), index.dtype()]) {
        let (queries, index) = (kernels::into_cube(queries), kernels::into_cube(index));
        return kernels::from_cube(kernels::cosine_scores::run(&queries, &index));
    }
    reference::cosine_scores(queries, index)
}

/// The k largest entries of each row, largest first, and their columns; of equal entries the lower column comes first.
///
/// # Shapes
/// scores `[R, C]`, finite and above `f32::MIN` -> entries `[R, k]` and columns `[R, k]`.
///
/// # Panics
/// When k is not in 1..=C.
pub fn top_k(scores: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    let [_, columns] = scores.dims();
    assert!(
        (1..=columns).contains(&k),
        "top_k: {k} of {columns} columns"
    );
    let scores = scores.inner();
    #[cfg(feature = "cube")]
    if k <= kernels::top_k::MAX_K && on_kernels(&scores.device(), &[scores.dtype()]) {
        return top_k_on_kernels(scores, k);
    }
    #[cfg(feature = "cpu")]
    if on_flex(&scores.device(), scores.dtype()) {
        return flex_top_k::top_k(scores, k);
    }
    reference::top_k(scores, k)
}

/// Of the largest number of each invocation one is the bound, and half of them are above it at most: room for twice as many is enough.
#[cfg(feature = "cube")]
const _: () = assert!(2 * MAX_FOREMOST <= kernels::foremost::WORKGROUP as usize);

/// The `k` likeliest tokens of each row, where a kernel finds them on the device, as [`crate::logits::Foremost`] reads them: `None`
/// elsewhere, where to read all logits costs nothing, and for more than [`crate::logits::MAX_FOREMOST`].
///
/// # Shapes
/// logits `[R, C]` -> `[R, 2 + 2 room]`: how many tokens were found, which may be more than there is room for; the sum of
/// `exp(logit - largest)` over the finite logits; column and logit of each token found. One is the likeliest, the lowest column among
/// equals. More are in no order, with some more that are no less likely than the `k`-th of them.
pub fn foremost(logits: &Tensor<2>, k: usize) -> Option<Tensor<2>> {
    #[cfg(feature = "cube")]
    {
        let [_, columns] = logits.dims();
        let logits = logits.clone().inner();
        if columns <= kernels::foremost::MAX_COLUMNS
            && (1..=MAX_FOREMOST).contains(&k)
            && on_kernels(&logits.device(), &[logits.dtype()])
        {
            let logits = kernels::into_cube(logits);
            return Some(kernels::from_cube(kernels::foremost::run(&logits, k)));
        }
    }
    let _ = (logits, k);
    None
}

/// The k rows of the index that are most similar to each query, best first: [`top_k`] of [`cosine_scores`].
///
/// # Shapes
/// queries `[Q, D]`, index `[N, D]` -> scores `[Q, k]` and row numbers `[Q, k]`.
///
/// # Panics
/// When the widths disagree or k is not in 1..=N.
pub fn cosine_top_k(queries: Tensor<2>, index: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    #[cfg(feature = "cpu")]
    {
        let (queries, index) = (queries.clone().inner(), index.clone().inner());
        let ([count, width], [rows, index_width]) = (queries.dims(), index.dims());
        let is_few = (1..=flex_nearest::FEW).contains(&count) && width > 0;
        let is_sound = width == index_width && (1..=rows).contains(&k);
        let here = [&queries, &index].map(|x| on_flex(&x.device(), x.dtype()));
        if is_few && is_sound && here == [true, true] {
            return flex_nearest::cosine_top_k(queries, index, k);
        }
    }
    top_k(cosine_scores(queries, index), k)
}

#[cfg(feature = "cube")]
fn top_k_on_kernels(scores: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    let (mut scores, columns) = kernels::top_k::run(&kernels::into_cube(scores), k);
    let mut ids: Tensor<2, Int> = kernels::from_cube(columns);
    while scores.meta.shape()[1] > k {
        let (best, columns) = kernels::top_k::run(&scores, k);
        ids = ids.gather(1, kernels::from_cube(columns));
        scores = best;
    }
    (kernels::from_cube(scores), ids)
}
