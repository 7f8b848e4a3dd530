//! Dot products of a few rows with many, all along memory: queries with keys, activations with dense weights.

use macerator::{Scalar, Simd, vload_unaligned};

use super::exp::fused;

/// The product of each row of `x` with each of `rows`, all `width` long: that of row m and row n goes to `out[m * stride + n]`. A
/// sum runs in the same order whatever stands beside it.
#[inline(always)]
pub(super) fn products<S: Simd>(
    x: &[f32],
    rows: &[f32],
    width: usize,
    stride: usize,
    out: &mut [f32],
) {
    let count = x.len() / width;
    let mut at = 0;
    while at < count {
        let (x, out) = (&x[at * width..], &mut out[at * stride..]);
        at += match count - at {
            1 | 2 => with_all::<S, 1, 4>(x, rows, width, stride, out),
            _ => with_all::<S, 3, 4>(x, rows, width, stride, out),
        };
    }
}

/// `M` rows of `x` with all `rows`; returns M.
#[inline(always)]
fn with_all<S: Simd, const M: usize, const N: usize>(
    x: &[f32],
    rows: &[f32],
    width: usize,
    stride: usize,
    out: &mut [f32],
) -> usize {
    let count = rows.len() / width;
    let mut row = 0;
    while row + N <= count {
        dots::<S, M, N>(x, &rows[row * width..], width, stride, &mut out[row..]);
        row += N;
    }
    while row < count {
        dots::<S, M, 1>(x, &rows[row * width..], width, stride, &mut out[row..]);
        row += 1;
    }
    M
}

/// `M` rows with `N` rows. Lengths are checked once: see `flex_product`.
#[inline(always)]
#[allow(
    unsafe_code,
    reason = "numbers are read behind one check of all places instead of one each"
)]
fn dots<S: Simd, const M: usize, const N: usize>(
    x: &[f32],
    rows: &[f32],
    width: usize,
    stride: usize,
    out: &mut [f32],
) {
    let lanes = <f32 as Scalar>::lanes::<S>();
    let whole = width - width % lanes;
    let zero = 0.0f32.splat::<S>();
    let mut sums = [[zero; N]; M];
    assert!(x.len() >= M * width && rows.len() >= N * width);
    for at in (0..whole).step_by(lanes) {
        // Loops and no closures, which the compiler would not compile for the instructions that were chosen.
        let mut left = [zero; M];
        for (m, left) in left.iter_mut().enumerate() {
            // SAFETY: M rows of `width` numbers were found; a register from `at` on is within `whole`, so within them.
            *left = unsafe { vload_unaligned(x.as_ptr().add(m * width + at)) };
        }
        for n in 0..N {
            // SAFETY: as above, of N rows.
            let right = unsafe { vload_unaligned(rows.as_ptr().add(n * width + at)) };
            for (sums, left) in sums.iter_mut().zip(left) {
                sums[n] = left.mul_add(right, sums[n]);
            }
        }
    }
    for m in 0..M {
        for n in 0..N {
            let mut sum = sums[m][n].reduce_add();
            for at in whole..width {
                sum = fused(x[m * width + at], rows[n * width + at], sum);
            }
            out[m * stride + n] = sum;
        }
    }
}
