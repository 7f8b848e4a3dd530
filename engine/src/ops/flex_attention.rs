//! Attention and its gradient on the CPU, head by head and row block by row block, in scratch that fits the cache.
//!
//! burn's own gradient walks the whole score matrix about sixteen times, the hidden half of a causal one included.
//! For the embedded model (heads of 32, 250 to 500 tokens) that was more than half of a training step. Here scores
//! are computed twice (forward, backward), only as far as a row may see, and never leave the second-level cache.

use std::ops::Range;

use macerator::{Scalar, Simd, Vector, WithSimd, vload_unaligned, vstore_unaligned};

/// Rows of scratch are padded to this many columns: two registers of the widest processors.
const STRIP: usize = 32;
/// Rows one step of a product computes, so that what is loaded is used as often.
const TILE: usize = 6;
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

/// A matrix of weights in scratch, read along rows or along columns.
#[derive(Clone, Copy)]
struct Weights<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Weights<'a> {
    fn rows(values: &'a [f32], stride: usize) -> Self {
        Self {
            values,
            row: stride,
            column: 1,
        }
    }

    fn columns(values: &'a [f32], stride: usize) -> Self {
        Self {
            values,
            row: 1,
            column: stride,
        }
    }
}

/// Rows of a matrix, `stride` elements apart.
struct Rows<T> {
    values: T,
    stride: usize,
}

/// Rows and columns of a product, and the length of its sums.
#[derive(Clone, Copy)]
struct Size {
    rows: usize,
    columns: usize,
    depth: usize,
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

/// `c += w b`: `rows` rows of `columns` columns, a sum over the first `depth` rows of `b`.
#[inline(always)]
fn product<S: Simd>(c: Rows<&mut [f32]>, w: Weights<'_>, b: Rows<&[f32]>, size: Size) {
    let pair = 2 * <f32 as Scalar>::lanes::<S>();
    for column in (0..size.columns).step_by(pair) {
        let mut row = 0;
        while row + TILE <= size.rows {
            tile::<S, TILE>(
                &mut c.values[column..],
                c.stride,
                row,
                w,
                &b.values[column..],
                b.stride,
                size.depth,
            );
            row += TILE;
        }
        while row < size.rows {
            tile::<S, 1>(
                &mut c.values[column..],
                c.stride,
                row,
                w,
                &b.values[column..],
                b.stride,
                size.depth,
            );
            row += 1;
        }
    }
}

/// Two registers' width of `M` rows of a product.
#[inline(always)]
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
    for at in 0..depth {
        let strip = &b[at * b_stride..][..2 * lanes];
        let (left, right) = (load::<S>(strip), load::<S>(&strip[lanes..]));
        for m in 0..M {
            let weight = w.values[(row + m) * w.row + at * w.column].splat::<S>();
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

#[inline(always)]
#[allow(
    unsafe_code,
    reason = "the vector crate reads through pointers; the length is checked first"
)]
fn load<S: Simd>(from: &[f32]) -> Vector<S, f32> {
    assert!(from.len() >= <f32 as Scalar>::lanes::<S>());
    // SAFETY: the slice holds a whole vector, as just asserted.
    unsafe { vload_unaligned(from.as_ptr()) }
}

#[inline(always)]
#[allow(
    unsafe_code,
    reason = "the vector crate writes through pointers; the length is checked first"
)]
fn store<S: Simd>(to: &mut [f32], value: Vector<S, f32>) {
    assert!(to.len() >= <f32 as Scalar>::lanes::<S>());
    // SAFETY: the slice holds a whole vector, as just asserted.
    unsafe { vstore_unaligned(to.as_mut_ptr(), value) }
}

/// Softmax of `scale` times the first `seen` scores; the rest becomes zero. The slice holds whole strips.
#[inline(always)]
fn softmax(scores: &mut [f32], seen: usize, scale: f32) {
    scores[seen..].fill(f32::NEG_INFINITY);
    let mut most = [f32::NEG_INFINITY; STRIP];
    for strip in scores.chunks_exact(STRIP) {
        for (most, score) in most.iter_mut().zip(strip) {
            *most = if *score > *most { *score } else { *most };
        }
    }
    let most = most.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)) * scale;
    let mut sums = [0.0f32; STRIP];
    for strip in scores.chunks_exact_mut(STRIP) {
        for (sum, score) in sums.iter_mut().zip(strip) {
            *score = exp(score.mul_add(scale, -most));
            *sum += *score;
        }
    }
    let inverse = 1.0 / sums.iter().sum::<f32>();
    for score in scores.iter_mut() {
        *score *= inverse;
    }
}

/// Slopes of probabilities to slopes of scores: `p (dp - Σ p dp) scale`.
#[inline(always)]
fn soften(p: &[f32], slopes: &mut [f32], scale: f32) {
    let mut sums = [0.0f32; STRIP];
    for (p, slopes) in p.chunks_exact(STRIP).zip(slopes.chunks_exact(STRIP)) {
        for (sum, (p, slope)) in sums.iter_mut().zip(p.iter().zip(slopes)) {
            *sum = p.mul_add(*slope, *sum);
        }
    }
    let mean = sums.iter().sum::<f32>();
    for (p, slope) in p.iter().zip(slopes) {
        *slope = p * (*slope - mean) * scale;
    }
}

/// `e^x` for x <= 0 within 2 units in the last place; below the smallest normal result, 0.
///
/// Cephes' expf (Moshier): a power of two by the exponent's bits times a polynomial on ±ln 2 / 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    // Adding and taking away 1.5 * 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < LOWEST { LOWEST } else { x };
    let raised = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let power = raised - ROUND;
    let rest = power.mul_add(-0.693_359_4, clamped);
    let rest = power.mul_add(2.121_944_4e-4, rest);
    let mut sum = 1.987_569_1e-4f32;
    for term in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        sum = sum.mul_add(rest, term);
    }
    let small = sum.mul_add(rest * rest, rest) + 1.0;
    // The whole number is in the last bits already; a conversion would not be vectorised.
    let exponent = raised
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    let value = small * f32::from_bits(exponent << 23);
    if x < LOWEST { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential() {
        for i in 0..8700 {
            let x = -(i as f32) / 100.0;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) - wanted).abs() / wanted;
            // Two units in the last place.
            assert!(error < 2.4e-7, "exp({x}): off by {error:e}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }
}
