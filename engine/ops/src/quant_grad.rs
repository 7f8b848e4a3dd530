//! The product with a quantised matrix lets gradients through to what lies below it; the blocks themselves have none (QLoRA, Dettmers
//! et al., arXiv 2305.14314).

use std::sync::Arc;

use burn::tensor::Tensor;

use super::own_grad::{Function, INPUTS, apply, nothing};
use super::{QuantMatrix, quant_matvec};

/// `x wᵀ`: x `[M, K]` -> `[M, N]`. The matrix is unpacked anew on the way back, so that nobody holds all layers in f32.
#[derive(Debug)]
struct Product(QuantMatrix);

impl Function for Product {
    fn forward(&self, [x, ..]: [Tensor<2>; INPUTS]) -> Tensor<2> {
        quant_matvec(x, &self.0)
    }

    fn backward(
        &self,
        [_, b, c, d]: [Tensor<2>; INPUTS],
        grad: Tensor<2>,
        _needed: [bool; INPUTS],
    ) -> [Tensor<2>; INPUTS] {
        [grad.matmul(self.0.dequantize()), b, c, d]
    }
}

/// [`quant_matvec`] with a gradient for x.
pub(super) fn product(x: Tensor<2>, w: &QuantMatrix) -> Tensor<2> {
    if !x.is_autodiff() {
        return quant_matvec(x, w);
    }
    let rest = [0; INPUTS - 1].map(|_| nothing(&x));
    let [b, c, d] = rest;
    apply(Arc::new(Product(w.clone())), [x, b, c, d])
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use crate::blocks::QuantKind;
    use crate::random::Stream;
    use crate::{QuantMatrix, quant_linear};
    use burn::tensor::Tensor;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut stream = Stream::new(seed);
        (0..count).map(|_| stream.normal() as f32).collect()
    }

    /// Any weights: the scale of every block is a 16th.
    fn blocks(kind: QuantKind, count: usize) -> Vec<u8> {
        let mut stream = Stream::new(1);
        let mut bytes: Vec<u8> = (0..count / kind.block_len() * kind.block_bytes())
            .map(|_| stream.bits() as u8)
            .collect();
        for block in bytes.chunks_exact_mut(kind.block_bytes()) {
            block[..2].copy_from_slice(&0x2c00u16.to_le_bytes());
        }
        bytes
    }

    /// Against differences of the values themselves, for few rows (read as blocks) and many (unpacked).
    #[test]
    fn gradients_of_what_lies_below_are_finite_differences() {
        for kind in [QuantKind::Q8_0, QuantKind::Q4_0] {
            for rows in [2, 11] {
                let (outputs, inputs) = (5, 64);
                let bytes = blocks(kind, outputs * inputs);
                let plain = Device::flex();
                let w = QuantMatrix::from_ggml(&bytes, kind, outputs, inputs, &plain).unwrap();
                let x = numbers(rows * inputs, 2);
                let weights = numbers(rows * outputs, 3);
                let loss = |x: Vec<f32>, device: &Device| {
                    let x = Tensor::<2>::from_data(TensorData::new(x, [rows, inputs]), device);
                    let x = if device.is_autodiff() {
                        x.require_grad()
                    } else {
                        x
                    };
                    let weights = TensorData::new(weights.clone(), [1, rows, outputs]);
                    // Three axes and a square, so that the gradient coming in depends on the values.
                    let y = quant_linear(x.clone().reshape([1, rows, inputs]), &w, None);
                    (x, (y.square() * Tensor::from_data(weights, device)).sum())
                };
                let (leaf, value) = loss(x.clone(), &Device::flex().autodiff());
                let gradient = leaf.grad(&value.backward()).unwrap();
                let gradient: Vec<f32> = gradient.into_data().try_to_vec().unwrap();
                for at in (0..x.len()).step_by(7) {
                    let moved = |step: f32| {
                        let mut x = x.clone();
                        x[at] += step;
                        f64::from(loss(x, &plain).1.into_scalar::<f32>())
                    };
                    // A quadratic function: the difference is exact but for rounding.
                    let want = (moved(0.5) - moved(-0.5)) as f32;
                    let far = (gradient[at] - want).abs();
                    assert!(
                        far <= 1e-3 * (1.0 + want.abs()),
                        "{kind:?}: {} for {want}",
                        gradient[at]
                    );
                }
            }
        }
    }
}
