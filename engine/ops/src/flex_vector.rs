//! What the CPU's convolutions share: reading, writing and clamping registers of numbers.

use macerator::{Scalar, Simd, Vector, vload_unaligned, vstore_unaligned};

/// Holds values in 0 to 6.
///
/// As whole numbers: negative floats are negative ones, and the order of the others is the same. A browser
/// makes one instruction of it, but seven of the minimum of floats, for the sake of NaN and -0.
#[inline(always)]
pub(super) fn clamp<S: Simd>(value: Vector<S, f32>) -> Vector<S, f32> {
    let bits = S::typed::<i32>(*positive::<S>(value));
    S::typed(*bits.min((6.0f32.to_bits() as i32).splat::<S>()))
}

/// Zero for what is negative, in the way of [`clamp`].
#[inline(always)]
pub(super) fn positive<S: Simd>(value: Vector<S, f32>) -> Vector<S, f32> {
    S::typed(*S::typed::<i32>(*value).max(0i32.splat::<S>()))
}

#[inline(always)]
#[allow(
    unsafe_code,
    reason = "the vector crate reads through pointers; the length is checked first"
)]
pub(super) fn load<S: Simd>(from: &[f32]) -> Vector<S, f32> {
    assert!(from.len() >= <f32 as Scalar>::lanes::<S>());
    // SAFETY: the slice holds a whole vector, as just asserted.
    unsafe { vload_unaligned(from.as_ptr()) }
}

#[inline(always)]
#[allow(
    unsafe_code,
    reason = "the vector crate writes through pointers; the length is checked first"
)]
pub(super) fn store<S: Simd>(to: &mut [f32], value: Vector<S, f32>) {
    assert!(to.len() >= <f32 as Scalar>::lanes::<S>());
    // SAFETY: the slice holds a whole vector, as just asserted.
    unsafe { vstore_unaligned(to.as_mut_ptr(), value) }
}

/// Numbers of which vectors are read from anywhere.
pub(super) struct Vectors<'a> {
    values: &'a [f32],
    /// The last place where a whole vector begins.
    last: usize,
}

impl<'a> Vectors<'a> {
    #[inline(always)]
    pub(super) fn new<S: Simd>(values: &'a [f32]) -> Self {
        let lanes = <f32 as Scalar>::lanes::<S>();
        assert!(values.len() >= lanes);
        Self {
            values,
            last: values.len() - lanes,
        }
    }

    #[inline(always)]
    #[allow(
        unsafe_code,
        reason = "the vector crate reads through pointers; the place is checked first"
    )]
    pub(super) fn at<S: Simd>(&self, at: usize) -> Vector<S, f32> {
        assert!(at <= self.last);
        // SAFETY: `new` left room for a vector after `last`.
        unsafe { vload_unaligned(self.values.as_ptr().add(at)) }
    }
}
