//! Attention over the key/value cache on the CPU: every row by itself, from its own first column.
//!
//! A row's sums run in an order that knows nothing of the other rows, so that a batch says to the bit what single rows say;
//! and the cache is read where it lies, which burn's product would copy first. A single query takes the keys as they are, many
//! turn them into columns once.

use burn::tensor::Tensor;
use macerator::{Simd, WithSimd};

use super::exp::fused;
use super::flex::{simd, slice, storage, tensor};
use super::flex_dots::products;
use super::flex_product::{Rows, Size, Strips, Weights, add_product, product, put_column, strip};
use super::flex_softmax::{STRIP, softmax};
use crate::threads;

/// Values that a block of columns after the other is weighted from: with heads of 64 they stay in the nearest cache.
const BLOCK: usize = 64;
/// Query rows whose scores are in scratch at a time.
const ROWS: usize = 32;

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Query heads a key/value head.
    pub group: usize,
    pub kv_heads: usize,
    /// Queries a row, the last of its `len` positions.
    pub queries: usize,
    pub capacity: usize,
    pub len: usize,
    pub width: usize,
}

/// q `[B, H, T, D]`, k and v `[B, Hkv, capacity, D]` -> `[B, H, T, D]`, all f32 of a flex device.
pub(super) fn cached_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    starts: &[usize],
    len: usize,
) -> Tensor<4> {
    let shape = q.dims();
    let [_, heads, queries, width] = shape;
    let [_, kv_heads, capacity, _] = k.dims();
    let sizes = Sizes {
        group: heads / kv_heads,
        kv_heads,
        queries,
        capacity,
        len,
        width,
    };
    let [q, k, v] = [q, k, v].map(storage);
    let mut out = vec![0.0; shape.iter().product()];
    heads_of(sizes, starts, [slice(&q), slice(&k), slice(&v)], &mut out);
    tensor(out, shape)
}

/// All key/value heads of all rows; shared out among the threads where there are many queries, or where that costs next to nothing.
pub(super) fn heads_of(sizes: Sizes, starts: &[usize], [q, k, v]: [&[f32]; 3], out: &mut [f32]) {
    let own = sizes.group * sizes.queries * sizes.width;
    let stored = sizes.capacity * sizes.width;
    let head = |at: usize, out: &mut [f32]| {
        let start = starts[at / sizes.kv_heads];
        let seen = at * stored + start * sizes.width..at * stored + sizes.len * sizes.width;
        simd(Head {
            sizes,
            start,
            q: &q[at * own..][..own],
            k: &k[seen.clone()],
            v: &v[seen],
            out,
        });
    };
    if (sizes.queries > 1 || threads::are_awake()) && threads::is_worth(out.len(), own) {
        let heads = out.chunks_mut(own).enumerate().collect();
        return threads::each(heads, |(at, out)| head(at, out));
    }
    for (at, out) in out.chunks_mut(own).enumerate() {
        head(at, out);
    }
}

/// One key/value head of one row with the query heads that share it.
struct Head<'a> {
    sizes: Sizes,
    /// The row's first column.
    start: usize,
    /// `[group, queries, width]`, as is `out`.
    q: &'a [f32],
    /// `[len - start, width]`, as is `v`.
    k: &'a [f32],
    v: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Head<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        match self.sizes.queries {
            1 => self.single::<S>(),
            _ => self.many::<S>(),
        }
    }
}

impl Head<'_> {
    fn scale(&self) -> f32 {
        1.0 / (self.sizes.width as f32).sqrt()
    }

    #[inline(always)]
    fn single<S: Simd>(self) {
        let Sizes { group, width, .. } = self.sizes;
        let (seen, scale) = (self.k.len() / width, self.scale());
        let padded = seen.next_multiple_of(STRIP);
        let mut scores = vec![0.0; group * padded];
        products::<S>(self.q, self.k, width, padded, &mut scores);
        for scores in scores.chunks_exact_mut(padded) {
            softmax(scores, seen, scale);
        }
        weighted::<S>(&scores, padded, (self.v, width), group, seen, self.out);
    }

    #[inline(always)]
    fn many<S: Simd>(self) {
        let Sizes { queries, width, .. } = self.sizes;
        let (seen, scale) = (self.k.len() / width, self.scale());
        let padded = seen.next_multiple_of(STRIP);
        let mut columns = vec![0.0; width * padded];
        let strip = strip::<S>();
        for (token, key) in self.k.chunks_exact(width).enumerate() {
            put_column(&mut columns, strip, token, key);
        }
        let mut scores = vec![0.0; ROWS * padded];
        let heads = self.q.chunks_exact(queries * width);
        for (q, out) in heads.zip(self.out.chunks_exact_mut(queries * width)) {
            for first in (0..queries).step_by(ROWS) {
                let rows = ROWS.min(queries - first);
                // Columns that a query of this block sees: those before the new ones, and these up to itself. A row whose
                // first columns are all new ones begins with queries that are no part of it, which see nothing.
                let sees = |row: usize| {
                    (self.sizes.len - queries + first + row + 1).saturating_sub(self.start)
                };
                let most = sees(rows - 1);
                let size = Size {
                    rows,
                    columns: most.next_multiple_of(STRIP),
                    depth: width,
                };
                let q = Weights::rows(&q[first * width..], width);
                let all = Rows {
                    values: &mut scores[..],
                    stride: padded,
                };
                let keys = Strips {
                    values: &columns,
                    stride: strip,
                    apart: width * strip,
                };
                product::<S>(all, q, keys, size);
                for (row, scores) in scores.chunks_exact_mut(padded).take(rows).enumerate() {
                    let strips = &mut scores[..size.columns];
                    match sees(row) {
                        0 => strips.fill(0.0),
                        seen => softmax(strips, seen, scale),
                    }
                }
                let out = &mut out[first * width..][..rows * width];
                weighted::<S>(&scores, padded, (self.v, width), rows, most, out);
            }
        }
    }
}

/// `out += scores v` for `rows` rows of scores over the first `seen` values.
#[inline(always)]
fn weighted<S: Simd>(
    scores: &[f32],
    padded: usize,
    (v, width): (&[f32], usize),
    rows: usize,
    seen: usize,
    out: &mut [f32],
) {
    if width.is_multiple_of(STRIP) {
        for first in (0..seen).step_by(BLOCK) {
            let size = Size {
                rows,
                columns: width,
                depth: BLOCK.min(seen - first),
            };
            let values = Strips::of_rows::<S>(Rows {
                values: &v[first * width..],
                stride: width,
            });
            let out = Rows {
                values: &mut *out,
                stride: width,
            };
            add_product::<S>(out, Weights::rows(&scores[first..], padded), values, size);
        }
        return;
    }
    for (scores, out) in scores.chunks_exact(padded).zip(out.chunks_exact_mut(width)) {
        for (weight, value) in scores.iter().zip(v.chunks_exact(width)).take(seen) {
            for (out, value) in out.iter_mut().zip(value) {
                *out = fused(*weight, *value, *out);
            }
        }
    }
}
