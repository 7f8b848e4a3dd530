//! Bias, activation and what a product is added to, row by row on the CPU while the row is near.

use macerator::{Simd, WithSimd};

use super::activation_kind::Activation;
use super::epilogue::Epilogue;
use super::flex::{simd, slice, storage};
use super::flex_activation::in_place;
use crate::threads;

/// Numbers that are worth a core of their own.
const SHARE: usize = 1 << 14;

/// Does `epilogue` to `y`, rows of `wide` numbers.
pub(super) fn finish<const D: usize>(y: &mut [f32], wide: usize, epilogue: Epilogue<D>) {
    let (bias, onto) = (epilogue.bias.map(storage), epilogue.onto.map(storage));
    let [bias, onto] = [&bias, &onto].map(|part| part.as_ref().map(slice));
    of_rows(y, wide, bias, epilogue.activation, onto);
}

/// [`finish`] of rows. Not within it, because what has a parameter is compiled where it is called, and not as quick there.
pub(super) fn of_rows(
    y: &mut [f32],
    wide: usize,
    bias: Option<&[f32]>,
    activation: Option<Activation>,
    onto: Option<&[f32]>,
) {
    if y.is_empty() || (bias.is_none() && activation.is_none() && onto.is_none()) {
        return;
    }
    let each = match threads::is_worth(y.len(), SHARE) {
        true => threads::share_of(y.len() / wide, SHARE.div_ceil(wide)) * wide,
        false => y.len(),
    };
    let mut added = onto.map(|onto| onto.chunks(each));
    let work = y.chunks_mut(each).map(|y| {
        let onto = added.as_mut().and_then(Iterator::next);
        Rows {
            y,
            wide,
            bias,
            activation,
            onto,
        }
    });
    threads::each(work.collect(), simd);
}

struct Rows<'a> {
    y: &'a mut [f32],
    wide: usize,
    bias: Option<&'a [f32]>,
    activation: Option<Activation>,
    onto: Option<&'a [f32]>,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let mut onto = self.onto.map(|onto| onto.chunks_exact(self.wide));
        for y in self.y.chunks_exact_mut(self.wide) {
            for (y, bias) in y.iter_mut().zip(self.bias.unwrap_or_default()) {
                *y += bias;
            }
            if let Some(activation) = self.activation {
                in_place(activation, y);
            }
            let onto = onto.as_mut().and_then(Iterator::next);
            for (y, onto) in y.iter_mut().zip(onto.unwrap_or_default()) {
                *y += onto;
            }
        }
    }
}
