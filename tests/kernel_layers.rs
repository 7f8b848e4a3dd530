//! Norms, rotary turns and activations on every fast path, against definitions in f64.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor, TensorData};
use namelens_engine::ops::logits::{Foremost, MAX_FOREMOST};
use namelens_engine::ops::{self, reference};
use namelens_tests::{assert_close, fast_devices, floats, uniform, wgpu};

/// A mean of up to a thousand terms, a root and a division in f32.
const NORM: f32 = 3e-6;
/// Two products and a sum.
const TURN: f32 = 3e-7;
/// The error function to 1e-7 times values of up to 6, and exp.
const ACTIVATION: f32 = 2e-6;

fn values(data: &TensorData) -> Vec<f64> {
    let values = data.try_to_vec::<f32>().unwrap();
    values.into_iter().map(f64::from).collect()
}

fn rounded(values: impl IntoIterator<Item = f64>) -> Vec<f32> {
    values.into_iter().map(|v| v as f32).collect()
}

/// Both norms of a row by their definitions: without and with the mean taken away.
fn norms_f64(x: &[f64], weight: &[f64], bias: &[f64], eps: f64) -> [Vec<f64>; 2] {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let spread = |mean: f64| {
        let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
        (squares / count + eps).sqrt()
    };
    let rms = x.iter().zip(weight).map(|(x, w)| x / spread(0.0) * w);
    let layer = x.iter().zip(weight).zip(bias);
    let layer = layer.map(|((x, w), b)| (x - mean) / spread(mean) * w + b);
    [rms.collect(), layer.collect()]
}

#[test]
fn norms_follow_their_definitions() {
    for device in fast_devices() {
        for (rows, width, eps) in [(1, 1, 1e-5), (3, 31, 1e-6), (70, 96, 1e-5), (2, 1152, 1e-2)] {
            let x = uniform([1, rows, width], 1);
            let (weight, bias) = (uniform([width], 2), uniform([width], 3));
            let (w, b) = (values(&weight), values(&bias));
            let x64 = values(&x);
            let expected = x64.chunks(width).map(|x| norms_f64(x, &w, &b, eps));
            let [rms, layer]: [Vec<f64>; 2] = expected.fold([vec![], vec![]], |[a, b], [c, d]| {
                [[a, c].concat(), [b, d].concat()]
            });
            let x = Tensor::<3>::from_data(x, &device);
            let [weight, bias] = [weight, bias].map(|data| Tensor::<1>::from_data(data, &device));
            let (xw, again) = ((x.clone(), weight.clone()), (x.clone(), weight.clone()));
            let bodies = [
                (ops::rms_norm(xw.0, xw.1, eps), &rms),
                (reference::rms_norm(again.0, again.1, eps), &rms),
                (
                    ops::layer_norm(x.clone(), weight.clone(), bias.clone(), eps),
                    &layer,
                ),
                (reference::layer_norm(x, weight, bias, eps), &layer),
            ];
            for (at, (actual, expected)) in bodies.into_iter().enumerate() {
                let what = format!("body {at}, {device:?}, {rows} rows of {width}");
                assert_close(&floats(actual), &rounded(expected.clone()), NORM, &what);
            }
        }
    }
}

#[test]
fn turns_follow_their_definition_with_one_table_and_with_one_a_row() {
    for device in fast_devices() {
        for (batch, heads, tokens, width, tables) in [
            (1, 1, 1, 2, 1),
            (2, 3, 5, 16, 1),
            (2, 3, 5, 16, 2),
            (3, 2, 7, 66, 3),
        ] {
            // As a layer makes them: heads are the third axis of memory and the second of the view.
            let x = uniform([batch, tokens, heads, width], 1);
            let (cos, sin) = (
                uniform([tables, 1, tokens, width], 2),
                uniform([tables, 1, tokens, width], 3),
            );
            let (x64, c, s) = (values(&x), values(&cos), values(&sin));
            let mut expected = Vec::new();
            for b in 0..batch {
                for h in 0..heads {
                    for t in 0..tokens {
                        let x = &x64[((b * tokens + t) * heads + h) * width..][..width];
                        let turn = (b % tables * tokens + t) * width;
                        expected.extend((0..width).map(|i| {
                            let other = x[(i + width / 2) % width];
                            x[i] * c[turn + i] + other * s[turn + i]
                        }));
                    }
                }
            }
            let x = Tensor::<4>::from_data(x, &device).swap_dims(1, 2);
            let [cos, sin] = [cos, sin].map(|data| Tensor::<4>::from_data(data, &device));
            let bodies = [
                ops::rotate(x.clone(), cos.clone(), sin.clone()),
                reference::rotate(x, cos, sin),
            ];
            for actual in bodies {
                let what = format!("{device:?} {batch} {heads} {tokens} {width} {tables}");
                assert_close(&floats(actual), &rounded(expected.clone()), TURN, &what);
            }
        }
    }
}

