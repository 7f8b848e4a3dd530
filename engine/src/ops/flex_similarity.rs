//! Similarity search on the CPU: cosines of queries with an index, and the largest of them.

use std::cmp::Ordering;

use burn::tensor::{Int, Tensor, TensorData};
use macerator::{Simd, WithSimd};

use super::flex::{LANES, simd, storage, sum};

/// Rows of the index that share one pass over a query.
const TILE: usize = 4;

/// queries `[Q, D]`, index `[N, D]` -> cosines `[Q, N]`.
pub(super) fn cosine_scores(queries: Tensor<2>, index: Tensor<2>) -> Tensor<2> {
    let (device, [count, width], [rows, _]) = (queries.device(), queries.dims(), index.dims());
    let (queries, index) = (storage(queries), storage(index));
    let mut scores = vec![0.0; count * rows];
    simd(Scores {
        queries: queries.as_slice().expect("contiguous f32, made so above"),
        index: index.as_slice().expect("contiguous f32, made so above"),
        width,
        scores: &mut scores,
    });
    Tensor::from_data(TensorData::new(scores, [count, rows]), &device)
}

/// scores `[R, C]` -> the largest k `[R, k]` and their columns `[R, k]`.
pub(super) fn top_k(scores: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    let (device, [rows, columns]) = (scores.device(), scores.dims());
    let scores = storage(scores);
    let scores: &[f32] = scores.as_slice().expect("contiguous f32, made so above");
    let (mut best, mut ids) = (Vec::with_capacity(rows * k), Vec::with_capacity(rows * k));
    let mut ranking: Vec<(f32, u32)> = Vec::with_capacity(columns);
    for row in scores.chunks_exact(columns) {
        ranking.clear();
        // Adding nothing makes minus zero zero: they are equal, and the order below tells them apart.
        ranking.extend(row.iter().map(|score| score + 0.0).zip(0..));
        if k < columns {
            ranking.select_nth_unstable_by(k - 1, larger_first);
        }
        ranking[..k].sort_unstable_by(larger_first);
        best.extend(ranking[..k].iter().map(|&(score, _)| score));
        ids.extend(ranking[..k].iter().map(|&(_, id)| i64::from(id)));
    }
    (
        Tensor::from_data(TensorData::new(best, [rows, k]), &device),
        Tensor::from_data(TensorData::new(ids, [rows, k]), &device),
    )
}

/// Larger score first, then lower column.
fn larger_first(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// Cosines of all queries with all rows of the index.
struct Scores<'a> {
    queries: &'a [f32],
    index: &'a [f32],
    width: usize,
    /// `[Q, N]`.
    scores: &'a mut [f32],
}

impl WithSimd for Scores<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self {
            queries,
            index,
            width,
            scores,
        } = self;
        // A width of 0 has neither rows nor queries in these slices, and all scores stay 0.
        let width = width.max(1);
        let rows = index.len() / width;
        let lengths: Vec<f32> = queries.chunks_exact(width).map(length).collect();
        let mut row = 0;
        while row < rows {
            let tile = if rows - row >= TILE { TILE } else { 1 };
            let part = &index[row * width..][..tile * width];
            let own: [f32; TILE] =
                std::array::from_fn(|i| part.get(i * width..(i + 1) * width).map_or(0.0, length));
            for (q, query) in queries.chunks_exact(width).enumerate() {
                let products = match tile {
                    TILE => dots::<TILE>(query, part),
                    _ => [dots::<1>(query, part)[0]; TILE],
                };
                let out = &mut scores[q * rows + row..][..tile];
                for ((out, product), own) in out.iter_mut().zip(products).zip(own) {
                    *out = cosine(product, lengths[q], own);
                }
            }
            row += tile;
        }
    }
}

/// Products of a query with M rows that lie one behind the other.
#[inline(always)]
fn dots<const M: usize>(query: &[f32], rows: &[f32]) -> [f32; M] {
    let rows: [&[f32]; M] = std::array::from_fn(|m| &rows[m * query.len()..][..query.len()]);
    let mut sums = [[0.0; LANES]; M];
    let (whole, rest) = query.as_chunks::<LANES>();
    for (c, query) in whole.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let row = &row[c * LANES..][..LANES];
            for i in 0..LANES {
                sums[i] += query[i] * row[i];
            }
        }
    }
    let done = whole.len() * LANES;
    for (sums, row) in sums.iter_mut().zip(rows) {
        for (i, query) in rest.iter().enumerate() {
            sums[i] += query * row[done + i];
        }
    }
    sums.map(sum)
}

/// Euclidean length.
#[inline(always)]
fn length(vector: &[f32]) -> f32 {
    dots::<1>(vector, vector)[0].sqrt()
}

/// The cosine; 0 where a vector is zero, -2 where it is NaN (which fails every guard).
#[inline(always)]
fn cosine(product: f32, query: f32, row: f32) -> f32 {
    if query == 0.0 || row == 0.0 {
        return 0.0;
    }
    let score = product / (query * row);
    if (-1.5..=1.5).contains(&score) {
        score
    } else {
        -2.0
    }
}
