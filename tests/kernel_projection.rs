//! Coarse operations of a decoder layer against their parts: the same numbers, wherever a layer stands.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor, TensorData};

use namelens_engine::ops::{self, Activation, Epilogue, QuantKind, QuantMatrix};
use namelens_engine::weights::{Dtype, encode};
use namelens_tests::{
    KINDS, assert_close, fast_devices, floats, product_bar, random_blocks, uniform,
};

/// Sums of a few hundred terms in another order, and an exponential.
const SUMS: f32 = 2e-5;

fn matrix(rows: usize, cols: usize, seed: u64, device: &Device) -> QuantMatrix {
    let weights: Vec<f32> = uniform([rows, cols], seed).try_to_vec().unwrap();
    let bytes = encode(Dtype::Q8_0, &weights).unwrap();
    QuantMatrix::from_ggml(&bytes, QuantKind::Q8_0, rows, cols, device).unwrap()
}

/// One row, a few, and so many that they are shared out among cores.
const ROWS: [usize; 3] = [1, 3, 75];

#[test]
fn a_dense_product_follows_its_definition_for_any_number_of_rows() {
    for device in fast_devices() {
        // Rows of weights that are no whole block, columns that are no whole register, and products that are shared out; a GPU has
        // kernels for those of whole blocks of 32.
        for (n, k) in [(1, 1), (37, 31), (1, 32), (96, 192), (1100, 64), (1100, 44)] {
            let (weight, bias) = (uniform([n, k], 1), uniform([n], 2));
            let f64s = |data: &TensorData| -> Vec<f64> {
                data.try_to_vec::<f32>()
                    .unwrap()
                    .into_iter()
                    .map(f64::from)
                    .collect()
            };
            let (w, b) = (f64s(&weight), f64s(&bias));
            let weight = Tensor::<2>::from_data(weight, &device);
            let bias = Tensor::<1>::from_data(bias, &device);
            for rows in [1, 2, 3, 8, 64, 65, 130] {
                let x = uniform([1, rows, k], 3);
                let x64 = f64s(&x);
                let sums = |bias: &[f64]| -> Vec<f32> {
                    let row = |x: &[f64]| {
                        let sum = |w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
                        let of =
                            |n: usize| (sum(&w[n * k..][..k]) + bias.get(n).unwrap_or(&0.0)) as f32;
                        (0..n).map(of).collect::<Vec<f32>>()
                    };
                    x64.chunks(k).flat_map(row).collect()
                };
                let x = Tensor::<3>::from_data(x, &device);
                let what = format!("{device:?}, {rows} rows, [{n}, {k}]");
                let found = ops::dense_linear(x.clone(), weight.clone(), None);
                assert_eq!(found.dims(), [1, rows, n]);
                assert_close(
                    &floats(found),
                    &sums(&[]),
                    product_bar(&device, SUMS),
                    &what,
                );
                let found = ops::dense_linear(x, weight.clone(), Some(bias.clone()));
                assert_close(&floats(found), &sums(&b), product_bar(&device, SUMS), &what);
            }
        }
    }
}

#[test]
fn products_of_one_input_are_those_of_each_matrix() {
    for device in fast_devices() {
        let ws = [(40, 1), (8, 2), (17, 3)].map(|(rows, seed)| matrix(rows, 96, seed, &device));
        let bias = |rows, seed| Some(Tensor::<1>::from_data(uniform([rows], seed), &device));
        let biases = [bias(40, 5), None, bias(17, 6)];
        for rows in ROWS {
            let x = Tensor::<3>::from_data(uniform([1, rows, 96], 4), &device);
            let together =
                ops::quant_linears(x.clone(), [&ws[0], &ws[1], &ws[2]], biases.clone(), None);
            for ((found, w), bias) in together.into_iter().zip(&ws).zip(&biases) {
                let alone = ops::quant_linear(x.clone(), w, None);
                let alone = match bias {
                    Some(bias) => alone + bias.clone().unsqueeze(),
                    None => alone,
                };
                assert_eq!(found.dims(), [1, rows, w.rows()]);
                let what = format!("{device:?}, {rows} rows");
                assert_close(
                    &floats(found),
                    &floats(alone),
                    product_bar(&device, SUMS),
                    &what,
                );
            }
        }
    }
}

