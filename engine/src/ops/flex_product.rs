//! Small matrix products of the CPU's attention, in registers: `c += w b` with `w` along rows or columns.

use std::ops::Range;

use macerator::{Scalar, Simd, vload_unaligned};

use super::flex_vector::{load, store};

/// Rows one step of a product computes, so that what is loaded is used as often.
const TILE: usize = 6;
/// Rows of a step where fewer are left: query heads that share a key/value head are often three.
const SMALL: usize = 3;
/// A matrix of weights in scratch, read along rows or along columns.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) values: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Weights<'a> {
    pub(super) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self {
            values,
            row: stride,
            column: 1,
        }
    }

    #[cfg(feature = "train")]
    pub(super) fn columns(values: &'a [f32], stride: usize) -> Self {
        Self {
            values,
            row: 1,
            column: stride,
        }
    }
}

/// Rows of a matrix, `stride` elements apart.
pub(super) struct Rows<T> {
    pub(super) values: T,
    pub(super) stride: usize,
}

/// Rows and columns of a product, and the length of its sums.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
}

/// `c += w b`: `rows` rows of `columns` columns, a sum over the first `depth` rows of `b`.
#[inline(always)]
pub(super) fn product<S: Simd>(c: Rows<&mut [f32]>, w: Weights<'_>, b: Rows<&[f32]>, size: Size) {
    let Size {
        rows,
        columns,
        depth,
    } = size;
    let (c_stride, b_stride) = (c.stride, b.stride);
    let pair = 2 * <f32 as Scalar>::lanes::<S>();
    for column in (0..columns).step_by(pair) {
        let (c, b) = (&mut c.values[column..], &b.values[column..]);
        let row = tiles::<S, TILE>(c, c_stride, 0..rows, w, b, b_stride, depth);
        let row = tiles::<S, SMALL>(c, c_stride, row..rows, w, b, b_stride, depth);
        tiles::<S, 1>(c, c_stride, row..rows, w, b, b_stride, depth);
    }
}

/// As many tiles of `M` rows as there is room for in `rows`; returns the row behind them.
#[inline(always)]
fn tiles<S: Simd, const M: usize>(
    c: &mut [f32],
    c_stride: usize,
    rows: Range<usize>,
    w: Weights<'_>,
    b: &[f32],
    b_stride: usize,
    depth: usize,
) -> usize {
    let mut row = rows.start;
    while row + M <= rows.end {
        tile::<S, M>(c, c_stride, row, w, b, b_stride, depth);
        row += M;
    }
    row
}

/// Two registers' width of `M` rows of a product.
///
/// Lengths are checked once a tile: a check for each number that is read is half of the instructions where a processor has no
/// fused products, as WebAssembly.
#[inline(always)]
#[allow(
    unsafe_code,
    reason = "numbers are read behind one check of all places instead of one each"
)]
fn tile<S: Simd, const M: usize>(
    c: &mut [f32],
    c_stride: usize,
    row: usize,
    w: Weights<'_>,
    b: &[f32],
    b_stride: usize,
    depth: usize,
) {
    let lanes = <f32 as Scalar>::lanes::<S>();
    let zero = 0.0f32.splat::<S>();
    let (mut low, mut high) = ([zero; M], [zero; M]);
    if let Some(last) = depth.checked_sub(1) {
        assert!(last * b_stride + 2 * lanes <= b.len());
        assert!((row + M - 1) * w.row + last * w.column < w.values.len());
    }
    for at in 0..depth {
        // Loops and no closures, which the compiler would not compile for the instructions that were chosen.
        // SAFETY: `at` is at most `last`, up to where the slice was found to reach.
        let (left, right) = unsafe {
            let strip = b.as_ptr().add(at * b_stride);
            (vload_unaligned(strip), vload_unaligned(strip.add(lanes)))
        };
        for m in 0..M {
            // SAFETY: as above.
            let weight = unsafe { *w.values.get_unchecked((row + m) * w.row + at * w.column) };
            let weight = weight.splat::<S>();
            low[m] = weight.mul_add(left, low[m]);
            high[m] = weight.mul_add(right, high[m]);
        }
    }
    for m in 0..M {
        let out = &mut c[(row + m) * c_stride..][..2 * lanes];
        let sums = (load::<S>(out) + low[m], load::<S>(&out[lanes..]) + high[m]);
        store::<S>(out, sums.0);
        store::<S>(&mut out[lanes..], sums.1);
    }
}
