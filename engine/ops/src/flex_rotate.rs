//! Turning heads by rotary positions on the CPU, without gradients: read and written once, also straight into a cache.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;
use macerator::{Simd, WithSimd};

use super::exp::fused;
use super::flex::{primitive, simd, slice, storage, tensor};

/// x `[B, H, T, D]`, cosines and signed sines `[B or 1, 1, T, D]` -> `[B, H, T, D]`.
pub(super) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let shape = x.dims();
    let turns = Turns::new(cos, sin);
    let x = storage(x);
    let mut out = vec![0.0; shape.iter().product()];
    turns.rotate(slice(&x), shape[1], &mut out, turns.own());
    tensor(out, shape)
}

/// Turns q and k `[B, H or Hkv, T, D]`, and writes k and v into the columns from `column` on of a cache `[B, Hkv, capacity, D]`
/// each, in place where nobody else holds them. Returns q, keys and values.
pub(super) fn rotate_into_cache(
    [q, k, v]: [Tensor<4>; 3],
    [cos, sin]: [Tensor<4>; 2],
    [keys, values]: [Tensor<4>; 2],
    column: usize,
) -> [Tensor<4>; 3] {
    let shape = q.dims();
    let heads = [shape[1], k.dims()[1]];
    let capacity = keys.dims()[2];
    let turns = Turns::new(cos, sin);
    let [q, k, v] = [q, k, v].map(storage);
    let [mut keys, mut values] = [keys, values].map(own);
    let cache = [keys.storage_mut::<f32>(), values.storage_mut::<f32>()];
    let new = [slice(&q), slice(&k), slice(&v)];
    let q = write(&turns, new, heads, cache, [column, capacity]);
    let [keys, values] = [keys, values].map(Tensor::from_primitive::<Flex>);
    [tensor(q, shape), keys, values]
}

/// [`rotate_into_cache`] of numbers; `heads` are those of queries and of keys, and the cache is written from a column on of its capacity.
pub(super) fn write(
    turns: &Turns,
    [q, k, v]: [&[f32]; 3],
    heads: [usize; 2],
    [keys, values]: [&mut [f32]; 2],
    [column, capacity]: [usize; 2],
) -> Vec<f32> {
    let mut out = vec![0.0; q.len()];
    turns.rotate(q, heads[0], &mut out, turns.own());
    let (from, room) = (column * turns.width, capacity * turns.width);
    if let Some(keys) = keys.get_mut(from..) {
        turns.rotate(k, heads[1], keys, room);
    }
    let new = v.chunks(turns.own().max(1));
    for (room, new) in values.chunks_mut(room.max(1)).zip(new) {
        room[from..][..new.len()].copy_from_slice(new);
    }
    out
}

/// The backend's storage of a tensor that is to be written to: whole and in order, and not held twice by this.
pub(super) fn own(x: Tensor<4>) -> FloatTensor<Flex> {
    let x = primitive(x);
    match x.is_contiguous() && x.layout().start_offset() == 0 {
        true => x,
        false => x.to_contiguous(),
    }
}

/// Cosines and signed sines, `[B or 1, T, D]`.
pub(super) struct Turns {
    cos: FloatTensor<Flex>,
    sin: FloatTensor<Flex>,
    tables: usize,
    tokens: usize,
    width: usize,
}

impl Turns {
    pub(super) fn new(cos: Tensor<4>, sin: Tensor<4>) -> Self {
        let [tables, _, tokens, width] = cos.dims();
        let [cos, sin] = [cos, sin].map(storage);
        Self {
            cos,
            sin,
            tables,
            tokens,
            width,
        }
    }

    /// That there is a turn for one token of each of `rows` rows, whose heads have `width` numbers.
    pub(super) fn check(&self, rows: usize, width: usize) {
        let own = [self.tokens, self.width];
        assert_eq!(own, [1, width], "turns of a token");
        assert!([1, rows].contains(&self.tables), "turns of {rows} rows");
    }

    /// Numbers of one head of one row.
    fn own(&self) -> usize {
        self.tokens * self.width
    }

    /// Turns the heads `x` `[B, heads, T, D]`; their results begin `stride` numbers apart in `out`.
    fn rotate(&self, x: &[f32], heads: usize, out: &mut [f32], stride: usize) {
        let own = self.own();
        let outs = out.chunks_mut(stride.max(1));
        for (head, (x, out)) in x.chunks(own.max(1)).zip(outs).enumerate() {
            // The turns of this row, or the one table of all rows.
            let table = if self.tables == 1 { 0 } else { head / heads };
            let turns = table * own..(table + 1) * own;
            simd(Rotate {
                x,
                cos: &slice(&self.cos)[turns.clone()],
                sin: &slice(&self.sin)[turns],
                width: self.width,
                out: &mut out[..own],
            });
        }
    }
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