#[test]
fn a_gated_pair_is_the_gate_of_two_products() {
    for device in fast_devices() {
        let [gate, up] = [1, 2].map(|seed| matrix(40, 96, seed, &device));
        for rows in ROWS {
            let x = Tensor::<2>::from_data(uniform([rows, 96], 4), &device);
            let found = ops::gated_quant_linear(x.clone(), &gate, &up, None);
            let parts = [&gate, &up].map(|w| floats(ops::quant_linear(x.clone(), w, None)));
            let pairs = parts[0].iter().zip(&parts[1]);
            let want = pairs.map(|(g, u)| {
                let (g, u) = (f64::from(*g), f64::from(*u));
                (g / (1.0 + (-g).exp()) * u) as f32
            });
            let want: Vec<f32> = want.collect();
            assert_close(
                &floats(found),
                &want,
                product_bar(&device, SUMS),
                &format!("{device:?} {rows}"),
            );
        }
    }
}

/// Every choice of bias, activation and what is added to, of dense weights and of blocks.
#[test]
fn what_is_done_to_a_product_is_done_to_its_numbers() {
    let activations = [
        None,
        Some(Activation::GeluTanh),
        Some(Activation::Gelu),
        Some(Activation::Silu),
    ];
    for device in fast_devices() {
        let w = matrix(33, 64, 1, &device);
        let dense = Tensor::<2>::from_data(uniform([33, 64], 1), &device);
        for rows in ROWS {
            let x = Tensor::<3>::from_data(uniform([rows, 1, 64], 4), &device);
            let there = Tensor::<3>::from_data(uniform([rows, 1, 33], 5), &device);
            let bias = Tensor::<1>::from_data(uniform([33], 6), &device);
            let plain = [
                ops::quant_linear(x.clone(), &w, None),
                ops::dense_linear(x.clone(), dense.clone(), None),
            ];
            for case in 0..16 {
                let epilogue = Epilogue {
                    bias: (case & 1 != 0).then(|| bias.clone()),
                    activation: activations[case >> 2],
                    onto: (case & 2 != 0).then(|| there.clone()),
                };
                let found = [
                    ops::quant_linear(x.clone(), &w, epilogue.clone()),
                    ops::dense_linear(x.clone(), dense.clone(), epilogue.clone()),
                ];
                for (found, plain) in found.into_iter().zip(&plain) {
                    let want = floats(epilogue.clone().of(plain.clone()));
                    let bar = product_bar(&device, SUMS);
                    let what = format!("{device:?}, {rows} rows, case {case}");
                    assert_close(&floats(found), &want, bar, &what);
                }
            }
        }
    }
}

/// Loops would leave out what is missing, and kernels read what lies behind it.
#[test]
fn what_does_not_fit_a_product_is_refused() {
    for device in fast_devices() {
        let w = matrix(33, 64, 1, &device);
        let dense = Tensor::<2>::from_data(uniform([33, 64], 1), &device);
        for rows in ROWS {
            let x = Tensor::<2>::from_data(uniform([rows, 64], 4), &device);
            let onto = |shape| Epilogue {
                onto: Some(Tensor::<2>::from_data(uniform(shape, 5), &device)),
                ..Default::default()
            };
            let bias = |count| Some(Tensor::<1>::from_data(uniform([count], 6), &device));
            let wrong = [
                onto([rows + 1, 33]),
                onto([rows, 11]),
                bias(32).into(),
                bias(1).into(),
            ];
            for (case, epilogue) in wrong.into_iter().enumerate() {
                let what = format!("{device:?}, {rows} rows, case {case}");
                let refused = |product: &dyn Fn() -> Tensor<2>| {
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(product)).is_err()
                };
                let of_blocks = || ops::quant_linear(x.clone(), &w, epilogue.clone());
                let of_numbers = || ops::dense_linear(x.clone(), dense.clone(), epilogue.clone());
                assert!(refused(&of_blocks) && refused(&of_numbers), "{what}");
            }
        }
    }
}

