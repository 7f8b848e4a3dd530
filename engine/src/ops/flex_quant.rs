//! Products with packed matrices on the flex backend, and their rows unpacked.

use burn::tensor::{Device, Tensor, TensorData};
use namelens_cpu_kernels::{Activations, Packed, product as products};

use super::flex::{slice, storage};

/// Rows of activations that are worth a thread of their own.
#[cfg(feature = "rayon")]
const SHARE: usize = 16;

/// x `[M, K]` times the rows of `w` -> `[M, N]`.
pub(super) fn product(x: Tensor<2>, w: &Packed) -> Tensor<2> {
    let ([m, _], device) = (x.dims(), x.device());
    let x = storage(x);
    let mut y = vec![0.0; m * w.rows()];
    of_rows(slice(&x), w, &mut y);
    Tensor::from_data(TensorData::new(y, [m, w.rows()]), &device)
}

/// Many rows are shared out among the cores. Rows do not depend on each other, so that changes nothing.
fn of_rows(x: &[f32], w: &Packed, y: &mut [f32]) {
    #[cfg(feature = "rayon")]
    if x.len() >= 2 * SHARE * w.cols() {
        use rayon::prelude::*;
        let each = (x.len() / w.cols()).div_ceil(rayon::current_num_threads());
        let each = each.next_multiple_of(SHARE);
        let shares = y.par_chunks_mut(each * w.rows());
        return shares
            .zip(x.par_chunks(each * w.cols()))
            .for_each(|(y, x)| products(w, &Activations::new(x, w.cols()), y));
    }
    products(w, &Activations::new(x, w.cols()), y);
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
