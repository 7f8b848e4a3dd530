//! Small matrix products of the CPU's attention, in registers: `w b` with `w` along rows or columns.

use std::ops::Range;

use macerator::{Scalar, Simd, vload_unaligned};

use super::flex_vector::{load, store};

/// Rows one step of a product computes, so that what is loaded is used as often. WebAssembly has 15 registers, and needs one for
/// each product on its way to a sum.
const TILE: usize = if cfg!(target_family = "wasm") { 4 } else { 6 };
/// Rows of a step where fewer are left: query heads that share a key/value head are often three.
const SMALL: usize = 3;
/// Terms of a sum between two jumps back, at which programs in WebAssembly look whether they shall stop.
const TOGETHER: usize = if cfg!(target_family = "wasm") { 4 } else { 1 };

/// A matrix of weights, read along rows or along columns.
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

    /// Row `row` and those below it.
    #[inline(always)]
    fn at(self, row: usize) -> Self {
        let values = &self.values[row * self.row..];
        Self { values, ..self }
    }
}

/// Rows of a matrix, `stride` elements apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<T> {
    pub(super) values: T,
    pub(super) stride: usize,
}

impl<'a> Rows<&'a [f32]> {
    /// Row `row` and those below it.
    #[inline(always)]
    pub(super) fn at(self, row: usize) -> Self {
        let values = &self.values[row * self.stride..];
        Self { values, ..self }
    }

    /// The same as weights.
    #[inline(always)]
    pub(super) fn weights(self) -> Weights<'a> {
        Weights::rows(self.values, self.stride)
    }
}

/// A matrix by strips of columns, each two registers wide.
#[derive(Clone, Copy)]
pub(super) struct Strips<'a> {
    pub(super) values: &'a [f32],
    /// From a row of a strip to the next.
    pub(super) stride: usize,
    /// From a strip to the next.
    pub(super) apart: usize,
}

impl<'a> Strips<'a> {
    /// Those of a matrix that lies row by row.
    #[inline(always)]
    pub(super) fn of_rows<S: Simd>(rows: Rows<&'a [f32]>) -> Self {
        Self {
            values: rows.values,
            stride: rows.stride,
            apart: strip::<S>(),
        }
    }

    /// Strip `strip` and those behind it.
    #[inline(always)]
    fn at(self, strip: usize) -> Self {
        let values = &self.values[strip * self.apart..];
        Self { values, ..self }
    }
}

/// Writes `values` as column `at` of a matrix of `values.len()` rows that lies strip by strip, `width` columns each.
#[inline(always)]
pub(super) fn put_column(strips: &mut [f32], width: usize, at: usize, values: &[f32]) {
    let size = width * values.len();
    let strip = &mut strips[at / width * size..][..size];
    for (row, value) in strip.chunks_exact_mut(width).zip(values) {
        row[at % width] = *value;
    }
}

/// Columns of a strip.
#[inline(always)]
pub(super) fn strip<S: Simd>() -> usize {
    2 * <f32 as Scalar>::lanes::<S>()
}

/// Rows and columns of a product, and the length of its sums.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
}

/// `c = w b`: `rows` rows of `columns` columns, a sum over the first `depth` rows of `b`.
#[inline(always)]
pub(super) fn product<S: Simd>(c: Rows<&mut [f32]>, w: Weights<'_>, b: Strips<'_>, size: Size) {
    into::<S>(Sum::Put, c, w, b, size);
}

/// `c += w b`: as [`product`], added to what stands there.
#[inline(always)]
pub(super) fn add_product<S: Simd>(c: Rows<&mut [f32]>, w: Weights<'_>, b: Strips<'_>, size: Size) {
    into::<S>(Sum::Added, c, w, b, size);
}

/// What is done with a sum.
#[derive(Clone, Copy)]
enum Sum {
    /// It takes the place of what stood there.
    Put,
    /// It is added to it.
    Added,
}