#[test]
fn an_epilogue_is_what_it_says() {
    let device = Device::flex();
    let of = |numbers: &[f32]| Tensor::<1>::from_data(numbers, &device);
    let epilogue = Epilogue {
        bias: Some(of(&[1.0, 2.0])),
        activation: Some(Activation::Silu),
        onto: Some(of(&[10.0, 20.0])),
    };
    let silu = |x: f32| x / (1.0 + (-x).exp());
    let found = floats(epilogue.of(of(&[0.5, -3.0])));
    assert_close(&found, &[10.0 + silu(1.5), 20.0 + silu(-1.0)], 1e-6, "silu");
}

/// With one table of turns for all rows and with one a row; what is not written stays, also in a cache somebody else holds.
#[test]
fn new_keys_are_turned_into_their_columns_and_nothing_else_changes() {
    let (kv_heads, heads, width, capacity) = (2, 4, 16, 9);
    for device in fast_devices() {
        for (batch, tokens, column, tables) in
            [(1, 1, 0, 1), (2, 1, 8, 1), (2, 3, 4, 2), (3, 9, 0, 3)]
        {
            let tensor = |shape, seed| Tensor::<4>::from_data(uniform(shape, seed), &device);
            // As a layer makes them: heads are the third axis of memory and the second of the view.
            let new = [(heads, 1), (kv_heads, 2), (kv_heads, 3)]
                .map(|(heads, seed)| tensor([batch, tokens, heads, width], seed).swap_dims(1, 2));
            let turns = [4, 5].map(|seed| tensor([tables, 1, tokens, width], seed));
            let caches = [6, 7].map(|seed| tensor([batch, kv_heads, capacity, width], seed));
            let before = caches.clone().map(floats);
            let [q, k, v] = new.clone();
            let [cos, sin] = turns.clone();
            let found = ops::rotate_into_cache(new, turns, caches.clone(), column);
            let [found_q, found_k, found_v] = found.map(floats);
            let what = format!("{device:?}, {batch} rows, {tokens} tokens at {column}");
            let turned = |x| ops::rotate(x, cos.clone(), sin.clone());
            assert_close(&found_q, &floats(turned(q)), 1e-6, &what);
            let [mut keys, mut values] = before.clone();
            for (room, new) in [(&mut keys, floats(turned(k))), (&mut values, floats(v))] {
                let rooms = room.chunks_exact_mut(capacity * width);
                for (room, new) in rooms.zip(new.chunks_exact(tokens * width)) {
                    room[column * width..][..new.len()].copy_from_slice(new);
                }
            }
            assert_close(&found_k, &keys, 1e-6, &what);
            assert_close(&found_v, &values, 1e-6, &what);
            assert_eq!(caches.map(floats), before, "{what}: held by somebody else");
        }
    }
}

