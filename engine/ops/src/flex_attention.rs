//! Attention on the CPU, head by head and row block by row block, in scratch that fits the cache.
//!
//! Scores are computed only as far as a row may see, and never leave the second-level cache. Heads are read where projections
//! left them.

use std::ops::Range;

use burn::tensor::Tensor;
use macerator::{Simd, WithSimd};

use super::flex::{simd, tensor};
use super::flex_heads::{Heads, storage};
use super::flex_product::{Rows, Size, Strips, Weights, product, put_column, strip};
use super::flex_softmax::{STRIP, exponentials};
use super::seen::Seen;
use crate::threads;

/// Query rows whose scores are in scratch at a time: whole tiles of products, natively and in WebAssembly.
pub(super) const ROWS: usize = 36;

/// Sizes of an attention in which queries, keys and values have the same heads and as many tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes<'a> {
    /// Tokens.
    pub(super) tokens: usize,
    /// Width of a head, a multiple of [`STRIP`].
    pub(super) width: usize,
    /// Who sees whom.
    pub(super) seen: &'a Seen,
}

/// Tokens that see each other, and before them a prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The first of them.
    pub(super) start: usize,
    /// How many they are.
    pub(super) len: usize,
    /// How many of the row's first tokens all of them see.
    pub(super) prefix: usize,
}

impl Part {
    /// Keys in scratch: the prefix, then its own.
    pub(super) fn keys(&self) -> usize {
        self.prefix + self.len
    }

    /// Blocks of its query rows, counted from its start.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
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
    pub(super) fn head(&self) -> usize {
        self.tokens * self.width
    }

    /// The parts of a row; the prefix that others see comes last.
    pub(super) fn parts(&self) -> Vec<Part> {
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
    pub(super) fn seen(&self, part: Part, row: usize) -> usize {
        match self.seen {
            Seen::All => self.tokens,
            Seen::Before | Seen::Shared(_) => part.prefix + row + 1,
        }
    }

    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// One head's keys or values in scratch, the prefix first, behind it those of the part at hand, by the strips that products read: a
/// strip is a stream, where rows of a matrix as wide as a power of two evict each other from the cache.
pub(super) trait Scratch {
    /// Takes these tokens of a head to the places from `first` on.
    fn load(&mut self, first: usize, rows: Rows<&[f32]>, tokens: Range<usize>);

    /// Takes the tokens of the part that is number `at` of a row's, and with the first the prefix.
    #[inline(always)]
    fn load_part(&mut self, at: usize, part: Part, rows: Rows<&[f32]>) {
        if at == 0 {
            self.load(0, rows, 0..part.prefix);
        }
        self.load(part.prefix, rows, part.start..part.start + part.len);
    }
}

/// A matrix with a row for each token.
pub(super) struct TokenRows {
    tokens: usize,
    strip: usize,
    /// `[width / strip, tokens, strip]`
    values: Vec<f32>,
}

impl TokenRows {
    pub(super) fn new<S: Simd>(width: usize, tokens: usize) -> Self {
        Self {
            tokens,
            strip: strip::<S>(),
            values: vec![0.0; width * tokens],
        }
    }

    pub(super) fn strips(&self) -> Strips<'_> {
        Strips {
            values: &self.values,
            stride: self.strip,
            apart: self.tokens * self.strip,
        }
    }
}

impl Scratch for TokenRows {
    #[inline(always)]
    fn load(&mut self, first: usize, rows: Rows<&[f32]>, tokens: Range<usize>) {
        let (all, strip) = (self.tokens, self.strip);
        let width = self.values.len() / all.max(1);
        for (place, token) in (first..).zip(tokens) {
            let row = &rows.values[token * rows.stride..][..width];
            for (at, values) in row.chunks_exact(strip).enumerate() {
                self.values[(at * all + place) * strip..][..strip].copy_from_slice(values);
            }
        }
    }
}

/// A matrix with a column for each token.
pub(super) struct TokenColumns {
    width: usize,
    strip: usize,
    /// `[tokens / strip, width, strip]`
    values: Vec<f32>,
}

impl TokenColumns {
    pub(super) fn new<S: Simd>(width: usize, tokens: usize) -> Self {
        Self {
            width,
            strip: strip::<S>(),
            values: vec![0.0; width * tokens.next_multiple_of(STRIP)],
        }
    }

    pub(super) fn strips(&self) -> Strips<'_> {
        Strips {
            values: &self.values,
            stride: self.strip,
            apart: self.width * self.strip,
        }
    }
}

impl Scratch for TokenColumns {
    #[inline(always)]
    fn load(&mut self, first: usize, rows: Rows<&[f32]>, tokens: Range<usize>) {
        for (place, token) in (first..).zip(tokens) {
            let row = &rows.values[token * rows.stride..][..self.width];
            put_column(&mut self.values, self.strip, place, row);
        }
    }
}

/// `softmax(q kᵀ / sqrt(D)) v`.
pub(super) struct Forward<'a> {
    pub(super) sizes: Sizes<'a>,
    pub(super) q: Heads<'a>,
    pub(super) k: Heads<'a>,
    pub(super) v: Heads<'a>,
    /// The heads that are asked for.
    pub(super) heads: Range<usize>,
    /// What comes of them, `[heads, tokens, width]`, or of one sequence `[tokens, heads, width]`.
    pub(super) out: &'a mut [f32],
    pub(super) order: Order,
}

