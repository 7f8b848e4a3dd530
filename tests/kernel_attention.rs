//! Attention over the cache, on every fast path and by its plain body, against the definition.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor, TensorData};
use namelens_engine::ops::{self, Seen, reference};
use namelens_tests::{assert_close, fast_devices, floats, product_bar, uniform};

/// Sums of up to a few thousand terms near 1 in two different orders, exp and division, which WebGPU allows a few units in the
/// last place.
const SOFTMAX: f32 = 1e-5;

/// Batch, query heads, key/value heads, new positions, room in the cache, and the width of a head.
type Shape = [usize; 6];

/// Attention by the definition, in f64 loops: shares no code with either body. 0 for queries before their row's start.
fn attention_f64(
    [q, k, v]: [&[f32]; 3],
    [batch, heads, kv_heads, queries, capacity, width]: Shape,
    starts: &[usize],
    len: usize,
) -> Vec<f32> {
    let mut out = Vec::new();
    for b in 0..batch {
        for h in 0..heads {
            for query in 0..queries {
                let q = &q[((b * heads + h) * queries + query) * width..][..width];
                let cache = (b * kv_heads + h / (heads / kv_heads)) * capacity * width;
                let at = |t| cache + t * width;
                let dot = |t| {
                    (0..width)
                        .map(|i| f64::from(q[i]) * f64::from(k[at(t) + i]))
                        .sum::<f64>()
                };
                let seen = starts[b]..len - queries + query + 1;
                let scores: Vec<f64> = seen
                    .clone()
                    .map(|t| (dot(t) / (width as f64).sqrt()).exp())
                    .collect();
                let total: f64 = scores.iter().sum();
                out.extend((0..width).map(|i| {
                    let weights = seen.clone().zip(&scores);
                    let terms = weights.map(|(t, score)| score / total * f64::from(v[at(t) + i]));
                    terms.sum::<f64>() as f32
                }));
            }
        }
    }
    out
}

/// The caches of a shape, NaN wherever no position of a row is.
fn caches(
    [batch, _, kv_heads, _, capacity, width]: Shape,
    starts: &[usize],
    len: usize,
) -> [TensorData; 2] {
    [2, 3].map(|seed| {
        let mut cache = uniform([batch, kv_heads, capacity, width], seed);
        let values = cache.as_mut_slice::<f32>().unwrap();
        for (at, head) in values.chunks_mut(capacity * width).enumerate() {
            let (before, rest) = head.split_at_mut(starts[at / kv_heads] * width);
            let past = &mut rest[(len - starts[at / kv_heads]) * width..];
            before.iter_mut().chain(past).for_each(|x| *x = f32::NAN);
        }
        cache
    })
}

