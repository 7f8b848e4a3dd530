//! Attention and its gradient on the CPU, head by head and row block by row block, in scratch that fits the cache.
//!
//! burn's own gradient walks the whole score matrix many times, the hidden half of a causal one included.
//! For the embedded model (heads of 32, 250 to 500 tokens) that was about half of a training step. Here scores
//! are computed twice (forward, backward), only as far as a row may see, and never leave the second-level cache.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use macerator::{Simd, WithSimd};

use super::flex::{simd, slice, storage};
use super::flex_product::{Rows, Size, Strips, Weights, product, put_column, strip};
#[cfg(feature = "train")]
use super::flex_softmax::soften;
use super::flex_softmax::{STRIP, softmax};
use super::seen::Seen;
use crate::threads;

/// Query rows whose scores are in scratch at a time: whole tiles of products, natively and in WebAssembly.
const ROWS: usize = 36;

/// Sizes of an attention in which queries, keys and values have the same heads and as many tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes<'a> {
    /// Batch times heads.
    pub(super) heads: usize,
    /// Tokens.
    pub(super) tokens: usize,
    /// Width of a head, a multiple of [`STRIP`].
    pub(super) width: usize,
    /// Who sees whom.
    pub(super) seen: &'a Seen,
}

/// Tokens that see each other, and before them a prefix.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The first of them.
    start: usize,
    /// How many they are.
    len: usize,
    /// How many of the row's first tokens all of them see.
    prefix: usize,
}

impl Part {
    /// Keys in scratch: the prefix, then its own.
    fn keys(&self) -> usize {
        self.prefix + self.len
    }

    /// Blocks of its query rows, counted from its start.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len;
        (0..len)
            .step_by(ROWS)
            .map(move |start| start..(start + ROWS).min(len))
    }
}

/// Whether heads of this width can be done.
pub(super) fn supported(width: usize) -> bool {
    width.is_multiple_of(STRIP)
}

impl Sizes<'_> {
    fn head(&self) -> usize {
        self.tokens * self.width
    }

    /// The parts of a row; the prefix that others see comes last.
    fn parts(&self) -> Vec<Part> {
        let whole = |len| Part {
            start: 0,
            len,
            prefix: 0,
        };
        let Seen::Shared(shared) = self.seen else {
            return vec![whole(self.tokens)];
        };
        let prefix = shared.prefix();
        let mut start = prefix;
        let mut parts: Vec<Part> = shared
            .lengths()
            .iter()
            .map(|&len| {
                start += len;
                Part {
                    start: start - len,
                    len,
                    prefix,
                }
            })
            .collect();
        parts.push(whole(prefix));
        parts
    }

    /// Keys in scratch that row `row` of a part sees.
    fn seen(&self, part: Part, row: usize) -> usize {
        match self.seen {
            Seen::All => self.tokens,
            Seen::Before | Seen::Shared(_) => part.prefix + row + 1,
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// One head's keys or values: as rows and as columns, the prefix first, behind it those of the part at hand. Both lie by the strips
/// that products read: a strip is a stream, where rows of a matrix as wide as a power of two evict each other from the cache.
struct Scratch {
    width: usize,
    keys: usize,
    /// Columns of a strip.
    strip: usize,
    /// `[width / strip, keys, strip]`
    rows: Vec<f32>,
    /// `[keys / strip, width, strip]`
    columns: Vec<f32>,
}

impl Scratch {
    fn new<S: Simd>(width: usize, keys: usize) -> Self {
        Self {
            width,
            keys,
            strip: strip::<S>(),
            rows: vec![0.0; width * keys],
            columns: vec![0.0; width * keys.next_multiple_of(STRIP)],
        }
    }

    /// Takes rows `[n, width]` to the places from `first` on.
    #[inline(always)]
    fn load(&mut self, first: usize, rows: &[f32]) {
        let (width, keys, strip) = (self.width, self.keys, self.strip);
        for (key, row) in (first..).zip(rows.chunks_exact(width)) {
            for (at, values) in row.chunks_exact(strip).enumerate() {
                self.rows[(at * keys + key) * strip..][..strip].copy_from_slice(values);
            }
            put_column(&mut self.columns, strip, key, row);
        }
    }

    fn as_rows(&self) -> Strips<'_> {
        Strips {
            values: &self.rows,
            stride: self.strip,
            apart: self.keys * self.strip,
        }
    }

    fn as_columns(&self) -> Strips<'_> {
        Strips {
            values: &self.columns,
            stride: self.strip,
            apart: self.width * self.strip,
        }
    }
}

