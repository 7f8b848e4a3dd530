//! Norms over the last axis.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use super::flex_norm;
#[cfg(feature = "cpu")]
use super::on_flex;
#[cfg(feature = "cube")]
use super::on_kernels;
use super::reference;
#[cfg(feature = "cube")]
use crate::kernels;

/// `x / sqrt(mean(x²) + eps) * weight` over the last axis (Zhang and Sennrich, arXiv 1910.07467), with gradients where they are
/// asked for.
///
/// # Shapes
/// - x, output: `[.., width]`
/// - weight: `[width]`
///
/// # Panics
/// When the weight has another width.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f64) -> Tensor<D> {
    assert_eq!(weight.dims(), [x.dims()[D - 1]], "rms_norm: weight");
    #[cfg(feature = "cpu")]
    // A device with gradients is another one: there the plain body is differentiated.
    if on_flex(&x.device(), x.dtype()) {
        return flex_norm::norm(x, weight, None, eps);
    }
    #[cfg(feature = "cube")]
    if on_kernels(&x.device(), &[x.dtype(), weight.dtype()]) {
        let (shape, x) = (x.dims(), kernels::into_cube(rows(x)));
        let y = kernels::rms_norm::run(&x, &kernels::into_cube(weight), eps);
        return kernels::from_cube::<Tensor<2>>(y).reshape(shape);
    }
    reference::rms_norm(x, weight, eps)
}

/// `(x - mean) / sqrt(var + eps) * weight + bias` over the last axis (Ba et al., arXiv 1607.06450), with gradients where they
/// are asked for.
///
/// # Shapes
/// - x, output: `[.., width]`
/// - weight, bias: `[width]`
///
/// # Panics
/// When one of them has another width.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let width = [x.dims()[D - 1]];
    assert_eq!(weight.dims(), width, "layer_norm: weight");
    assert_eq!(bias.dims(), width, "layer_norm: bias");
    #[cfg(feature = "cpu")]
    if on_flex(&x.device(), x.dtype()) {
        return flex_norm::norm(x, weight, Some(bias), eps);
    }
    #[cfg(feature = "cube")]
    if on_kernels(&x.device(), &[x.dtype(), weight.dtype(), bias.dtype()]) {
        let (shape, x) = (x.dims(), kernels::into_cube(rows(x)));
        let [weight, bias] = [weight, bias].map(kernels::into_cube);
        let y = kernels::layer_norm::run(&x, &weight, &bias, eps);
        return kernels::from_cube::<Tensor<2>>(y).reshape(shape);
    }
    reference::layer_norm(x, weight, bias, eps)
}

/// `[.., width]` as `[rows, width]`.
#[cfg(feature = "cube")]
fn rows<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    x.reshape([rows, shape[D - 1]])
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;

    /// Four rows of six, of which a weight of eight would make three rows of eight.
    fn rows() -> Tensor<2> {
        Tensor::ones([4, 6], &Device::flex())
    }

    fn wide(width: usize) -> Tensor<1> {
        Tensor::ones([width], &Device::flex())
    }

    #[test]
    #[should_panic(expected = "rms_norm: weight")]
    fn an_rms_norm_of_another_width_is_refused() {
        rms_norm(rows(), wide(8), 1e-5);
    }

    #[test]
    #[should_panic(expected = "layer_norm: bias")]
    fn a_layer_norm_whose_bias_has_another_width_is_refused() {
        layer_norm(rows(), wide(6), wide(3), 1e-5);
    }
}