#[inline(always)]
fn into<S: Simd>(sum: Sum, c: Rows<&mut [f32]>, w: Weights<'_>, b: Strips<'_>, size: Size) {
    let Size {
        rows,
        columns,
        depth,
    } = size;
    for (strip, column) in (0..columns).step_by(strip::<S>()).enumerate() {
        let b = b.at(strip);
        let mut c = Rows {
            values: &mut c.values[column..],
            stride: c.stride,
        };
        let row = tiles::<S, TILE>(sum, &mut c, 0..rows, w, b, depth);
        let row = tiles::<S, SMALL>(sum, &mut c, row..rows, w, b, depth);
        tiles::<S, 1>(sum, &mut c, row..rows, w, b, depth);
    }
}

/// As many tiles of `M` rows as there is room for in `rows`; returns the row behind them.
///
/// In WebAssembly each size is a function of its own: compilers that met them all in one kept few numbers in registers.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn tiles<S: Simd, const M: usize>(
    sum: Sum,
    c: &mut Rows<&mut [f32]>,
    rows: Range<usize>,
    w: Weights<'_>,
    b: Strips<'_>,
    depth: usize,
) -> usize {
    let mut row = rows.start;
    while row + M <= rows.end {
        let c = Rows {
            values: &mut c.values[row * c.stride..],
            stride: c.stride,
        };
        // Rows that are read along memory are nearly all, and a step that is known spares an addition for each number.
        match w.column {
            1 => tile::<S, M>(sum, c, w.at(row), 1, b, depth),
            step => tile::<S, M>(sum, c, w.at(row), step, b, depth),
        }
        row += M;
    }
    row
}

/// Two registers' width of `M` rows of a product, whose weights are `step` apart.
///
/// Lengths are checked once a tile: a check for each number that is read is half of the instructions where a processor has no
/// fused products, as WebAssembly.
#[inline(always)]
#[allow(
    unsafe_code,
    reason = "numbers are read behind one check of all places instead of one each"
)]
fn tile<S: Simd, const M: usize>(
    sum: Sum,
    c: Rows<&mut [f32]>,
    w: Weights<'_>,
    step: usize,
    b: Strips<'_>,
    depth: usize,
) {
    let lanes = <f32 as Scalar>::lanes::<S>();
    let zero = 0.0f32.splat::<S>();
    let (mut low, mut high) = ([zero; M], [zero; M]);
    if let Some(last) = depth.checked_sub(1) {
        assert!(last * b.stride + 2 * lanes <= b.values.len());
        assert!((M - 1) * w.row + last * step < w.values.len());
    }
    let mut strip = b.values.as_ptr();
    let mut weights = [w.values.as_ptr(); M];
    // Loops and no closures, which the compiler would not compile for the instructions that were chosen.
    for (m, weights) in weights.iter_mut().enumerate() {
        *weights = weights.wrapping_add(m * w.row);
    }
    let mut left = depth;
    'sum: while left > 0 {
        for term in 0..TOGETHER {
            // SAFETY: this is term `depth - left + term` of the sum, at most `last`, up to where the slices were found to reach.
            unsafe {
                let (near, far) = (vload_unaligned(strip), vload_unaligned(strip.add(lanes)));
                for m in 0..M {
                    let weight = (*weights[m].add(term * step)).splat::<S>();
                    low[m] = weight.mul_add(near, low[m]);
                    high[m] = weight.mul_add(far, high[m]);
                }
            }
            strip = strip.wrapping_add(b.stride);
            if TOGETHER > 1 && left == term + 1 {
                break 'sum;
            }
        }
        left -= TOGETHER;
        for weights in &mut weights {
            *weights = weights.wrapping_add(TOGETHER * step);
        }
    }
    for m in 0..M {
        let out = &mut c.values[m * c.stride..][..2 * lanes];
        if let Sum::Added = sum {
            low[m] = load::<S>(out) + low[m];
            high[m] = load::<S>(&out[lanes..]) + high[m];
        }
        store::<S>(out, low[m]);
        store::<S>(&mut out[lanes..], high[m]);
    }
}
