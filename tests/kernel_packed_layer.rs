//! A token through a whole layer on the CPU against the single operations of that layer: the same numbers to the bit.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor};

use namelens_engine::ops::{self, Epilogue, PackedLayer, QuantKind, QuantMatrix};
use namelens_engine::weights::{Dtype, encode};
use namelens_tests::{floats, uniform};

const HIDDEN: usize = 64;
const HEAD: usize = 16;
const KV_HEADS: usize = 2;
const DEEP: usize = 96;
const CAPACITY: usize = 9;

/// The numbers of one layer, of four query heads.
struct Layer {
    norms: [Tensor<1>; 2],
    /// Queries, keys, values, output, gate, up, down.
    matrices: [QuantMatrix; 7],
    biases: [Option<Tensor<1>>; 3],
}

impl Layer {
    fn new(dtype: Dtype, kind: QuantKind, with_biases: bool, device: &Device) -> Self {
        let kept = KV_HEADS * HEAD;
        let mut seed = 0;
        let shapes = [
            (HIDDEN, HIDDEN),
            (kept, HIDDEN),
            (kept, HIDDEN),
            (HIDDEN, HIDDEN),
            (DEEP, HIDDEN),
            (DEEP, HIDDEN),
            (HIDDEN, DEEP),
        ];
        let matrices = shapes.map(|(rows, cols)| {
            seed += 1;
            let weights: Vec<f32> = uniform([rows, cols], seed).try_to_vec().unwrap();
            let bytes = encode(dtype, &weights).unwrap();
            QuantMatrix::from_ggml(&bytes, kind, rows, cols, device).unwrap()
        });
        let numbers = |width, seed| Tensor::<1>::from_data(uniform([width], seed), device);
        Self {
            norms: [numbers(HIDDEN, 20), numbers(HIDDEN, 21)],
            biases: [(HIDDEN, 30), (kept, 31), (kept, 32)]
                .map(|(width, seed)| with_biases.then(|| numbers(width, seed))),
            matrices,
        }
    }

    fn packed(&self) -> PackedLayer<'_> {
        let [q, k, v, output, gate, up, down] = &self.matrices;
        PackedLayer {
            norms: [(self.norms[0].clone(), 1e-5), (self.norms[1].clone(), 1e-6)],
            projections: [q, k, v],
            biases: self.biases.clone(),
            output,
            gated: [gate, up],
            down,
            head_dim: HEAD,
        }
    }

    /// The same by single operations, each of whose results is a tensor.
    fn by_parts(
        &self,
        x: Tensor<3>,
        turns: [Tensor<4>; 2],
        cache: [Tensor<4>; 2],
        column: usize,
        starts: &[usize],
    ) -> (Tensor<3>, [Tensor<4>; 2]) {
        let [q, k, v, output, gate, up, down] = &self.matrices;
        let onto = |x: &Tensor<3>| Epilogue {
            onto: Some(x.clone()),
            ..Epilogue::default()
        };
        let rows = x.dims()[0];
        let normed = ops::rms_norm(x.clone(), self.norms[0].clone(), 1e-5);
        let new = ops::quant_linears(normed, [q, k, v], self.biases.clone(), None);
        let new = new.map(|x| {
            let heads = x.dims()[2] / HEAD;
            x.reshape([rows, heads, 1, HEAD])
        });
        let [q, keys, values] = ops::rotate_into_cache(new, turns, cache, column);
        let cache = [keys.clone(), values.clone()];
        let attended = ops::cached_attention(q, keys, values, starts, column + 1);
        let attended = attended.reshape([rows, 1, HIDDEN]);
        let x = ops::quant_linear(attended, output, onto(&x));
        let normed = ops::rms_norm(x.clone(), self.norms[1].clone(), 1e-6);
        let gated = ops::gated_quant_linear(normed, gate, up, None);
        (ops::quant_linear(gated, down, onto(&x)), cache)
    }
}