/// `softmax(q kᵀ / sqrt(D)) v`; every slice is `[heads, tokens, width]`.
pub(super) struct Forward<'a> {
    pub(super) sizes: Sizes<'a>,
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let sizes = self.sizes;
        let (width, parts) = (sizes.width, sizes.parts());
        let most = parts.iter().map(Part::keys).max().unwrap_or(0);
        let mut keys = Scratch::new::<S>(width, most);
        let mut values = Scratch::new::<S>(width, most);
        let padded = most.next_multiple_of(STRIP);
        let mut scores = vec![0.0; ROWS * padded];
        for head in 0..sizes.heads {
            let own = head * sizes.head()..(head + 1) * sizes.head();
            let (q, k, v) = (
                &self.q[own.clone()],
                &self.k[own.clone()],
                &self.v[own.clone()],
            );
            let out = &mut self.out[own];
            for (at, part) in parts.iter().enumerate() {
                load(at, *part, width, (&mut keys, k), (&mut values, v));
                for rows in part.blocks() {
                    let first = (part.start + rows.start) * width;
                    let q = &q[first..];
                    probabilities::<S>(sizes, *part, rows.clone(), q, &keys, (&mut scores, padded));
                    let size = Size {
                        rows: rows.len(),
                        columns: width,
                        depth: sizes.seen(*part, rows.end - 1),
                    };
                    let out = Rows {
                        values: &mut out[first..],
                        stride: width,
                    };
                    product::<S>(out, Weights::rows(&scores, padded), values.as_rows(), size);
                }
            }
        }
    }
}

/// Attention without gradients of tensors `[B, H, T, D]` of a flex device, whose width is supported; the heads are
/// shared out among the threads.
pub(super) fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, seen: &Seen) -> Tensor<4> {
    let (shape, device) = (q.dims(), q.device());
    let [batch, heads, tokens, width] = shape;
    let rows = [batch * heads * tokens, width];
    let [q, k, v] = [q, k, v].map(|x| storage(x.reshape(rows)));
    let [q, k, v] = [&q, &k, &v].map(slice);
    let own = tokens * width;
    let mut out = vec![0.0; batch * heads * own];
    let some = |at: usize, out: &mut [f32]| {
        let heads = out.len() / own.max(1);
        let part = at * own..at * own + out.len();
        simd(Forward {
            sizes: Sizes {
                heads,
                tokens,
                width,
                seen,
            },
            q: &q[part.clone()],
            k: &k[part.clone()],
            v: &v[part],
            out,
        });
    };
    if threads::is_worth(out.len(), own) {
        let each = threads::share_of(batch * heads, 1);
        let shares = out.chunks_mut((each * own).max(1)).enumerate();
        threads::each(shares.collect(), |(at, out)| some(at * each, out));
        return Tensor::from_data(TensorData::new(out, shape), &device);
    }
    some(0, &mut out);
    Tensor::from_data(TensorData::new(out, shape), &device)
}

/// Gradients of [`Forward`] for `grad` of its output; `dq`, `dk` and `dv` start at zero.
#[cfg(feature = "train")]
pub(super) struct Gradient<'a> {
    pub(super) sizes: Sizes<'a>,
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) grad: &'a [f32],
    pub(super) dq: &'a mut [f32],
    pub(super) dk: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}

