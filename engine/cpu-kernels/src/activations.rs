//! Rows of activations as whole numbers of 16 bits, with a scale and a sum for each 32 of them.

use alloc::vec;
use alloc::vec::Vec;

use crate::COLUMNS;
#[cfg(target_arch = "x86_64")]
use crate::level::{has_avx2, has_avx512};

/// `1.5 * 2^23`: added to what is below `2^22`, it leaves no bits for a fraction, so that the sum is rounded to the nearest whole
/// number, ties to even.
const ROUND: f32 = 12_582_912.0;

/// Rows of activations `[M, K]`, ready to be multiplied.
#[derive(Debug, Clone, PartialEq)]
pub struct Activations {
    cols: usize,
    codes: Vec<[i16; COLUMNS]>,
    scales: Vec<f32>,
    /// `scale * sum of the codes`, which offsets are multiplied with.
    sums: Vec<f32>,
}

impl Activations {
    /// Rounds rows of `cols` numbers each.
    ///
    /// A group with a number that is not finite gets a scale that is no number, and so do all results it has a part in.
    ///
    /// # Panics
    /// When `cols` is not whole groups, or `x` is not whole rows.
    pub fn new(x: &[f32], cols: usize) -> Self {
        assert!(
            cols > 0 && cols.is_multiple_of(COLUMNS) && x.len().is_multiple_of(cols),
            "activations: {} numbers in rows of {cols}",
            x.len()
        );
        let groups = x.as_chunks::<COLUMNS>().0;
        let codes = vec![[0; COLUMNS]; groups.len()];
        let scales = vec![0.0; groups.len()];
        let sums = vec![0.0; groups.len()];
        let mut out = Self {
            cols,
            codes,
            scales,
            sums,
        };
        out.round(groups);
        out
    }

    /// Takes over the groups, with the instructions that the processor has.
    fn round(&mut self, groups: &[[f32; COLUMNS]]) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx512bw,avx2")]
            fn with_avx512(out: &mut Activations, groups: &[[f32; COLUMNS]]) {
                out.round_all(groups);
            }
            #[target_feature(enable = "avx2")]
            fn with_avx2(out: &mut Activations, groups: &[[f32; COLUMNS]]) {
                out.round_all(groups);
            }
            #[allow(unsafe_code, reason = "calls of what needs AVX-512 or AVX2")]
            // SAFETY: the processor has them.
            unsafe {
                if has_avx512() {
                    return with_avx512(self, groups);
                }
                if has_avx2() {
                    return with_avx2(self, groups);
                }
            }
        }
        self.round_all(groups);
    }

    #[inline(always)]
    fn round_all(&mut self, groups: &[[f32; COLUMNS]]) {
        let scales = self.scales.iter_mut().zip(&mut self.sums);
        for ((group, codes), (scale, sum)) in groups.iter().zip(&mut self.codes).zip(scales) {
            (*scale, *sum) = round(group, codes);
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.codes.len() / (self.cols / COLUMNS)
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// One row. Taken for each tile of a product: a call costs as much there as eight products.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> Row<'_> {
        let across = self.cols / COLUMNS;
        Row {
            codes: &self.codes[row * across..][..across],
            scales: &self.scales[row * across..][..across],
            sums: &self.sums[row * across..][..across],
        }
    }
}

/// One row of activations, by groups of columns.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) codes: &'a [[i16; COLUMNS]],
    pub(crate) scales: &'a [f32],
    pub(crate) sums: &'a [f32],
}

/// The same rows, known to be of so many groups: the loops then need not check each access.
#[inline(always)]
pub(crate) fn of_length<const M: usize>(mut rows: [Row<'_>; M], groups: usize) -> [Row<'_>; M] {
    for row in &mut rows {
        row.codes = &row.codes[..groups];
        row.scales = &row.scales[..groups];
        row.sums = &row.sums[..groups];
    }
    rows
}

/// Writes the codes of a group; its scale and `scale * sum of the codes`.
#[inline(always)]
fn round(group: &[f32; COLUMNS], codes: &mut [i16; COLUMNS]) -> (f32, f32) {
    // As whole numbers: these are compared quickly everywhere, and what is not finite is larger than all that is.
    let size = |x: &f32| x.to_bits() & !(1 << 31);
    let largest = f32::from_bits(group.iter().map(size).fold(0, u32::max));
    let scale = match largest.is_finite() {
        true => largest / f32::from(i16::MAX),
        false => f32::NAN,
    };
    // What is so small that its step is no number of f32 any more is as good as 0.
    let inverse = match scale.recip() {
        inverse if inverse.is_finite() => inverse,
        _ => 0.0,
    };
    let mut sum = 0i32;
    for (code, &x) in codes.iter_mut().zip(group) {
        // The lowest bits of such a sum are the whole number.
        let whole = (x * inverse + ROUND)
            .to_bits()
            .wrapping_sub(ROUND.to_bits());
        *code = whole as i16;
        sum += i32::from(*code);
    }
    (scale, scale * sum as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_nearest_steps_and_their_sum_is_kept() {
        let mut x = [0.0; 2 * COLUMNS];
        for (at, x) in x.iter_mut().enumerate() {
            *x = (at as f32 * 0.7).sin() * if at < COLUMNS { 3.0 } else { 1e-20 };
        }
        let found = Activations::new(&x, 2 * COLUMNS);
        let row = found.row(0);
        for (group, x) in x.as_chunks::<COLUMNS>().0.iter().enumerate() {
            let scale = row.scales[group];
            let mut sum = 0.0;
            for (&code, &x) in row.codes[group].iter().zip(x) {
                let back = scale * f32::from(code);
                // Half a step, and what the scaling itself rounds.
                assert!((back - x).abs() <= 0.51 * scale, "{back} for {x}");
                sum += f64::from(code);
            }
            let far = (f64::from(row.sums[group]) - f64::from(scale) * sum).abs();
            assert!(far <= 1e-6 * f64::from(scale) * 32.0 * 32767.0);
        }
        assert!(row.codes[0].iter().any(|code| code.unsigned_abs() == 32767));
    }

    #[test]
    fn zeros_stay_zeros_and_what_is_not_finite_is_never_a_number() {
        let zero = Activations::new(&[0.0; COLUMNS], COLUMNS);
        assert_eq!((zero.row(0).scales[0], zero.row(0).sums[0]), (0.0, 0.0));
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = [1.0; COLUMNS];
            x[7] = odd;
            let found = Activations::new(&x, COLUMNS);
            assert!(found.row(0).scales[0].is_nan() && found.row(0).sums[0].is_nan());
        }
    }
}