#[test]
fn cached_attention_follows_the_definition_and_ignores_what_is_no_part_of_a_row() {
    // Shape, starts, len. One query: ragged tiles, one position, full cache, widths the kernel leaves, rows of one length and of
    // several. Many: from an empty cache and behind one, wide heads, blocks that are full and ragged, and a row that begins among them.
    let table: [(Shape, &[usize], usize); 19] = [
        ([1, 1, 1, 1, 1, 4], &[0], 1),
        ([1, 9, 3, 1, 40, 64], &[0], 1),
        ([2, 9, 3, 1, 200, 64], &[0, 0], 131),
        ([1, 4, 4, 1, 128, 80], &[0], 128),
        ([3, 6, 2, 1, 129, 20], &[0; 3], 129),
        ([1, 2, 1, 1, 700, 256], &[0], 513),
        ([1, 2, 2, 1, 9, 7], &[0], 5),
        ([3, 6, 2, 1, 200, 32], &[0, 40, 97], 98),
        ([2, 4, 2, 1, 70, 20], &[33, 0], 70),
        ([1, 2, 1, 1, 40, 64], &[7], 33),
        ([1, 9, 3, 40, 64, 64], &[0], 40),
        ([1, 4, 2, 33, 256, 32], &[0], 150),
        ([1, 2, 1, 37, 64, 128], &[0], 50),
        ([1, 2, 2, 18, 64, 80], &[0], 40),
        ([2, 3, 1, 5, 64, 64], &[0, 20], 50),
        ([2, 2, 2, 70, 256, 32], &[0, 31], 170),
        ([1, 2, 1, 2, 16, 7], &[0], 9),
        ([2, 2, 1, 34, 64, 20], &[3, 0], 60),
        ([2, 6, 2, 36, 64, 32], &[0, 30], 36),
    ];
    for device in fast_devices() {
        for (shape, starts, len) in table {
            let [batch, heads, _, queries, _, width] = shape;
            let q = uniform([batch, heads, queries, width], 1);
            let [k, v] = caches(shape, starts, len);
            let values = [&q, &k, &v].map(|data| data.try_to_vec::<f32>().unwrap());
            let expected =
                attention_f64(std::array::from_fn(|i| &values[i][..]), shape, starts, len);
            let [q, k, v] = [q, k, v].map(|data| Tensor::<4>::from_data(data, &device));
            let (k1, v1) = (k.clone(), v.clone());
            let bodies = [
                ops::cached_attention(q.clone(), k1, v1, starts, len),
                reference::cached_attention(q, k, v, starts, len),
            ];
            for (actual, body) in bodies.into_iter().zip(["fast", "plain"]) {
                let mut actual = floats(actual);
                // Of a query before its row's start only a number is promised.
                for (at, out) in actual.chunks_mut(width).enumerate() {
                    let own = len - queries + at % queries;
                    if own < starts[at / (heads * queries)] {
                        assert!(out.iter().all(|x| x.is_finite()));
                        out.fill(0.0);
                    }
                }
                let what = format!("{body} {device:?} {shape:?} {starts:?} to {len}");
                assert_close(&actual, &expected, product_bar(&device, SOFTMAX), &what);
            }
        }
    }
}

#[test]
fn cached_attention_survives_scores_that_overflow_exp() {
    for device in fast_devices() {
        let key = |x: f32| [x, 0.0, 0.0, 0.0];
        let q = Tensor::<4>::from_data([[[key(100.0)]]], &device);
        let k = Tensor::from_data([[[key(-300.0), key(200.0), key(200.0)]]], &device);
        let v = Tensor::from_data([[[key(7.0), key(1.0), key(2.0)]]], &device);
        let actual = floats(ops::cached_attention(q, k, v, &[0], 3));
        assert_close(
            &actual,
            &[1.5, 0.0, 0.0, 0.0],
            product_bar(&device, SOFTMAX),
            &format!("{device:?}"),
        );
    }
}

/// Rows, and positions of a row, do not change each other: what a batch says is to the bit what its rows say alone.
#[test]
fn a_row_alone_says_what_it_says_in_a_batch() {
    let device = Device::flex();
    for queries in [1, 37] {
        let shape = [3, 6, 2, queries, 128, 64];
        let [q, k, v] = [1, 2, 3].map(|seed| {
            let heads = if seed == 1 { 6 } else { 2 };
            let tokens = if seed == 1 { queries } else { 128 };
            Tensor::<4>::from_data(uniform([3, heads, tokens, 64], seed), &device)
        });
        let starts = [0, 9, 30];
        let all = floats(ops::cached_attention(
            q.clone(),
            k.clone(),
            v.clone(),
            &starts,
            100,
        ));
        let own = all.len() / shape[0];
        for (row, start) in starts.into_iter().enumerate() {
            let [q, k, v] = [&q, &k, &v].map(|x| x.clone().narrow(0, row, 1));
            let alone = floats(ops::cached_attention(q, k, v, &[start], 100));
            assert_eq!(
                alone,
                all[row * own..][..own],
                "{queries} queries, row {row}"
            );
        }
    }
}

