//! The largest entries of rows on the CPU, by selection.

use std::cmp::Ordering;

use burn::tensor::{Int, Tensor, TensorData};

use super::flex::storage;

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
