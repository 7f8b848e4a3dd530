//! Activations of feed-forward layers, with gradients where they are asked for.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::{Tensor, activation};

#[cfg(all(feature = "cpu", feature = "train"))]
use super::activation_grad;
use super::activation_kind::Activation;
#[cfg(feature = "cpu")]
use super::flex_activation;
#[cfg(feature = "cpu")]
use super::on_flex;
#[cfg(feature = "cube")]
use super::on_kernels;
#[cfg(feature = "cube")]
use crate::kernels::{self, activation::Gelu};

/// The activation of each number.
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_tanh(x),
        Activation::Silu => silu(x),
    }
}

/// `x Φ(x)`, the exact GELU (Hendrycks and Gimpel, arXiv 1606.08415).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if on_flex(&x.device().inner(), x.dtype()) {
        return on_processor(x, Activation::Gelu);
    }
    #[cfg(feature = "cube")]
    if is_for_kernels(&x) {
        let x = kernels::into_cube(x);
        return kernels::from_cube(kernels::activation::run(&x, Gelu::Exact));
    }
    // Elsewhere burn's own slope is that of the approximation below, which is off by up to 1e-3 in every layer.
    if x.is_autodiff() {
        let below = ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
        return x * below;
    }
    activation::gelu(x)
}

/// GELU by its approximation `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2` (the same paper).
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if on_flex(&x.device().inner(), x.dtype()) {
        return on_processor(x, Activation::GeluTanh);
    }
    #[cfg(feature = "cube")]
    if is_for_kernels(&x) {
        let x = kernels::into_cube(x);
        return kernels::from_cube(kernels::activation::run(&x, Gelu::Tanh));
    }
    activation::gelu_approximate(x)
}

/// `x sigmoid(x)` (the same paper).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if on_flex(&x.device().inner(), x.dtype()) {
        return on_processor(x, Activation::Silu);
    }
    activation::silu(x)
}

/// `silu(gate) up`, number by number: the inside of SwiGLU (Shazeer, arXiv 2002.05202).
///
/// # Panics
/// When the shapes disagree.
pub fn gated_silu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "gated_silu: gate and up");
    #[cfg(feature = "cpu")]
    if on_flex(&gate.device(), gate.dtype()) {
        return flex_activation::gated_silu(gate, up);
    }
    #[cfg(feature = "cube")]
    if on_kernels(&gate.device(), &[gate.dtype(), up.dtype()]) {
        let [gate, up] = [gate, up].map(kernels::into_cube);
        return kernels::from_cube(kernels::gated_silu::run(&gate, &up));
    }
    silu(gate) * up
}

#[cfg(feature = "cube")]
fn is_for_kernels<const D: usize>(x: &Tensor<D>) -> bool {
    on_kernels(&x.device(), &[x.dtype()]) && x.shape().num_elements() > 0
}

/// The kernel of an activation, where it has one.
#[cfg(feature = "cube")]
pub(super) fn gelu_of(activation: Activation) -> Option<Gelu> {
    match activation {
        Activation::Gelu => Some(Gelu::Exact),
        Activation::GeluTanh => Some(Gelu::Tanh),
        Activation::Silu => None,
    }
}

#[cfg(feature = "cpu")]
fn on_processor<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    #[cfg(feature = "train")]
    if x.is_autodiff() {
        return activation_grad::activate(x, kind);
    }
    flex_activation::activate(x, kind)
}
