//! Attention of one query position over the cache on the CPU: every row by itself, from its own first column.
//!
//! A row's sums run in an order that knows nothing of the other rows, so that a batch says to the bit what single rows say;
//! and the cache is read where it lies, which burn's product would copy first.

use burn::tensor::{Tensor, TensorData};
use macerator::{Simd, WithSimd};

use super::flex::{simd, slice, storage};
use super::flex_softmax::{STRIP, fused, softmax};

/// Partial sums of a dot product: two registers of 256 bits, four of 128.
const LANES: usize = 16;

/// q `[B, H, 1, D]`, k and v `[B, Hkv, T, D]` -> `[B, H, 1, D]`, all f32 of a flex device.
pub(super) fn attention_decode(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    starts: &[usize],
    len: usize,
) -> Tensor<4> {
    let ([batch, heads, _, width], device) = (q.dims(), q.device());
    let [_, kv_heads, capacity, _] = k.dims();
    let q = storage(q.reshape([batch * heads, width]));
    let [k, v] = [k, v].map(|x| storage(x.reshape([batch * kv_heads * capacity, width])));
    let mut out = vec![0.0; batch * heads * width];
    simd(Decode {
        width,
        group: heads / kv_heads,
        kv_heads,
        capacity,
        starts,
        len,
        q: slice(&q),
        k: slice(&k),
        v: slice(&v),
        out: &mut out,
    });
    Tensor::from_data(TensorData::new(out, [batch, heads, 1, width]), &device)
}

struct Decode<'a> {
    width: usize,
    /// Query heads a key/value head.
    group: usize,
    kv_heads: usize,
    capacity: usize,
    starts: &'a [usize],
    len: usize,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Decode<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { width, group, .. } = self;
        let scale = 1.0 / (width as f32).sqrt();
        let mut scores = vec![0.0; group * self.len.next_multiple_of(STRIP)];
        for (row, &start) in self.starts.iter().enumerate() {
            let seen = self.len - start;
            let padded = seen.next_multiple_of(STRIP);
            for head in 0..self.kv_heads {
                let at = row * self.kv_heads + head;
                let own =
                    (at * self.capacity + start) * width..(at * self.capacity + self.len) * width;
                let (k, v) = (&self.k[own.clone()], &self.v[own]);
                let heads = at * group * width..(at + 1) * group * width;
                let (q, out) = (&self.q[heads.clone()], &mut self.out[heads]);
                for (column, key) in k.chunks_exact(width).enumerate() {
                    for (query, q) in q.chunks_exact(width).enumerate() {
                        scores[query * padded + column] = dot(q, key);
                    }
                }
                let scores = &mut scores[..group * padded];
                for scores in scores.chunks_exact_mut(padded) {
                    softmax(scores, seen, scale);
                }
                for (column, value) in v.chunks_exact(width).enumerate() {
                    for (query, out) in out.chunks_exact_mut(width).enumerate() {
                        let weight = scores[query * padded + column];
                        for (out, value) in out.iter_mut().zip(value) {
                            *out = fused(weight, *value, *out);
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for i in 0..LANES {
            lanes[i] = fused(a[i], b[i], lanes[i]);
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    rest + lanes[0]
}
