//! Products of a few rows with dense weights on the CPU, which are read where they lie: burn's product takes them transposed, and copies
//! all of them for it in every call.

use burn::tensor::Tensor;
use macerator::{Simd, WithSimd};

use super::flex::{simd, slice, storage, tensor};
use super::flex_dots::products;
use crate::threads;

/// Rows of x up to which this is quicker than a copy of the weights and a product in blocks: with 64 of 192 columns it took twice as long.
pub(super) const FEW: usize = 4;

/// Rows of weights that are read for all rows of x before the next: of 192 columns they fit the nearest cache.
const BLOCK: usize = 32;

/// Products that are worth a core of their own.
const SHARE: usize = 1 << 20;

/// x `[M, K]`, weight `[N, K]`, bias `[N]` -> `x weightᵀ + bias` `[M, N]`.
pub(super) fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let ([m, k], [n, _]) = (x.dims(), weight.dims());
    let [x, weight] = [x, weight].map(storage);
    let mut y = all(slice(&x), slice(&weight), [m, n, k]);
    if let Some(bias) = bias {
        let bias = storage(bias);
        for y in y.chunks_exact_mut(n) {
            y.iter_mut().zip(slice(&bias)).for_each(|(y, b)| *y += b);
        }
    }
    tensor(y, [m, n])
}

fn all(x: &[f32], weight: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    if !threads::is_worth(m * n * k, 2 * SHARE) {
        let mut y = vec![0.0; m * n];
        some(x, weight, [m, n, k], &mut y);
        return y;
    }
    // Each thread has rows of the weights, and so columns of the result.
    let rows = (SHARE / (m * k)).max(1).next_multiple_of(BLOCK);
    let parts = weight.chunks(rows * k);
    let mut parts: Vec<_> = parts.map(|w| (w, vec![0.0; w.len() / k * m])).collect();
    threads::each(parts.iter_mut().collect(), |(weight, y)| {
        some(x, weight, [m, weight.len() / k, k], y);
    });
    let mut y = Vec::with_capacity(m * n);
    for row in 0..m {
        for (_, part) in &parts {
            let wide = part.len() / m;
            y.extend_from_slice(&part[row * wide..][..wide]);
        }
    }
    y
}

/// Writes `x weightᵀ` to `y`, which is zero.
fn some(x: &[f32], weight: &[f32], [_, n, k]: [usize; 3], y: &mut [f32]) {
    for (first, weight) in (0..).step_by(BLOCK).zip(weight.chunks(BLOCK * k)) {
        let y = &mut y[first..];
        simd(Block { x, weight, k, n, y });
    }
}

/// All rows of x with some of the weights'; `y` is `[M, n]` from the first of them on.
struct Block<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    k: usize,
    n: usize,
    y: &'a mut [f32],
}

impl WithSimd for Block<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        products::<S>(self.x, self.weight, self.k, self.n, self.y);
    }
}