/// On a GPU the parts are views of the stack, and it takes part in the product; elsewhere nothing is stacked.
#[test]
fn matrices_that_are_stacked_give_what_they_gave() {
    for device in fast_devices() {
        let is_gpu = !matches!(device, ref cpu if *cpu == Device::flex());
        // Rows of 34 words: 64 of them end where a binding may begin.
        let mut ws =
            [(128, 1), (64, 2), (64, 3)].map(|(rows, seed)| matrix(rows, 128, seed, &device));
        let before = ws.clone();
        let [a, b, c] = &mut ws;
        let qkv = QuantMatrix::stack(&mut [a, b, c]);
        assert_eq!(qkv.is_some(), is_gpu, "{device:?}");
        let mut pair = [4, 5].map(|seed| matrix(64, 128, seed, &device));
        let alone = pair.clone();
        let [gate, up] = &mut pair;
        let gate_up = QuantMatrix::stack(&mut [gate, up]);
        for rows in ROWS {
            let what = format!("{device:?}, {rows} rows");
            let x = Tensor::<2>::from_data(uniform([rows, 128], 6), &device);
            let parts = [&ws[0], &ws[1], &ws[2]];
            let found = ops::quant_linears(x.clone(), parts, [const { None }; 3], qkv.as_ref());
            for (found, w) in found.into_iter().zip(&before) {
                let want = floats(ops::quant_linear(x.clone(), w, None));
                assert_close(&floats(found), &want, product_bar(&device, SUMS), &what);
            }
            let gated = |[gate, up]: &[QuantMatrix; 2], stack| {
                floats(ops::gated_quant_linear(x.clone(), gate, up, stack))
            };
            let (found, want) = (gated(&pair, gate_up.as_ref()), gated(&alone, None));
            assert_close(&found, &want, product_bar(&device, SUMS), &what);
        }
    }
}

#[test]
fn rows_of_a_table_are_its_weights_in_any_order_and_again() {
    for device in fast_devices() {
        for kind in KINDS {
            let (rows, cols) = (70, 3 * kind.block_len());
            let w = random_blocks(kind, rows, cols, &device);
            let all = floats(w.dequantize());
            let asked: Vec<u32> = (0..80).map(|at| at * 29 % 70).collect();
            for asked in [&asked[..1], &asked[..], &[]] {
                let want: Vec<f32> = asked
                    .iter()
                    .flat_map(|&row| all[row as usize * cols..][..cols].to_vec())
                    .collect();
                // A scale times a code and an offset, both ways; a GPU may round once where a CPU rounds twice.
                assert_close(
                    &floats(w.select(asked)),
                    &want,
                    1e-7,
                    &format!("{device:?} {kind:?}"),
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_bound_or_differs_is_not_stacked() {
    for device in fast_devices() {
        let stack = |mut parts: [QuantMatrix; 2]| {
            let [a, b] = &mut parts;
            QuantMatrix::stack(&mut [a, b]).is_some()
        };
        let of = |rows, cols| matrix(rows, cols, 1, &device);
        assert!(
            !stack([of(64, 128), of(63, 128)]),
            "{device:?}: 63 rows of 34 words"
        );
        assert!(
            !stack([of(64, 128), of(64, 256)]),
            "{device:?}: columns differ"
        );
    }
}

/// New queries, keys and values of `tokens` tokens, with turns for `turned` of them.
fn turned_into_cache(tokens: usize, turned: usize) -> [Tensor<4>; 3] {
    let device = Device::flex();
    let of = |shape: [usize; 4], seed| Tensor::<4>::from_data(uniform(shape, seed), &device);
    let new = [(4, 1), (2, 2), (2, 3)].map(|(heads, seed)| of([1, heads, tokens, 8], seed));
    let turns = [4, 5].map(|seed| of([1, 1, turned, 8], seed));
    let cache = [6, 7].map(|seed| of([1, 2, 5, 8], seed));
    ops::rotate_into_cache(new, turns, cache, 1)
}

#[test]
fn turns_of_all_tokens_are_taken() {
    assert_eq!(turned_into_cache(2, 2)[0].dims(), [1, 4, 2, 8]);
}

#[test]
#[should_panic(expected = "rotate_into_cache: turns")]
fn turns_of_fewer_tokens_than_there_are_are_refused() {
    turned_into_cache(2, 1);
}

#[test]
#[should_panic(expected = "rotate: turns")]
fn turns_of_another_width_are_refused() {
    let of = |width, seed| Tensor::<4>::from_data(uniform([1, 1, 1, width], seed), &Device::flex());
    ops::rotate(of(8, 1), of(4, 2), of(4, 3));
}
