//! Products with packed matrices on the flex backend, and their rows unpacked.

use burn::tensor::{Device, Tensor, TensorData};
use namelens_cpu_kernels::{Activations, Packed, product as products};

use super::flex::{slice, storage};

/// x `[M, K]` times the rows of `w` -> `[M, N]`.
pub(super) fn product(x: Tensor<2>, w: &Packed) -> Tensor<2> {
    let ([m, _], device) = (x.dims(), x.device());
    let x = storage(x);
    let x = Activations::new(slice(&x), w.cols());
    let mut y = vec![0.0; m * w.rows()];
    products(w, &x, &mut y);
    Tensor::from_data(TensorData::new(y, [m, w.rows()]), &device)
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
