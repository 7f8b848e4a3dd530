//! GELU and SiLU and their slopes, vectorised, for the CPU.

use burn::tensor::Tensor;
use macerator::{Simd, WithSimd};

use super::activation_kind::Activation;
use super::exp::{exp, fused, sigmoid2};
use super::flex::{simd, slice, storage, tensor};
use crate::threads;

/// Numbers that are worth a core of their own.
const SHARE: usize = 1 << 14;

/// The activation of a tensor of a flex device, without gradients.
pub(super) fn activate<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    let shape = x.dims();
    tensor(activated(slice(&storage(x)), kind), shape)
}

/// `silu(gate) up` of two tensors of one shape on a flex device, without gradients.
pub(super) fn gated_silu<const D: usize>(gated: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    let shape = gated.dims();
    let [gated, up] = [gated, up].map(storage);
    let mut out = slice(&gated).to_vec();
    gate(&mut out, slice(&up));
    tensor(out, shape)
}

/// Makes `silu(gate) up` of a gate, in its place.
pub(super) fn gate(gate: &mut [f32], up: &[f32]) {
    if threads::is_worth(gate.len(), SHARE) {
        let shares = gate.chunks_mut(SHARE).zip(up.chunks(SHARE));
        return threads::each(shares.collect(), |(gate, up)| simd(Gate { gate, up }));
    }
    simd(Gate { gate, up });
}

struct Gate<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            *gate *= sigmoid(*gate) * up;
        }
    }
}

fn activated(x: &[f32], kind: Activation) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    if threads::is_worth(x.len(), SHARE) {
        let shares = out.chunks_mut(SHARE).zip(x.chunks(SHARE));
        threads::each(shares.collect(), |(out, x)| simd(Forward { kind, x, out }));
        return out;
    }
    simd(Forward {
        kind,
        x,
        out: &mut out,
    });
    out
}

/// Writes the activation of `x` to `out`.
pub(super) struct Forward<'a> {
    pub kind: Activation,
    pub x: &'a [f32],
    pub out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        self.out.copy_from_slice(self.x);
        in_place(self.kind, self.out);
    }
}

/// Takes the activation of each number, within a loop that is compiled for some instructions.
#[inline(always)]
pub(super) fn in_place(kind: Activation, numbers: &mut [f32]) {
    match kind {
        Activation::Gelu => numbers.iter_mut().for_each(|x| *x *= bell(*x).0),
        Activation::GeluTanh => numbers.iter_mut().for_each(|x| *x *= sigmoid2(bent(*x).0)),
        Activation::Silu => numbers.iter_mut().for_each(|x| *x *= sigmoid(*x)),
    }
}

/// Multiplies `grad` by the slope of the activation at `x`.
#[cfg(feature = "train")]
pub(super) struct Gradient<'a> {
    pub kind: Activation,
    pub x: &'a [f32],
    pub grad: &'a mut [f32],
}

#[cfg(feature = "train")]
impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let pairs = self.grad.iter_mut().zip(self.x);
        match self.kind {
            Activation::Gelu => pairs.for_each(|(grad, &x)| {
                let (below, density) = bell(x);
                *grad *= fused(x, density, below);
            }),
            Activation::GeluTanh => pairs.for_each(|(grad, &x)| {
                let (at, slope) = bent(x);
                let share = sigmoid2(at);
                *grad *= share * fused(x * (1.0 - share), slope, 1.0);
            }),
            Activation::Silu => pairs.for_each(|(grad, &x)| {
                let share = sigmoid(x);
                *grad *= share * fused(x, 1.0 - share, 1.0);
            }),
        }
    }
}

/// The normal distribution at `x`: what lies below, within 1e-7, and the density.
///
/// Abramowitz and Stegun 7.1.26 for the error function at `|x| / √2`.
#[inline(always)]
fn bell(x: f32) -> (f32, f32) {
    const ROOT_OF_TWO_PI: f32 = 2.506_628_3;
    let size = x.abs();
    // Not by the shorter power of two: rounded thrice, its exponent put a token's log-probability 2e-5 off that of the reference, and not 1.3e-5.
    let fall = exp(-0.5 * size * size);
    let t = 1.0 / fused(size, 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2, 1.0);
    let mut sum = 1.061_405_4f32;
    for term in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = fused(sum, t, term);
    }
    let tail = 0.5 * sum * t * fall;
    let below = if x > 0.0 { 1.0 - tail } else { tail };
    (below, fall / ROOT_OF_TWO_PI)
}

/// `2 √(2/π) (x + 0.044715 x³)`, times log2 e for [`sigmoid2`], and its slope without that.
#[inline(always)]
fn bent(x: f32) -> (f32, f32) {
    const TWICE_ROOT: f32 = 1.595_769;
    const CUBED: f32 = 0.044_715;
    let square = x * x;
    let at = (TWICE_ROOT * std::f32::consts::LOG2_E) * x * fused(CUBED, square, 1.0);
    (at, TWICE_ROOT * fused(3.0 * CUBED, square, 1.0))
}

/// By [`exp`], which rounds less than a power of two of x times log2 e: decoders go through it in every layer, and it is no great part of
/// their time.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let fall = exp(-x.abs());
    let share = 1.0 / (1.0 + fall);
    if x > 0.0 { share } else { fall * share }
}