/// `Φ(x)` by Simpson's rule over the density: shares nothing with the approximation under test.
fn below_f64(x: f64) -> f64 {
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let steps = 400;
    let step = x / f64::from(steps);
    let inner = (1..steps).map(|i| {
        let weight = if i % 2 == 1 { 4.0 } else { 2.0 };
        weight * density(f64::from(i) * step)
    });
    0.5 + (density(0.0) + inner.sum::<f64>() + density(x)) * step / 3.0
}

#[test]
fn activations_follow_their_definitions() {
    // More than one share of a core, and no whole register.
    let inputs: Vec<f32> = (0..40_001)
        .map(|i| i as f32 / 40_001.0 * 12.0 - 6.0)
        .collect();
    let both = |x: &f32| {
        let x = f64::from(*x);
        (x * below_f64(x), x / (1.0 + (-x).exp()))
    };
    let (gelu, silu): (Vec<f64>, Vec<f64>) = inputs.iter().map(both).unzip();
    let ends = [0.0_f32, -0.0, -30.0, 30.0, -90.0, 100.0];
    for device in fast_devices() {
        let run = |inputs: &[f32]| {
            let x = Tensor::<1>::from_floats(inputs, &device);
            [floats(ops::gelu(x.clone())), floats(ops::silu(x))]
        };
        let gate = Tensor::<1>::from_floats(inputs.as_slice(), &device);
        // Each let through by its neighbour at the other end.
        let up: Vec<f32> = inputs.iter().rev().copied().collect();
        let up64 = up.iter().map(|&up| f64::from(up));
        let want = rounded(silu.iter().zip(up64).map(|(share, up)| share * up));
        let up = Tensor::from_floats(up.as_slice(), &device);
        let gated = floats(ops::gated_silu(gate, up));
        assert_close(&gated, &want, ACTIVATION, &format!("gated {device:?}"));
        let [found_gelu, found_silu] = run(&inputs);
        let what = format!("{device:?}");
        assert_close(&found_gelu, &rounded(gelu.clone()), ACTIVATION, &what);
        assert_close(&found_silu, &rounded(silu.clone()), ACTIVATION, &what);
        let tanh = inputs.iter().map(|&x| {
            let x = f64::from(x);
            let at = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + at.tanh())
        });
        let x = Tensor::<1>::from_floats(inputs.as_slice(), &device);
        let found = floats(ops::gelu_tanh(x));
        assert_close(&found, &rounded(tanh), ACTIVATION, &format!("tanh {what}"));
        let tanh_ends = floats(ops::gelu_tanh(Tensor::<1>::from_floats(ends, &device)));
        for (found, x) in tanh_ends.into_iter().zip(ends) {
            assert!(
                (found - x.max(0.0)).abs() < 1e-11,
                "tanh {what}: {found} at {x}"
            );
        }
        for found in run(&ends) {
            for (found, x) in found.into_iter().zip(ends) {
                // e^-30 is 1e-13.
                assert!((found - x.max(0.0)).abs() < 1e-11, "{what}: {found} at {x}");
            }
        }
    }
}

#[test]
fn slopes_of_activations_follow_their_definitions() {
    let inputs: Vec<f32> = (0..=2400).map(|i| i as f32 / 200.0 - 6.0).collect();
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let tanh = |x: f64| {
        let scale = (2.0 / std::f64::consts::PI).sqrt();
        let t = (scale * (x + 0.044_715 * x.powi(3))).tanh();
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * scale * (1.0 + 3.0 * 0.044_715 * x * x)
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    type Act = fn(Tensor<1>) -> Tensor<1>;
    type Slope<'a> = &'a dyn Fn(f64) -> f64;
    let table: [(&str, Act, Slope<'_>); 3] = [
        ("gelu", ops::gelu, &|x| below_f64(x) + x * density(x)),
        ("gelu_tanh", ops::gelu_tanh, &tanh),
        ("silu", ops::silu, &|x| {
            sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)))
        }),
    ];
    for device in fast_devices() {
        for (name, act, slope) in table {
            let device = device.clone().autodiff();
            let x = Tensor::<1>::from_floats(inputs.as_slice(), &device).require_grad();
            let gradients = act(x.clone()).sum().backward();
            let found = floats(x.grad(&gradients).unwrap());
            let want = rounded(inputs.iter().map(|&x| slope(f64::from(x))));
            assert_close(&found, &want, ACTIVATION, &format!("{name} {device:?}"));
        }
    }
}

/// A sum of up to 50,000 exponentials in f32, by 256 invocations.
const SHARE: f64 = 1e-5;