fn numbers<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Tensor::from_data(uniform(shape, seed), &Device::flex())
}

fn cache(rows: usize) -> [Tensor<4>; 2] {
    [40, 41].map(|seed| numbers([rows, KV_HEADS, CAPACITY, HEAD], seed))
}

fn turns(tables: usize) -> [Tensor<4>; 2] {
    [50, 51].map(|seed| numbers([tables, 1, 1, HEAD], seed))
}

fn bits<const D: usize>(x: Tensor<D>) -> Vec<u32> {
    floats(x).into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_layer_in_one_go_is_its_operations_one_by_one() {
    for (dtype, kind) in [
        (Dtype::Q8_0, QuantKind::Q8_0),
        (Dtype::Q4_1, QuantKind::Q4_1),
    ] {
        for with_biases in [false, true] {
            let layer = Layer::new(dtype, kind, with_biases, &Device::flex());
            for (starts, tables, column) in [
                (vec![0], 1, 0),
                (vec![0], 1, CAPACITY - 1),
                (vec![0, 3, 5], 3, 5),
            ] {
                let rows = starts.len();
                let x = numbers([rows, 1, HIDDEN], 60);
                let packed = layer.packed();
                assert!(packed.takes(&x));
                let (found, kept) =
                    packed.step(x.clone(), turns(tables), cache(rows), column, &starts);
                let (want, filled) = layer.by_parts(x, turns(tables), cache(rows), column, &starts);
                assert_eq!(found.dims(), [rows, 1, HIDDEN]);
                let what = format!("{kind:?}, biases {with_biases}, rows from {starts:?}");
                assert_eq!(bits(found), bits(want), "{what}");
                assert_eq!(kept.map(bits), filled.map(bits), "{what}");
            }
        }
    }
}

#[test]
fn several_tokens_other_devices_and_gradients_are_not_taken() {
    let layer = Layer::new(Dtype::Q8_0, QuantKind::Q8_0, false, &Device::flex());
    assert!(!layer.packed().takes(&numbers([1, 2, HIDDEN], 1)));
    let tracked = Device::flex().autodiff();
    let x = Tensor::<3>::from_data(uniform([1, 1, HIDDEN], 1), &tracked);
    assert!(!layer.packed().takes(&x.require_grad()));
    let gpu = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    let elsewhere = Layer::new(Dtype::Q8_0, QuantKind::Q8_0, false, &gpu);
    assert!(!elsewhere.packed().takes(&numbers([1, 1, HIDDEN], 1)));
}

/// A step at `column` of rows that start at `starts`, of a cache of one row.
fn step(layer: &Layer, column: usize, starts: &[usize], tables: usize) {
    let x = numbers([1, 1, HIDDEN], 60);
    layer
        .packed()
        .step(x, turns(tables), cache(1), column, starts);
}

fn plain() -> Layer {
    Layer::new(Dtype::Q8_0, QuantKind::Q8_0, false, &Device::flex())
}

#[test]
#[should_panic(expected = "packed layer: column 9 of 9")]
fn a_full_cache_is_refused() {
    step(&plain(), CAPACITY, &[0], 1);
}

#[test]
#[should_panic(expected = "packed layer: rows from [4] to 3")]
fn a_row_that_begins_behind_its_token_is_refused() {
    step(&plain(), 3, &[4], 1);
}

#[test]
#[should_panic(expected = "turns of 1 rows")]
fn turns_of_other_rows_are_refused() {
    step(&plain(), 3, &[0], 2);
}

#[test]
#[should_panic(expected = "packed layer: output and down")]
fn matrices_that_do_not_fit_are_refused() {
    let mut layer = plain();
    layer.matrices.swap(3, 6);
    step(&layer, 3, &[0], 1);
}

#[test]
#[should_panic(expected = "packed layer: bias")]
fn a_bias_of_another_width_is_refused() {
    let mut layer = plain();
    layer.biases[1] = Some(numbers([HEAD], 1));
    step(&layer, 3, &[0], 1);
}
