//! Products with packed matrices on the flex backend, and their rows unpacked.

use burn::tensor::{Device, Tensor, TensorData};
use namelens_cpu_kernels::{Activations, Packed, product};

#[cfg(feature = "rayon")]
use super::flex::is_shared;
use super::flex::{slice, storage};
use super::flex_activation;

/// Rows of activations that are worth a thread of their own.
#[cfg(feature = "rayon")]
const SHARE: usize = 16;

/// x `[M, K]` times the rows of each of `ws`, which have as many columns -> `[M, N]` each. The activations are brought to 16 bits
/// once.
pub(super) fn products<const N: usize>(x: Tensor<2>, ws: [&Packed; N]) -> [Tensor<2>; N] {
    let ([m, _], device) = (x.dims(), x.device());
    let mut ys = ws.map(|w| vec![0.0; m * w.rows()]);
    let x = storage(x);
    of_rows(slice(&x), ws, &mut ys);
    let mut rows = ws.iter().map(|w| w.rows());
    ys.map(|y| {
        let wide = rows.next().unwrap_or_default();
        Tensor::from_data(TensorData::new(y, [m, wide]), &device)
    })
}

/// `silu(x gateᵀ) (x upᵀ)`: x `[M, K]` -> `[M, N]`.
pub(super) fn gated(x: Tensor<2>, gate: &Packed, up: &Packed) -> Tensor<2> {
    let ([m, _], device) = (x.dims(), x.device());
    let mut ys = [gate, up].map(|w| vec![0.0; m * w.rows()]);
    let x = storage(x);
    of_rows(slice(&x), [gate, up], &mut ys);
    let [mut gate_values, up_values] = ys;
    flex_activation::gate(&mut gate_values, &up_values);
    Tensor::from_data(TensorData::new(gate_values, [m, gate.rows()]), &device)
}

/// `onto + x wᵀ`: x `[M, K]`, onto `[M, N]` -> `[M, N]`.
pub(super) fn onto(x: Tensor<2>, w: &Packed, onto: Tensor<2>) -> Tensor<2> {
    let ([m, _], device) = (x.dims(), x.device());
    let mut ys = [vec![0.0; m * w.rows()]];
    let [x, onto] = [x, onto].map(storage);
    of_rows(slice(&x), [w], &mut ys);
    let [mut y] = ys;
    for (y, onto) in y.iter_mut().zip(slice(&onto)) {
        *y += onto;
    }
    Tensor::from_data(TensorData::new(y, [m, w.rows()]), &device)
}

/// Many rows are shared out among the cores. Rows do not depend on each other, so that changes nothing.
fn of_rows<const N: usize>(x: &[f32], ws: [&Packed; N], ys: &mut [Vec<f32>; N]) {
    let Some(cols) = ws.first().map(|w| w.cols()) else {
        return;
    };
    let some = |x: &[f32], ys: [&mut [f32]; N]| {
        let x = Activations::new(x, cols);
        ws.iter().zip(ys).for_each(|(w, y)| product(w, &x, y));
    };
    #[cfg(feature = "rayon")]
    if is_shared(x.len(), 2 * SHARE * cols) {
        use rayon::prelude::*;
        let each = (x.len() / cols).div_ceil(rayon::current_num_threads());
        let each = each.next_multiple_of(SHARE);
        let mut wide = ws.iter().map(|w| w.rows());
        let mut shares = ys
            .each_mut()
            .map(|y| y.chunks_mut(each * wide.next().unwrap_or_default()));
        let work: Vec<_> = x
            .chunks(each * cols)
            .map(|x| (x, shares.each_mut().map(|y| y.next().unwrap_or_default())))
            .collect();
        return work.into_par_iter().for_each(|(x, ys)| some(x, ys));
    }
    some(x, ys.each_mut().map(Vec::as_mut_slice));
}

/// These rows of `w` as weights `[count, K]`.
pub(super) fn rows(
    w: &Packed,
    rows: impl ExactSizeIterator<Item = usize>,
    device: &Device,
) -> Tensor<2> {
    let count = rows.len();
    let mut weights = vec![0.0; count * w.cols()];
    for (row, weights) in rows.zip(weights.chunks_exact_mut(w.cols())) {
        w.unpack_row(row, weights);
    }
    Tensor::from_data(TensorData::new(weights, [count, w.cols()]), device)
}
