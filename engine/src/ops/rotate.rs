//! Turning the pairs of a head's elements by angles.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use super::flex_rotate;
#[cfg(feature = "cpu")]
use super::on_flex;
#[cfg(feature = "cube")]
use super::on_kernels;
use super::reference;
#[cfg(feature = "cube")]
use crate::kernels;

/// Rotary positions (Su et al., arXiv 2104.09864) in the half-split layout: `x cos + swapped(x) sin`, of which the second
/// operand has the halves of each head swapped. With gradients where they are asked for.
///
/// # Shapes
/// - x, output: `[B, H, T, D]`, D even
/// - cos, sin: `[B or 1, 1, T, D]`; the minus of the lower half is in the sines
pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_flex(&x.device(), x.dtype()) {
        return flex_rotate::rotate(x, cos, sin);
    }
    #[cfg(feature = "cube")]
    if on_kernels(&x.device(), &[x.dtype(), cos.dtype(), sin.dtype()]) {
        let [x, cos, sin] = [x, cos, sin].map(kernels::into_cube);
        return kernels::from_cube(kernels::rotate::run(&x, &cos, &sin));
    }
    reference::rotate(x, cos, sin)
}