#[test]
fn the_likeliest_token_is_the_first_of_the_largest_finite_ones_and_its_share_is_that_of_the_softmax()
 {
    let device = wgpu();
    for columns in [1, 2, 255, 256, 257, 49_152] {
        let mut logits = values(&uniform([6, columns], 5))
            .iter()
            .map(|v| (8.0 * v) as f32)
            .collect::<Vec<f32>>();
        let rows: Vec<&mut [f32]> = logits.chunks_mut(columns).collect();
        let [plain, ties, holes, none, huge, equal] = rows.try_into().unwrap();
        plain[columns / 2] = 9.0;
        ties.fill(-3.0);
        ties[columns - 1] = 2.0;
        ties[columns / 3] = 2.0;
        holes[0] = f32::NAN;
        holes[columns / 2] = f32::INFINITY;
        none.fill(f32::NEG_INFINITY);
        none[0] = f32::NAN;
        huge[columns - 1] = f32::MAX;
        equal.fill(-1e30);
        let data = TensorData::new(logits.clone(), [6, columns]);
        let found = ops::foremost(&Tensor::<2>::from_data(data, &device), 1).unwrap();
        let found = floats(found);
        for (row, logits) in logits.chunks(columns).enumerate() {
            let finite = || logits.iter().filter(|v| v.is_finite());
            let top = finite().copied().fold(f32::NEG_INFINITY, f32::max);
            let at = logits.iter().position(|v| v.is_finite() && *v == top);
            let what = format!("row {row} of {columns}");
            let Some(found) = Foremost::rows(&found[4 * row..4 * row + 4], 1) else {
                assert_eq!(at, None, "{what}");
                continue;
            };
            let found = &found[0];
            let tokens: Vec<_> = at.iter().map(|&at| (at as u32, top)).collect();
            assert_eq!((&found.tokens, found.largest), (&tokens, top), "{what}");
            let sum: f64 = finite()
                .map(|v| (f64::from(*v) - f64::from(top)).exp())
                .sum();
            let far = (f64::from(found.sum) - sum).abs();
            assert!(far <= SHARE * sum, "{what}: {} for {sum}", found.sum);
        }
    }
    assert!(
        ops::foremost(
            &Tensor::<2>::from_data(uniform([1, 9], 1), &Device::flex()),
            1
        )
        .is_none()
    );
}

#[test]
fn the_foremost_tokens_are_all_that_are_not_below_a_bound_and_as_many_as_were_asked_for() {
    let device = wgpu();
    for (columns, k) in [
        (49_152, 2),
        (49_152, 50),
        (49_153, MAX_FOREMOST),
        (700, 50),
        (300, 70),
        (60, 50),
        (5, 2),
        (5, 50),
    ] {
        let mut logits = values(&uniform([3, columns], 7))
            .iter()
            .map(|v| (8.0 * v) as f32)
            .collect::<Vec<f32>>();
        let rows: Vec<&mut [f32]> = logits.chunks_mut(columns).collect();
        let [_, ties, holes] = rows.try_into().unwrap();
        // In steps, so that many are equal, but not so many that there is no room.
        ties.iter_mut()
            .for_each(|v| *v = (*v * 4000.0).round() / 4000.0);
        holes[0] = f32::INFINITY;
        holes[columns / 2] = f32::NAN;
        let data = TensorData::new(logits.clone(), [3, columns]);
        let found = ops::foremost(&Tensor::<2>::from_data(data, &device), k).unwrap();
        let found = Foremost::rows(&floats(found), 3).unwrap();
        for (row, (found, logits)) in found.iter().zip(logits.chunks(columns)).enumerate() {
            let what = format!("row {row} of {columns}, {k} asked for");
            let least = found.tokens.iter().map(|(_, logit)| *logit);
            let least = least.reduce(f32::min).unwrap();
            let finite = (0u32..).zip(logits.iter().copied());
            let finite: Vec<(u32, f32)> = finite.filter(|(_, v)| v.is_finite()).collect();
            let mut want = finite.clone();
            want.retain(|(_, logit)| *logit >= least);
            assert_eq!(found.tokens, want, "{what}");
            assert!(want.len() >= k.min(finite.len()), "{what}: {}", want.len());
            assert!(want.len() <= 2 * k, "{what}: {}", want.len());
            let sum: f64 = finite
                .iter()
                .map(|(_, v)| (f64::from(*v) - f64::from(found.largest)).exp())
                .sum();
            let far = (f64::from(found.sum) - sum).abs();
            assert!(far <= SHARE * sum, "{what}: {} for {sum}", found.sum);
        }
    }
    let of = |logits: Tensor<2>, k: usize| ops::foremost(&logits, k);
    // More equals than there is room for are told, not cut off; more than is ever found is not asked for.
    let equal = of(Tensor::zeros([1, 500], &device), 50).unwrap();
    assert_eq!(Foremost::rows(&floats(equal), 1), None);
    assert!(of(Tensor::zeros([1, 500], &device), MAX_FOREMOST + 1).is_none());
    assert!(of(Tensor::zeros([1, 500], &device), 0).is_none());
}