/// How the heads of a result lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// One head after the other.
    Heads,
    /// One token after the other, its heads side by side, as the next projection reads them.
    Tokens,
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let sizes = self.sizes;
        let (width, parts) = (sizes.width, sizes.parts());
        let most = parts.iter().map(Part::keys).max().unwrap_or(0);
        let mut keys = TokenColumns::new::<S>(width, most);
        let mut values = TokenRows::new::<S>(width, most);
        let padded = most.next_multiple_of(STRIP);
        let mut scores = vec![0.0; ROWS * padded];
        let (apart, stride) = match self.order {
            Order::Heads => (sizes.head(), width),
            Order::Tokens => (width, self.heads.len() * width),
        };
        for (at, head) in self.heads.enumerate() {
            let out = &mut self.out[at * apart..];
            let [q, k, v] = [self.q, self.k, self.v].map(|heads| heads.of(head));
            for (at, part) in parts.iter().enumerate() {
                keys.load_part(at, *part, k);
                values.load_part(at, *part, v);
                for rows in part.blocks() {
                    let first = part.start + rows.start;
                    let q = q.at(first);
                    let inverses =
                        weights::<S>(sizes, *part, rows.clone(), q, &keys, (&mut scores, padded));
                    let size = Size {
                        rows: rows.len(),
                        columns: width,
                        depth: sizes.seen(*part, rows.end - 1),
                    };
                    let out = &mut out[first * stride..];
                    let all = Rows {
                        values: &mut *out,
                        stride,
                    };
                    product::<S>(all, Weights::rows(&scores, padded), values.strips(), size);
                    // A row of values is shorter than one of weights.
                    for (out, inverse) in out.chunks_mut(stride).zip(inverses).take(rows.len()) {
                        for value in &mut out[..width] {
                            *value *= inverse;
                        }
                    }
                }
            }
        }
    }
}

/// Attention without gradients of tensors `[B, H, T, D]` of a flex device, whose width is supported; the heads are
/// shared out among the threads.
pub(super) fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, seen: &Seen) -> Tensor<4> {
    let shape = q.dims();
    let [batch, heads, tokens, width] = shape;
    let [q, k, v] = [q, k, v].map(storage);
    let [q, k, v] = [&q, &k, &v].map(Heads::of_tensor);
    let sizes = Sizes {
        tokens,
        width,
        seen,
    };
    let (own, all) = (sizes.head(), batch * heads);
    let mut out = vec![0.0; all * own];
    let some = |first: usize, out: &mut [f32], order| {
        simd(Forward {
            sizes,
            q,
            k,
            v,
            heads: first..first + out.len() / own.max(1),
            out,
            order,
        });
    };
    if threads::is_worth(out.len(), own) {
        let each = threads::share_of(all, 1);
        let shares = out.chunks_mut((each * own).max(1)).enumerate();
        threads::each(shares.collect(), |(at, out)| {
            some(at * each, out, Order::Heads);
        });
        return tensor(out, shape);
    }
    if batch == 1 {
        some(0, &mut out, Order::Tokens);
        return tensor(out, [batch, tokens, heads, width]).swap_dims(1, 2);
    }
    some(0, &mut out, Order::Heads);
    tensor(out, shape)
}

/// Softmax over what each of `rows` sees, into scores `[rows, padded]`: zero beyond, up to whole strips of what the last of them sees,
/// and untouched behind. What is returned is yet to be multiplied with, row by row. `q` begins at the first of them.
#[inline(always)]
pub(super) fn weights<S: Simd>(
    sizes: Sizes<'_>,
    part: Part,
    rows: Range<usize>,
    q: Rows<&[f32]>,
    keys: &TokenColumns,
    (scores, padded): (&mut [f32], usize),
) -> [f32; ROWS] {
    let strips = sizes.seen(part, rows.end - 1).next_multiple_of(STRIP);
    let size = Size {
        rows: rows.len(),
        columns: strips,
        depth: sizes.width,
    };
    let out = Rows {
        values: &mut *scores,
        stride: padded,
    };
    product::<S>(out, q.weights(), keys.strips(), size);
    let mut inverses = [0.0; ROWS];
    let all = scores.chunks_exact_mut(padded).zip(&mut inverses);
    for (row, (scores, inverse)) in rows.zip(all) {
        *inverse = exponentials(&mut scores[..strips], sizes.seen(part, row), sizes.scale());
    }
    inverses
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;

    /// To the bit: only the places differ.
    #[test]
    fn heads_are_written_side_by_side_or_one_after_the_other() {
        let (heads, tokens, width) = (3, 40, 32);
        Device::flex().seed(9);
        let inputs: [Tensor<4>; 3] = std::array::from_fn(|_| {
            let normal = Distribution::Normal(0.0, 1.0);
            Tensor::random([1, heads, tokens, width], normal, &Device::flex())
        });
        let inputs = inputs.map(storage);
        let of = |order| {
            let [q, k, v] = [0, 1, 2].map(|at| Heads::of_tensor(&inputs[at]));
            let seen = &Seen::Before;
            let sizes = Sizes {
                tokens,
                width,
                seen,
            };
            let mut out = vec![f32::NAN; heads * tokens * width];
            simd(Forward {
                sizes,
                q,
                k,
                v,
                heads: 0..heads,
                out: &mut out,
                order,
            });
            out
        };
        let (apart, beside) = (of(Order::Heads), of(Order::Tokens));
        assert!(apart.iter().all(|x| x.is_finite()));
        for (at, value) in beside.iter().enumerate() {
            let (token, head) = (at / width / heads, at / width % heads);
            let place = (head * tokens + token) * width + at % width;
            assert_eq!(value, &apart[place], "token {token} of head {head}");
        }
    }
}
