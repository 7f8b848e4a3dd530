//! Attention and its gradient on the CPU, head by head and row block by row block, in scratch that fits the cache.
//!
//! burn's own gradient walks the whole score matrix many times, the hidden half of a causal one included.
//! For the embedded model (heads of 32, 250 to 500 tokens) that was about half of a training step. Here scores
//! are computed twice (forward, backward), only as far as a row may see, and never leave the second-level cache.

use std::ops::Range;

use macerator::{Simd, WithSimd};

use super::flex_product::{Rows, Size, Weights, product};
use super::flex_softmax::{STRIP, soften, softmax};

/// Query rows whose scores are in scratch at a time.
const ROWS: usize = 32;

/// Sizes of an attention in which queries, keys and values have the same heads and as many tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Batch times heads.
    pub(super) heads: usize,
    /// Tokens.
    pub(super) tokens: usize,
    /// Width of a head, a multiple of [`STRIP`].
    pub(super) width: usize,
    /// Whether a token sees only itself and what came before.
    pub(super) causal: bool,
}

impl Sizes {
    /// Whether the loops can do it.
    pub(super) fn supported(width: usize) -> bool {
        width.is_multiple_of(STRIP)
    }

    fn head(&self) -> usize {
        self.tokens * self.width
    }

    /// Row length of the scratch, which holds whole strips.
    fn padded(&self) -> usize {
        self.tokens.next_multiple_of(STRIP)
    }

    /// Keys that row `row` sees.
    fn seen(&self, row: usize) -> usize {
        if self.causal { row + 1 } else { self.tokens }
    }

    /// Blocks of query rows.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let tokens = self.tokens;
        (0..tokens)
            .step_by(ROWS)
            .map(move |start| start..(start + ROWS).min(tokens))
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// `softmax(q kᵀ / sqrt(D)) v`; every slice is `[heads, tokens, width]`.
pub(super) struct Forward<'a> {
    pub(super) sizes: Sizes,
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
        let (width, padded) = (sizes.width, sizes.padded());
        let mut columns = vec![0.0; width * padded];
        let mut scores = vec![0.0; ROWS * padded];
        for head in 0..sizes.heads {
            let part = head * sizes.head()..(head + 1) * sizes.head();
            let (q, k, v) = (
                &self.q[part.clone()],
                &self.k[part.clone()],
                &self.v[part.clone()],
            );
            let out = &mut self.out[part];
            transpose(k, &mut columns, width, padded);
            for rows in sizes.blocks() {
                probabilities::<S>(sizes, rows.clone(), q, &columns, &mut scores);
                let seen = sizes.seen(rows.end - 1);
                let size = Size {
                    rows: rows.len(),
                    columns: width,
                    depth: seen,
                };
                let out = Rows {
                    values: &mut out[rows.start * width..],
                    stride: width,
                };
                product::<S>(
                    out,
                    Weights::rows(&scores, padded),
                    Rows {
                        values: v,
                        stride: width,
                    },
                    size,
                );
            }
        }
    }
}

/// Gradients of [`Forward`] for `grad` of its output; `dq`, `dk` and `dv` start at zero.
pub(super) struct Gradient<'a> {
    pub(super) sizes: Sizes,
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) grad: &'a [f32],
    pub(super) dq: &'a mut [f32],
    pub(super) dk: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let sizes = self.sizes;
        let (width, padded) = (sizes.width, sizes.padded());
        let mut key_columns = vec![0.0; width * padded];
        let mut value_columns = vec![0.0; width * padded];
        let mut scores = vec![0.0; ROWS * padded];
        let mut slopes = vec![0.0; ROWS * padded];
        for head in 0..sizes.heads {
            let part = head * sizes.head()..(head + 1) * sizes.head();
            let (q, k) = (&self.q[part.clone()], &self.k[part.clone()]);
            let (v, grad) = (&self.v[part.clone()], &self.grad[part.clone()]);
            let (dq, dk) = (&mut self.dq[part.clone()], &mut self.dk[part.clone()]);
            let dv = &mut self.dv[part];
            transpose(k, &mut key_columns, width, padded);
            transpose(v, &mut value_columns, width, padded);
            for rows in sizes.blocks() {
                probabilities::<S>(sizes, rows.clone(), q, &key_columns, &mut scores);
                let seen = sizes.seen(rows.end - 1);
                let (q, grad) = (&q[rows.start * width..], &grad[rows.start * width..]);
                let across = Size {
                    rows: rows.len(),
                    columns: width,
                    depth: seen,
                };
                let down = Size {
                    rows: seen,
                    columns: width,
                    depth: rows.len(),
                };
                // dv += pᵀ grad
                let weights = Weights::columns(&scores, padded);
                product::<S>(
                    Rows {
                        values: &mut *dv,
                        stride: width,
                    },
                    weights,
                    Rows {
                        values: grad,
                        stride: width,
                    },
                    down,
                );
                // dp = grad vᵀ, then ds = p (dp - Σ p dp) / sqrt(D)
                slopes.fill(0.0);
                let strips = seen.next_multiple_of(STRIP);
                let size = Size {
                    rows: rows.len(),
                    columns: strips,
                    depth: width,
                };
                let columns = Rows {
                    values: value_columns.as_slice(),
                    stride: padded,
                };
                product::<S>(
                    Rows {
                        values: &mut slopes,
                        stride: padded,
                    },
                    Weights::rows(grad, width),
                    columns,
                    size,
                );
                for (p, slope) in scores
                    .chunks_exact(padded)
                    .zip(slopes.chunks_exact_mut(padded))
                    .take(rows.len())
                {
                    soften(&p[..strips], &mut slope[..strips], sizes.scale());
                }
                // dq += ds k, dk += dsᵀ q
                let own = Rows {
                    values: &mut dq[rows.start * width..],
                    stride: width,
                };
                product::<S>(
                    own,
                    Weights::rows(&slopes, padded),
                    Rows {
                        values: k,
                        stride: width,
                    },
                    across,
                );
                let weights = Weights::columns(&slopes, padded);
                product::<S>(
                    Rows {
                        values: &mut *dk,
                        stride: width,
                    },
                    weights,
                    Rows {
                        values: q,
                        stride: width,
                    },
                    down,
                );
            }
        }
    }
}

/// `[tokens, width]` to `[width, padded]`; the padding stays zero.
#[inline(always)]
fn transpose(rows: &[f32], columns: &mut [f32], width: usize, padded: usize) {
    for (token, row) in rows.chunks_exact(width).enumerate() {
        for (column, value) in row.iter().enumerate() {
            columns[column * padded + token] = *value;
        }
    }
}

/// Softmax over what each of `rows` sees, into `scores` `[rows, padded]`; zero beyond.
#[inline(always)]
fn probabilities<S: Simd>(
    sizes: Sizes,
    rows: Range<usize>,
    q: &[f32],
    columns: &[f32],
    scores: &mut [f32],
) {
    let (width, padded) = (sizes.width, sizes.padded());
    let strips = sizes.seen(rows.end - 1).next_multiple_of(STRIP);
    scores.fill(0.0);
    let queries = Weights::rows(&q[rows.start * width..], width);
    let size = Size {
        rows: rows.len(),
        columns: strips,
        depth: width,
    };
    let columns = Rows {
        values: columns,
        stride: padded,
    };
    product::<S>(
        Rows {
            values: &mut *scores,
            stride: padded,
        },
        queries,
        columns,
        size,
    );
    for (row, scores) in rows.zip(scores.chunks_exact_mut(padded)) {
        softmax(&mut scores[..strips], sizes.seen(row), sizes.scale());
    }
}