#[test]
fn attention_of_a_whole_sequence_is_that_over_a_cache_that_holds_it() {
    for device in fast_devices() {
        for (tokens, width) in [(1, 32), (33, 64), (150, 32), (20, 24), (9, 160), (70, 128)] {
            let [q, k, v] = [1, 2, 3]
                .map(|seed| Tensor::<4>::from_data(uniform([2, 3, tokens, width], seed), &device));
            let whole = ops::attention(q.clone(), k.clone(), v.clone(), &Seen::Before);
            let cached = reference::cached_attention(q, k, v, &[0, 0], tokens);
            let what = format!("{device:?}, {tokens} tokens of {width}");
            assert_close(
                &floats(whole),
                &floats(cached),
                product_bar(&device, SOFTMAX),
                &what,
            );
        }
    }
}

#[test]
fn everyone_at_everyone_is_one_query_over_all_for_each() {
    for device in fast_devices() {
        for (tokens, width) in [(1, 32), (33, 64), (61, 20), (150, 96)] {
            let [q, k, v] = [1, 2, 3]
                .map(|seed| Tensor::<4>::from_data(uniform([1, 2, tokens, width], seed), &device));
            let whole = ops::attention(q.clone(), k.clone(), v.clone(), &Seen::All);
            let each = (0..tokens).map(|at| {
                let (k, v) = (k.clone(), v.clone());
                reference::cached_attention(q.clone().narrow(2, at, 1), k, v, &[0], tokens)
            });
            let each = Tensor::cat(each.collect(), 2);
            let what = format!("{device:?}, {tokens} tokens of {width}");
            assert_close(
                &floats(whole),
                &floats(each),
                product_bar(&device, SOFTMAX),
                &what,
            );
        }
    }
}

/// Queries, keys and values each in an order of axes of its own, whole and as a part of something larger.
#[test]
fn heads_may_lie_in_any_order() {
    // How axes are exchanged in memory, each exchange its own inverse.
    let orders: [fn(Tensor<4>) -> Tensor<4>; 4] = [
        |x| x,
        |x| x.swap_dims(1, 2),
        |x| x.swap_dims(2, 3),
        |x| x.swap_dims(0, 1),
    ];
    for device in fast_devices() {
        let shape = [2, 3, 33, 64];
        let plain = [1, 2, 3].map(|seed| Tensor::<4>::from_data(uniform(shape, seed), &device));
        for case in 0..64 {
            let mut places = [case % 4, case / 4 % 4, case / 16].into_iter();
            let [q, k, v] = plain.clone().map(|x| {
                let order = orders[places.next().unwrap()];
                // A copy in the other order, seen in this one.
                let copy = Tensor::from_data(order(x).into_data(), &device);
                order(copy)
            });
            let [one, two, three] = plain.clone();
            let what = format!("{device:?}, case {case}");
            let whole = ops::attention(q.clone(), k.clone(), v.clone(), &Seen::Before);
            let want = ops::attention(one.clone(), two.clone(), three.clone(), &Seen::Before);
            assert_eq!(floats(whole), floats(want), "{what}");
            let [q, k, v] = [q, k, v].map(|x| x.narrow(0, 1, 1).narrow(2, 1, 30));
            let [one, two, three] = [one, two, three].map(|x| x.narrow(0, 1, 1).narrow(2, 1, 30));
            let part = ops::cached_attention(q, k, v, &[0], 30);
            let want = reference::cached_attention(one, two, three, &[0], 30);
            let bar = product_bar(&device, SOFTMAX);
            assert_close(&floats(part), &floats(want), bar, &what);
        }
    }
}

#[test]
fn no_query_has_no_answer() {
    for device in fast_devices() {
        let of = |shape: [usize; 4], seed| Tensor::<4>::from_data(uniform(shape, seed), &device);
        let [k, v] = [1, 2].map(|seed| of([1, 2, 5, 32], seed));
        let q = Tensor::<4>::empty([1, 4, 0, 32], &device);
        assert_eq!(
            ops::cached_attention(q, k, v, &[0], 3).dims(),
            [1, 4, 0, 32]
        );
    }
}
