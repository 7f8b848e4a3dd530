//! The rows of an index most like a few queries on the CPU, in one pass over the index.

use burn::tensor::{Int, Tensor, TensorData};
use namelens_cpu_kernels::{Nearest, Queries};

use super::flex::{slice, storage};
use crate::threads;

/// Most queries that pass while a row is in the cache; more are quicker as one product.
pub(super) const FEW: usize = 8;

/// Rows that are worth a thread of their own.
const SHARE: usize = 1024;

/// queries `[Q, D]`, index `[N, D]` -> cosines `[Q, k]`, best first, and row numbers `[Q, k]`, for k rows that are there.
pub(super) fn cosine_top_k(
    queries: Tensor<2>,
    index: Tensor<2>,
    k: usize,
) -> (Tensor<2>, Tensor<2, Int>) {
    let (device, [count, width]) = (queries.device(), queries.dims());
    let (queries, index) = (storage(queries), storage(index));
    let found = of_rows(
        &Queries::new(slice(&queries), width),
        slice(&index),
        width,
        k,
    );
    let (mut scores, mut rows) = (Vec::with_capacity(count * k), Vec::with_capacity(count * k));
    for (row, score) in found.into_ranked().flatten() {
        scores.push(score);
        rows.push(row as i64);
    }
    (
        Tensor::from_data(TensorData::new(scores, [count, k]), &device),
        Tensor::from_data(TensorData::new(rows, [count, k]), &device),
    )
}

/// Many rows are shared out among the cores; the best of the shares' best are the best of all.
fn of_rows(queries: &Queries<'_>, index: &[f32], width: usize, k: usize) -> Nearest {
    if threads::is_worth(index.len(), 2 * SHARE * width) {
        let each = threads::share_of(index.len() / width, SHARE);
        let mut shares: Vec<_> = index
            .chunks(each * width)
            .map(|rows| (rows, None))
            .collect();
        threads::each(shares.iter_mut().collect(), |(rows, found)| {
            *found = Some(queries.nearest(rows, k));
        });
        let mut all = queries.nearest(&[], k);
        for (at, (_, share)) in shares.into_iter().enumerate() {
            share
                .into_iter()
                .for_each(|share| all.merge(share, at * each));
        }
        return all;
    }
    queries.nearest(index, k)
}
