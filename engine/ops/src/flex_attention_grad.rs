//! The gradient of the CPU's attention, with scores computed anew.
//!
//! burn's own gradient walks the whole score matrix many times, the hidden half of a causal one included.
//! For the embedded model (heads of 32, 250 to 500 tokens) that was about half of a training step.

use macerator::{Simd, WithSimd};

use super::flex_attention::{Part, ROWS, Scratch, Sizes, TokenColumns, TokenRows, weights};
use super::flex_heads::Heads;
use super::flex_product::{Rows, Size, Strips, Weights, add_product, product};
use super::flex_softmax::{STRIP, soften};

/// Gradients of [`super::flex_attention::Forward`] for `grad` of its output.
pub(super) struct Gradient<'a> {
    pub(super) sizes: Sizes<'a>,
    /// Heads of all sequences.
    pub(super) heads: usize,
    pub(super) q: Heads<'a>,
    pub(super) k: Heads<'a>,
    pub(super) v: Heads<'a>,
    pub(super) grad: Heads<'a>,
    /// `[heads, tokens, width]`, as are the other two.
    pub(super) dq: &'a mut [f32],
    pub(super) dk: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let sizes = self.sizes;
        let (width, parts) = (sizes.width, sizes.parts());
        let most = parts.iter().map(Part::keys).max().unwrap_or(0);
        let mut keys = TokenColumns::new::<S>(width, most);
        let mut key_rows = TokenRows::new::<S>(width, most);
        let mut values = TokenColumns::new::<S>(width, most);
        let padded = most.next_multiple_of(STRIP);
        let mut scores = vec![0.0; ROWS * padded];
        let mut slopes = vec![0.0; ROWS * padded];
        // Of the keys and values in scratch; those of the prefix grow with every part.
        let (mut key_slopes, mut value_slopes) = (vec![0.0; most * width], vec![0.0; most * width]);
        for head in 0..self.heads {
            let own = head * sizes.head()..(head + 1) * sizes.head();
            let [q, k, v, grad] = [self.q, self.k, self.v, self.grad].map(|heads| heads.of(head));
            let dq = &mut self.dq[own.clone()];
            let (dk, dv) = (&mut self.dk[own.clone()], &mut self.dv[own]);
            for (at, part) in parts.iter().enumerate() {
                keys.load_part(at, *part, k);
                key_rows.load_part(at, *part, k);
                values.load_part(at, *part, v);
                for rows in part.blocks() {
                    let (first, count) = (part.start + rows.start, rows.len());
                    let (q, grad) = (q.at(first), grad.at(first));
                    let inverses =
                        weights::<S>(sizes, *part, rows.clone(), q, &keys, (&mut scores, padded));
                    let seen = sizes.seen(*part, rows.end - 1);
                    let strips = seen.next_multiple_of(STRIP);
                    let rows = scores.chunks_exact_mut(padded).zip(inverses);
                    for (scores, inverse) in rows.take(count) {
                        for score in &mut scores[..strips] {
                            *score *= inverse;
                        }
                    }
                    let down = Size {
                        rows: seen,
                        columns: width,
                        depth: count,
                    };
                    // dv += pᵀ grad
                    add_product::<S>(
                        Rows {
                            values: &mut value_slopes,
                            stride: width,
                        },
                        Weights::columns(&scores, padded),
                        Strips::of_rows::<S>(grad),
                        down,
                    );
                    // dp = grad vᵀ, then ds = p (dp - Σ p dp) / sqrt(D)
                    product::<S>(
                        Rows {
                            values: &mut slopes,
                            stride: padded,
                        },
                        grad.weights(),
                        values.strips(),
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
                    // dq = ds k, dk += dsᵀ q
                    product::<S>(
                        Rows {
                            values: &mut dq[first * width..],
                            stride: width,
                        },
                        Weights::rows(&slopes, padded),
                        key_rows.strips(),
                        Size {
                            rows: count,
                            columns: width,
                            depth: seen,
                        },
                    );
                    add_product::<S>(
                        Rows {
                            values: &mut key_slopes,
                            stride: width,
                        },
                        Weights::columns(&slopes, padded),
                        Strips::of_rows::<S>(q),
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
