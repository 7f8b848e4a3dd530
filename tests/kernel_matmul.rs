//! Products of any two tensors, and attention made of them, against their definitions.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Bool, Device, Tensor, TensorData};

use namelens_engine::ops::{self, Seen};
use namelens_tests::{assert_close, fast_devices, floats, product_bar, uniform};

/// Sums of a few hundred terms in another order, and an exponential.
const SUMS: f32 = 2e-5;

/// Numbers of a tensor by the places in it.
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Numbers {
    fn new(data: &TensorData) -> Self {
        let values = data.iter::<f32>().map(f64::from).collect();
        let shape = data.shape().to_vec();
        Self { shape, values }
    }

    /// The number at a place, where an axis of 1 has the same at all of them.
    fn at(&self, place: &[usize]) -> f64 {
        let axes = self.shape.iter().zip(place);
        let flat = axes.fold(0, |flat, (&size, &at)| flat * size + at % size.max(1));
        assert!(flat < self.values.len(), "{place:?} of {:?}", self.shape);
        self.values[flat]
    }
}

/// All places of a tensor, in the order in which its numbers lie.
fn places(shape: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    let [a, b, c, d] = shape;
    (0..a * b * c * d).map(move |at| [at / (b * c * d), at / (c * d) % b, at / d % c, at % d])
}

#[test]
fn a_product_follows_its_definition_for_each_of_a_batch() {
    // Axes in front of a and of b, then M, K, N: whole blocks of 32 and whole tiles of 64, and none of them.
    let cases = [
        ([1, 1], [1, 1], [1, 1, 1]),
        ([2, 3], [2, 3], [65, 32, 64]),
        ([2, 3], [2, 3], [130, 70, 3]),
        ([2, 1], [1, 3], [5, 33, 66]),
        ([1, 1], [4, 2], [64, 31, 65]),
        ([3, 2], [1, 1], [9, 96, 17]),
    ];
    for device in fast_devices() {
        for ([a0, a1], [b0, b1], [m, k, n]) in cases {
            let (a, b) = (uniform([a0, a1, m, k], 1), uniform([b0, b1, k, n], 2));
            let (of_a, of_b) = (Numbers::new(&a), Numbers::new(&b));
            let shape = [a0.max(b0), a1.max(b1), m, n];
            let sum = |[i, j, row, column]: [usize; 4]| {
                let term = |at| of_a.at(&[i, j, row, at]) * of_b.at(&[i, j, at, column]);
                (0..k).map(term).sum::<f64>() as f32
            };
            let want: Vec<f32> = places(shape).map(sum).collect();
            let [a, b] = [a, b].map(|x| Tensor::<4>::from_data(x, &device));
            let what = format!("{device:?}, {:?} times {:?}", a.dims(), b.dims());
            let bar = product_bar(&device, SUMS);
            let y = ops::matmul(a.clone(), b.clone());
            assert_eq!(y.dims(), shape, "{what}");
            assert_close(&floats(y), &want, bar, &what);
            // The same numbers in another order in memory, and each as a part of something larger.
            let turned = |x: Tensor<4>| {
                let copy = x.clone().transpose().into_data();
                Tensor::<4>::from_data(copy, &device).transpose()
            };
            let part = |x: Tensor<4>| {
                let whole = Tensor::cat(vec![x.clone(), x.clone() * 7.0], 3);
                whole.narrow(3, 0, x.dims()[3])
            };
            let y = ops::matmul(turned(a.clone()), part(b.clone()));
            assert_close(&floats(y), &want, bar, &what);
            let y = ops::matmul(part(a), turned(b));
            assert_close(&floats(y), &want, bar, &what);
        }
    }
}

#[test]
fn a_product_of_nothing_is_nothing_or_zeros() {
    for device in fast_devices() {
        for (m, k, n) in [(0, 5, 3), (2, 5, 0)] {
            let x = Tensor::<2>::zeros([m, k], &device);
            let y = ops::matmul(x, Tensor::zeros([k, n], &device));
            assert_eq!(y.dims(), [m, n], "{device:?}");
        }
    }
    // Where no numbers are added up the sum is zero; burn's own products on the CPU are not asked that by anybody.
    let device = namelens_tests::wgpu();
    let x = Tensor::<2>::zeros([2, 0], &device);
    let y = ops::matmul(x, Tensor::zeros([0, 3], &device));
    assert_eq!(floats(y), [0.0; 6]);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for device in fast_devices() {
        let zeros = |shape| Tensor::<3>::zeros(shape, &device);
        for (a, b) in [
            ([1, 2, 33], [1, 32, 4]),
            ([2, 2, 32], [3, 32, 4]),
            ([3, 2, 32], [2, 32, 4]),
            ([1, 2, 3], [1, 4, 2]),
        ] {
            let product = || floats(ops::matmul(zeros(a), zeros(b)));
            let refused = catch_unwind(AssertUnwindSafe(product));
            assert!(refused.is_err(), "{device:?}: {a:?} times {b:?}");
        }
    }
}

