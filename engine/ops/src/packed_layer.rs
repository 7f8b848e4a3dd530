//! A token through a decoder's layer on the CPU in one go, of matrices that are packed: nothing in between becomes a tensor.
//!
//! The loops are those of the single operations, in their order, so that results are the same to the bit. What tensors cost around them
//! (allocations, shapes, the way through the backends) was a tenth of a small model's token on two threads.

use burn::backend::Flex;
use burn::tensor::Tensor;
use namelens_cpu_kernels::Packed;

use super::flex::{slice, storage, tensor};
use super::flex_cached::{Sizes, heads_of};
use super::flex_quant::{gated_rows, of_rows};
use super::flex_rotate::{Turns, own, write};
use super::{QuantMatrix, flex_epilogue, flex_norm, on_flex};

/// A pre-norm layer with a gated feed-forward (Llama, Qwen2): `h = x + o(attention(norm x))`, then `h + down(silu(gate) up)` of `norm h`.
#[derive(Debug)]
pub struct PackedLayer<'a> {
    /// Weights `[hidden]` of the RMS norms in front of attention and feed-forward, with their epsilons.
    pub norms: [(Tensor<1>, f64); 2],
    /// Matrices of queries, keys and values.
    pub projections: [&'a QuantMatrix; 3],
    /// Their biases, where they have some.
    pub biases: [Option<Tensor<1>>; 3],
    /// The matrix behind attention.
    pub output: &'a QuantMatrix,
    /// Gate and up.
    pub gated: [&'a QuantMatrix; 2],
    /// The matrix behind them.
    pub down: &'a QuantMatrix,
    /// Width of one head.
    pub head_dim: usize,
}

/// The matrices of a layer as the loops take them.
struct Matrices<'a> {
    projections: [&'a Packed; 3],
    output: &'a Packed,
    gated: [&'a Packed; 2],
    down: &'a Packed,
}

impl PackedLayer<'_> {
    /// Whether the loops take a token `[B, 1, hidden]` through it: on the CPU, without gradients, and every matrix packed.
    pub fn takes(&self, x: &Tensor<3>) -> bool {
        // A device with gradients is another one.
        x.dims()[1] == 1 && on_flex(&x.device(), x.dtype()) && self.matrices().is_some()
    }

    fn matrices(&self) -> Option<Matrices<'_>> {
        let [q, k, v] = self.projections;
        let [gate, up] = self.gated;
        Some(Matrices {
            projections: [q.packed()?, k.packed()?, v.packed()?],
            output: self.output.packed()?,
            gated: [gate.packed()?, up.packed()?],
            down: self.down.packed()?,
        })
    }

    /// Takes a token of each row through the layer. Its keys and values are written into the cache.
    ///
    /// # Shapes
    /// - x, output: `[B, 1, hidden]`
    /// - turns: cosines and sines as in [`super::rotate`]
    /// - cache: keys and values `[B, Hkv, capacity, D]`, of which column `column` is written; they are changed in place where they are
    ///   given away
    /// - starts: the first column of each row, as in [`super::cached_attention`]
    ///
    /// # Panics
    /// When shapes disagree, the cache has no such column, or the layer does not take x.
    pub fn step(
        &self,
        x: Tensor<3>,
        turns: [Tensor<4>; 2],
        cache: [Tensor<4>; 2],
        column: usize,
        starts: &[usize],
    ) -> (Tensor<3>, [Tensor<4>; 2]) {
        assert!(self.takes(&x), "packed layer: {:?}", x.dims());
        let Some(w) = self.matrices() else {
            unreachable!("looked at in `takes`")
        };
        let sizes = self.check(&w, x.dims(), &cache, column, starts);
        let shape = x.dims();
        let x = storage(x);
        let x = slice(&x);
        let [cos, sin] = turns;
        let turns = Turns::new(cos, sin);
        turns.check(shape[0], sizes.width);
        let mut cache = cache.map(own);
        let mut attended = vec![0.0; shape[0] * w.output.cols()];
        {
            let [q, k, v] = self.project(&w, x);
            let [keys, values] = &mut cache;
            let kept = [keys.storage_mut::<f32>(), values.storage_mut::<f32>()];
            let heads = [sizes.group * sizes.kv_heads, sizes.kv_heads];
            let q = write(&turns, [&q, &k, &v], heads, kept, [column, sizes.capacity]);
            let [keys, values] = &cache;
            heads_of(
                sizes,
                starts,
                [&q, slice(keys), slice(values)],
                &mut attended,
            );
        }
        let attended = onto(&attended, w.output, x);
        let y = self.feed_forward(&w, &attended);
        (tensor(y, shape), cache.map(Tensor::from_primitive::<Flex>))
    }

    /// That all fits: loops would read or write past it.
    fn check(
        &self,
        w: &Matrices<'_>,
        [batch, _, hidden]: [usize; 3],
        cache: &[Tensor<4>; 2],
        column: usize,
        starts: &[usize],
    ) -> Sizes {
        let [keys, values] = cache;
        let [rows, kv_heads, capacity, width] = keys.dims();
        assert_eq!(keys.dims(), values.dims(), "packed layer: keys and values");
        assert_eq!([rows, width], [batch, self.head_dim], "packed layer: cache");
        assert!(
            column < capacity,
            "packed layer: column {column} of {capacity}"
        );
        assert!(
            starts.len() == batch && starts.iter().all(|&start| start <= column),
            "packed layer: rows from {starts:?} to {column}"
        );
        let [q, k, v] = w.projections.map(|w| [w.rows(), w.cols()]);
        let kept = kv_heads * width;
        assert_eq!([k, v], [[kept, hidden]; 2], "packed layer: keys and values");
        assert!(
            q[1] == hidden && q[0] > 0 && q[0].is_multiple_of(kept),
            "packed layer: queries {q:?} over {kept}"
        );
        let [gate, up] = w.gated.map(|w| [w.rows(), w.cols()]);
        let deep = gate[0];
        assert_eq!([gate, up], [[deep, hidden]; 2], "packed layer: gate and up");
        let back = [w.output, w.down].map(|w| [w.rows(), w.cols()]);
        assert_eq!(
            back,
            [[hidden, q[0]], [hidden, deep]],
            "packed layer: output and down"
        );
        for (norm, _) in &self.norms {
            assert_eq!(norm.dims(), [hidden], "packed layer: norm");
        }
        Sizes {
            group: q[0] / kept,
            kv_heads,
            queries: 1,
            capacity,
            len: column + 1,
            width,
        }
    }

    /// Queries, keys and values of the normed `x`.
    fn project(&self, w: &Matrices<'_>, x: &[f32]) -> [Vec<f32>; 3] {
        let normed = self.normed(0, x);
        let mut made = of_rows(&normed, &w.projections).into_iter();
        let mut biases = self.biases.iter();
        w.projections.map(|w| {
            let mut y = made.next().unwrap_or_default();
            if let Some(bias) = biases.next().and_then(Clone::clone) {
                assert_eq!(bias.dims(), [w.rows()], "packed layer: bias");
                flex_epilogue::of_rows(&mut y, w.rows(), Some(slice(&storage(bias))), None, None);
            }
            y
        })
    }

    fn feed_forward(&self, w: &Matrices<'_>, x: &[f32]) -> Vec<f32> {
        let [gate, up] = w.gated;
        let gated = gated_rows(&self.normed(1, x), gate, up);
        onto(&gated, w.down, x)
    }

    /// `x` behind one of the norms.
    fn normed(&self, which: usize, x: &[f32]) -> Vec<f32> {
        let (weight, eps) = &self.norms[which];
        flex_norm::normed(x, slice(&storage(weight.clone())), None, *eps)
    }
}

/// What a matrix makes of `x`, and `residual`.
fn onto(x: &[f32], w: &Packed, residual: &[f32]) -> Vec<f32> {
    let mut y = of_rows(x, &[w]).pop().unwrap_or_default();
    flex_epilogue::of_rows(&mut y, w.rows(), None, None, Some(residual));
    y
}
