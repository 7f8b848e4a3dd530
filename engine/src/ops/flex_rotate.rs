//! Turning heads by rotary positions on the CPU, without gradients: read and written once.

use burn::tensor::{Tensor, TensorData};
use macerator::{Simd, WithSimd};

use super::exp::fused;
use super::flex::{simd, slice, storage};

/// x `[B, H, T, D]`, cosines and signed sines `[B or 1, 1, T, D]` -> `[B, H, T, D]`.
pub(super) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let (shape, device) = (x.dims(), x.device());
    let [batch, heads, tokens, width] = shape;
    let tables = cos.dims()[0];
    let x = storage(x.reshape([batch * heads * tokens, width]));
    let [cos, sin] = [cos, sin].map(|table| storage(table.reshape([tables * tokens, width])));
    let (x, cos, sin) = (slice(&x), slice(&cos), slice(&sin));
    let own = tokens * width;
    let mut out = vec![0.0; x.len()];
    for (head, (x, out)) in x
        .chunks(own.max(1))
        .zip(out.chunks_mut(own.max(1)))
        .enumerate()
    {
        // The turns of this row, or the one table of all rows.
        let table = if tables == 1 { 0 } else { head / heads };
        let turns = table * own..(table + 1) * own;
        simd(Rotate {
            x,
            cos: &cos[turns.clone()],
            sin: &sin[turns],
            width,
            out,
        });
    }
    Tensor::from_data(TensorData::new(out, shape), &device)
}

/// One head of one row; all slices are `[T, width]`.
struct Rotate<'a> {
    x: &'a [f32],
    cos: &'a [f32],
    sin: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl WithSimd for Rotate<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { width, .. } = self;
        let tables = self
            .cos
            .chunks_exact(width)
            .zip(self.sin.chunks_exact(width));
        let tokens = self
            .x
            .chunks_exact(width)
            .zip(self.out.chunks_exact_mut(width));
        for ((x, out), (cos, sin)) in tokens.zip(tables) {
            let (low, high) = x.split_at(width / 2);
            let (out_low, out_high) = out.split_at_mut(width / 2);
            let (cos_low, cos_high) = cos.split_at(width / 2);
            let (sin_low, sin_high) = sin.split_at(width / 2);
            turn(low, high, cos_low, sin_low, out_low);
            turn(high, low, cos_high, sin_high, out_high);
        }
    }
}

/// `x cos + other sin`; the sign is in the sine.
#[inline(always)]
fn turn(x: &[f32], other: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]) {
    let pairs = x.iter().zip(other);
    let turns = cos.iter().zip(sin);
    for (out, ((x, other), (cos, sin))) in out.iter_mut().zip(pairs.zip(turns)) {
        *out = fused(*x, *cos, other * sin);
    }
}
