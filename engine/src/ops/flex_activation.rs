//! GELU and SiLU and their slopes, vectorised, for training on the CPU.

use macerator::{Simd, WithSimd};

use super::flex_softmax::exp;

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `x Φ(x)`.
    Gelu,
    /// `x sigmoid(x)`.
    Silu,
}

/// Writes the activation of `x` to `out`.
pub(super) struct Forward<'a> {
    pub kind: Kind,
    pub x: &'a [f32],
    pub out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let pairs = self.out.iter_mut().zip(self.x);
        match self.kind {
            Kind::Gelu => pairs.for_each(|(out, &x)| *out = x * bell(x).0),
            Kind::Silu => pairs.for_each(|(out, &x)| *out = x * sigmoid(x)),
        }
    }
}

/// Multiplies `grad` by the slope of the activation at `x`.
pub(super) struct Gradient<'a> {
    pub kind: Kind,
    pub x: &'a [f32],
    pub grad: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let pairs = self.grad.iter_mut().zip(self.x);
        match self.kind {
            Kind::Gelu => pairs.for_each(|(grad, &x)| {
                let (below, density) = bell(x);
                *grad *= x.mul_add(density, below);
            }),
            Kind::Silu => pairs.for_each(|(grad, &x)| {
                let share = sigmoid(x);
                *grad *= share * x.mul_add(1.0 - share, 1.0);
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
    let fall = exp(-0.5 * size * size);
    let t = 1.0 / size.mul_add(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2, 1.0);
    let mut sum = 1.061_405_4f32;
    for term in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = sum.mul_add(t, term);
    }
    let tail = 0.5 * sum * t * fall;
    let below = if x > 0.0 { 1.0 - tail } else { tail };
    (below, fall / ROOT_OF_TWO_PI)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let fall = exp(-x.abs());
    let share = 1.0 / (1.0 + fall);
    if x > 0.0 { share } else { fall * share }
}