#[cfg(feature = "train")]
impl WithSimd for Gradient<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let sizes = self.sizes;
        let (width, parts) = (sizes.width, sizes.parts());
        let most = parts.iter().map(Part::keys).max().unwrap_or(0);
        let mut keys = Scratch::new::<S>(width, most);
        let mut values = Scratch::new::<S>(width, most);
        let padded = most.next_multiple_of(STRIP);
        let mut scores = vec![0.0; ROWS * padded];
        let mut slopes = vec![0.0; ROWS * padded];
        // Of the keys and values in scratch; those of the prefix grow with every part.
        let (mut key_slopes, mut value_slopes) = (vec![0.0; most * width], vec![0.0; most * width]);
        for head in 0..sizes.heads {
            let own = head * sizes.head()..(head + 1) * sizes.head();
            let (q, grad) = (&self.q[own.clone()], &self.grad[own.clone()]);
            let (k, v) = (&self.k[own.clone()], &self.v[own.clone()]);
            let dq = &mut self.dq[own.clone()];
            let (dk, dv) = (&mut self.dk[own.clone()], &mut self.dv[own]);
            for (at, part) in parts.iter().enumerate() {
                load(at, *part, width, (&mut keys, k), (&mut values, v));
                for rows in part.blocks() {
                    let first = (part.start + rows.start) * width;
                    let (q, grad) = (&q[first..], &grad[first..]);
                    probabilities::<S>(sizes, *part, rows.clone(), q, &keys, (&mut scores, padded));
                    let seen = sizes.seen(*part, rows.end - 1);
                    let count = rows.len();
                    let down = Size {
                        rows: seen,
                        columns: width,
                        depth: count,
                    };
                    // dv += pᵀ grad
                    product::<S>(
                        Rows {
                            values: &mut value_slopes,
                            stride: width,
                        },
                        Weights::columns(&scores, padded),
                        Strips::of_rows::<S>(grad, width),
                        down,
                    );
                    // dp = grad vᵀ, then ds = p (dp - Σ p dp) / sqrt(D)
                    slopes.fill(0.0);
                    let strips = seen.next_multiple_of(STRIP);
                    product::<S>(
                        Rows {
                            values: &mut slopes,
                            stride: padded,
                        },
                        Weights::rows(grad, width),
                        values.as_columns(),
                        Size {
                            rows: count,
                            columns: strips,
                            depth: width,
                        },
                    );
                    for (p, slope) in scores
                        .chunks_exact(padded)
                        .zip(slopes.chunks_exact_mut(padded))
                        .take(count)
                    {
                        soften(&p[..strips], &mut slope[..strips], sizes.scale());
                    }
                    // dq += ds k, dk += dsᵀ q
                    product::<S>(
                        Rows {
                            values: &mut dq[first..],
                            stride: width,
                        },
                        Weights::rows(&slopes, padded),
                        keys.as_rows(),
                        Size {
                            rows: count,
                            columns: width,
                            depth: seen,
                        },
                    );
                    product::<S>(
                        Rows {
                            values: &mut key_slopes,
                            stride: width,
                        },
                        Weights::columns(&slopes, padded),
                        Strips::of_rows::<S>(q, width),
                        down,
                    );
                }
                let own = part.prefix * width..part.keys() * width;
                let place = part.start * width..(part.start + part.len) * width;
                for (slopes, out) in [(&mut key_slopes, &mut *dk), (&mut value_slopes, &mut *dv)] {
                    let slopes = &mut slopes[own.clone()];
                    out[place.clone()].copy_from_slice(slopes);
                    slopes.fill(0.0);
                }
            }
        }
    }
}

/// Brings the keys and values of a part into scratch, and with the first part of a head the prefix.
#[inline(always)]
fn load(
    at: usize,
    part: Part,
    width: usize,
    (keys, k): (&mut Scratch, &[f32]),
    (values, v): (&mut Scratch, &[f32]),
) {
    let own = part.start * width..(part.start + part.len) * width;
    for (scratch, rows) in [(keys, k), (values, v)] {
        if at == 0 {
            scratch.load(0, &rows[..part.prefix * width]);
        }
        scratch.load(part.prefix, &rows[own.clone()]);
    }
}

/// Softmax over what each of `rows` sees, into scores `[rows, padded]`; zero beyond. `q` begins at the first of them.
#[inline(always)]
fn probabilities<S: Simd>(
    sizes: Sizes<'_>,
    part: Part,
    rows: Range<usize>,
    q: &[f32],
    keys: &Scratch,
    (scores, padded): (&mut [f32], usize),
) {
    let strips = sizes.seen(part, rows.end - 1).next_multiple_of(STRIP);
    scores.fill(0.0);
    let size = Size {
        rows: rows.len(),
        columns: strips,
        depth: sizes.width,
    };
    let out = Rows {
        values: &mut *scores,
        stride: padded,
    };
    product::<S>(out, Weights::rows(q, sizes.width), keys.as_columns(), size);
    for (row, scores) in rows.zip(scores.chunks_exact_mut(padded)) {
        softmax(&mut scores[..strips], sizes.seen(part, row), sizes.scale());
    }
}