/// Attention by its definition; `is_hidden` says of a place among the scores whether it counts.
fn attention_f64([q, k, v]: [&TensorData; 3], is_hidden: impl Fn([usize; 4]) -> bool) -> Vec<f32> {
    let [q, k, v] = [q, k, v].map(Numbers::new);
    let ([batch, heads, queries, width], keys) =
        (<[usize; 4]>::try_from(q.shape.clone()).unwrap(), k.shape[2]);
    let mut out = Vec::new();
    for [b, h, t, _] in places([batch, heads, queries, 1]) {
        let score = |s| {
            let dot = |i| q.at(&[b, h, t, i]) * k.at(&[b, h, s, i]);
            (0..width).map(dot).sum::<f64>() / (width as f64).sqrt()
        };
        let weight = |s| match is_hidden([b, h, t, s]) {
            true => 0.0,
            false => f64::exp(score(s)),
        };
        let weights: Vec<f64> = (0..keys).map(weight).collect();
        let total: f64 = weights.iter().sum();
        for i in 0..width {
            let term = |s: usize| weights[s] / total * v.at(&[b, h, s, i]);
            out.push((0..keys).map(term).sum::<f64>() as f32);
        }
    }
    out
}

#[test]
fn attention_by_a_mask_follows_the_definition() {
    // Images, heads, queries, keys, width of a head.
    let cases = [
        [1, 1, 1, 1, 8],
        [2, 3, 5, 70, 20],
        [3, 2, 33, 33, 64],
        [1, 2, 1, 129, 160],
    ];
    for device in fast_devices() {
        for [batch, heads, queries, keys, width] in cases {
            let q = uniform([batch, heads, queries, width], 1);
            let [k, v] = [2, 3].map(|seed| uniform([batch, heads, keys, width], seed));
            let tensors = || [&q, &k, &v].map(|x| Tensor::<4>::from_data(x.clone(), &device));
            // One mask for all, one for each image, one for each head; every query sees the first key.
            for [own, each] in [[1, 1], [batch, 1], [batch, heads]] {
                let hides =
                    |[b, h, t, s]: [usize; 4]| s > 0 && (b % own + 2 * (h % each) + t + s) % 3 == 0;
                let mask: Vec<bool> = places([own, each, queries, keys]).map(hides).collect();
                let mask = TensorData::new(mask, [own, each, queries, keys]);
                let mask = Tensor::<4, Bool>::from_data(mask, &device);
                let [q3, k3, v3] = tensors();
                let found = ops::masked_attention(q3, k3, v3, Some(mask));
                let want = attention_f64([&q, &k, &v], hides);
                let what =
                    format!("{device:?}, {batch} {heads} {queries} {keys} {width}, {own} {each}");
                assert_close(&floats(found), &want, product_bar(&device, SUMS), &what);
            }
            let [q3, k3, v3] = tensors();
            let found = ops::masked_attention(q3, k3, v3, None);
            let want = attention_f64([&q, &k, &v], |_| false);
            let what = format!("{device:?}, {queries} to all of {keys}");
            assert_close(&floats(found), &want, product_bar(&device, SUMS), &what);
        }
    }
}

/// Heads of 160, for which no device has a kernel or loop.
#[test]
fn attention_of_wide_heads_follows_the_definition() {
    let (tokens, width) = (37, 160);
    let [q, k, v] = [1, 2, 3].map(|seed| uniform([2, 2, tokens, width], seed));
    for device in fast_devices() {
        let tensors = || [&q, &k, &v].map(|x| Tensor::<4>::from_data(x.clone(), &device));
        let behind = |[_, _, t, s]: [usize; 4]| s > t;
        let want = attention_f64([&q, &k, &v], behind);
        let [q3, k3, v3] = tensors();
        let found = ops::attention(q3, k3, v3, &Seen::Before);
        let bar = product_bar(&device, SUMS);
        assert_close(&floats(found), &want, bar, &format!("{device:?}"));
        let [q3, k3, v3] = tensors();
        let found = ops::cached_attention(q3, k3, v3, &[0, 0], tokens);
        assert_close(&floats(found), &want, bar, &format!("{device:?}, cached"));
        let [q3, k3, v3] = tensors();
        let found = ops::attention(q3, k3, v3, &Seen::All);
        let want = attention_f64([&q, &k, &v], |_| false);
        assert_close(&floats(found), &want, bar, &format!("{device:?}, all"));
    }
}

/// A product with gradients goes another way than one without.
#[test]
fn a_product_has_gradients() {
    for device in namelens_tests::training_devices() {
        let device: Device = device.autodiff();
        let (a, b) = (uniform([2, 3, 33], 1), uniform([2, 33, 5], 2));
        let a = Tensor::<3>::from_data(a, &device).require_grad();
        let b = Tensor::<3>::from_data(b, &device);
        let grads = ops::matmul(a.clone(), b.clone()).sum().backward();
        let found = floats(a.grad(&grads).unwrap());
        // Each number of a row meets all columns of its row of b.
        let want = b.inner().sum_dim(2).swap_dims(1, 2).expand([2, 3, 33]);
        assert_close(&found, &floats(want), SUMS, &format!("{device:?}"));
    }
}
