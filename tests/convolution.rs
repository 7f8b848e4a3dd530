//! Convolutions with channels last, and scores of windows of their maps, against the definition in f64, over odd shapes.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use namelens_engine::ops::{self, ConvWeights, Window, reference};
use namelens_tests::{assert_close, depthwise_of, floats, product_bar, uniform};

/// Sums of up to a thousand products near 1, each rounded to 2^-24, in two different orders.
const SUMS: f32 = 1e-5;

fn devices() -> Vec<Device> {
    #[cfg(feature = "wgpu")]
    return namelens_tests::fast_devices();
    #[cfg(not(feature = "wgpu"))]
    vec![Device::flex()]
}

fn numbers(data: &TensorData) -> Vec<f32> {
    data.try_to_vec().unwrap()
}

fn depthwise_f64(
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    shape: [usize; 4],
    window: Window,
) -> Vec<f32> {
    let [images, height, width, channels] = shape;
    let (rows, columns) = (window.outputs(height), window.outputs(width));
    let mut out = Vec::new();
    for image in 0..images {
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            for channel in 0..channels {
                let mut sum = f64::from(bias[channel]);
                for tap in 0..window.kernel * window.kernel {
                    let y = (row * window.stride + tap / window.kernel).checked_sub(window.before);
                    let x_at =
                        (column * window.stride + tap % window.kernel).checked_sub(window.before);
                    if let (Some(y), Some(x_at)) = (y, x_at)
                        && y < height
                        && x_at < width
                    {
                        let from = ((image * height + y) * width + x_at) * channels + channel;
                        sum += f64::from(w[tap * channels + channel]) * f64::from(x[from]);
                    }
                }
                out.push(sum.clamp(0.0, 6.0) as f32);
            }
        }
    }
    out
}

#[test]
fn depthwise_follows_the_definition() {
    // Images, height, width, channels; kernel, stride, zeros before and after.
    let table = [
        ([1, 1, 1, 8], (3, 1, 1, 1)),
        ([2, 9, 7, 24], (3, 2, 0, 1)),
        ([1, 8, 13, 40], (5, 1, 2, 2)),
        ([1, 15, 16, 72], (5, 2, 1, 2)),
        ([1, 15, 15, 33], (5, 2, 2, 2)),
        ([3, 4, 3, 7], (3, 1, 1, 1)),
        ([1, 56, 56, 240], (3, 2, 0, 1)),
    ];
    for device in devices() {
        for (shape, (kernel, stride, before, after)) in table {
            let window = Window {
                kernel,
                stride,
                before,
                after,
            };
            let data = [
                uniform(shape, 1),
                uniform([kernel * kernel, shape[3]], 2),
                uniform([shape[3]], 3),
            ];
            let [x, w, bias] = data.clone().map(|data| numbers(&data));
            let expected = depthwise_f64(&x, &w, &bias, shape, window);
            let [x, w, bias] = data;
            let x = Tensor::<4>::from_data(x, &device);
            let (w, bias) = (
                Tensor::from_data(w, &device),
                Tensor::from_data(bias, &device),
            );
            let what = format!("{device:?} {shape:?} {window:?}");
            let actual = ops::depthwise(x.clone(), w.clone(), bias.clone(), window);
            assert_close(
                &floats(actual),
                &expected,
                product_bar(&device, SUMS),
                &what,
            );
            if device == Device::flex() {
                let plain = reference::depthwise(x, w, bias, window);
                assert_close(
                    &floats(plain),
                    &expected,
                    product_bar(&device, SUMS),
                    &format!("plain {what}"),
                );
            }
        }
    }
}

#[test]
fn pointwise_follows_the_definition() {
    // Pixels, channels in and out.
    for (m, k, n) in [
        (1, 16, 8),
        (49, 27, 32),
        (130, 144, 40),
        (7, 1152, 192),
        (33, 24, 1280),
    ] {
        for device in devices() {
            for (adds, clamp) in [(false, true), (true, false)] {
                let data = [uniform([m, k], 1), uniform([n, k], 2), uniform([m, n], 4)];
                let bias = uniform([n], 3);
                let [x, w, added] = data.clone().map(|data| numbers(&data));
                let shift = numbers(&bias);
                let value = |at: usize| {
                    let (row, column) = (at / n, at % n);
                    let products =
                        (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(w[column * k + i]));
                    let mut sum = products.sum::<f64>() + f64::from(shift[column]);
                    if adds {
                        sum += f64::from(added[at]);
                    }
                    (if clamp { sum.clamp(0.0, 6.0) } else { sum }) as f32
                };
                let expected: Vec<f32> = (0..m * n).map(value).collect();
                let [x, w, added] = data.map(|data| Tensor::<2>::from_data(data, &device));
                let bias = Tensor::<1>::from_data(bias, &device);
                let actual =
                    ops::pointwise(x, &ConvWeights::new(w, bias), adds.then_some(added), clamp);
                let what = format!("{device:?} [{m}, {k}] to {n}");
                assert_close(
                    &floats(actual),
                    &expected,
                    product_bar(&device, SUMS),
                    &what,
                );
            }
        }
    }
}

#[test]
fn the_stem_follows_the_definition() {
    for ([images, height, width], (stride, before, after)) in [
        ([1, 7, 9], (2, 0, 1)),
        ([2, 32, 33], (2, 1, 1)),
        ([1, 1, 4], (1, 1, 1)),
    ] {
        let window = Window {
            kernel: 3,
            stride,
            before,
            after,
        };
        let channels = 10;
        let data = [
            uniform([images, height, width, 3], 5),
            uniform([channels, 27], 6),
        ];
        let bias = uniform([channels], 7);
        let [x, w] = data.clone().map(|data| numbers(&data));
        let shift = numbers(&bias);
        let (rows, columns) = (window.outputs(height), window.outputs(width));
        let value = |at: usize| {
            let (pixel, channel) = (at / channels, at % channels);
            let (column, row, image) = (
                pixel % columns,
                pixel / columns % rows,
                pixel / columns / rows,
            );
            let mut sum = f64::from(shift[channel]);
            for tap in 0..27 {
                let y = (row * stride + tap / 9)
                    .checked_sub(before)
                    .filter(|y| *y < height);
                let x_at = (column * stride + tap / 3 % 3)
                    .checked_sub(before)
                    .filter(|x| *x < width);
                if let (Some(y), Some(x_at)) = (y, x_at) {
                    let from = ((image * height + y) * width + x_at) * 3 + tap % 3;
                    sum += f64::from(w[channel * 27 + tap]) * f64::from(x[from]);
                }
            }
            sum.clamp(0.0, 6.0) as f32
        };
        let expected: Vec<f32> = (0..images * rows * columns * channels).map(value).collect();
        for device in devices() {
            let [w, x] = [data[1].clone(), data[0].clone()];
            let weights = ConvWeights::new(
                Tensor::from_data(w, &device),
                Tensor::from_data(bias.clone(), &device),
            );
            let actual = ops::stem(Tensor::from_data(x, &device), &weights, window);
            assert_close(
                &floats(actual),
                &expected,
                product_bar(&device, SUMS),
                &format!("{device:?} {window:?}"),
            );
        }
    }
}

/// A feature map and windows in it: rows, columns, width, and left, top, right and bottom of each window.
struct Regions {
    map: Vec<f32>,
    shape: [usize; 3],
    windows: Vec<[usize; 4]>,
}

impl Regions {
    /// Features as they come out of a ReLU, many of them zeros, or of either sign.
    fn new(shape: [usize; 3], seed: u64, signed: bool) -> Self {
        let least = if signed { -1.0f32 } else { 0.0 };
        let map = numbers(&uniform(shape, seed))
            .iter()
            .map(|v| v.max(least))
            .collect();
        let [rows, columns, _] = shape;
        let mut windows = vec![[0, 0, columns, rows]];
        for at in 0..70 {
            let (x, y) = (at * 7 % columns, at * 5 % rows);
            windows.push([
                x,
                y,
                x + 1 + at % (columns - x),
                y + 1 + at * 3 % (rows - y),
            ]);
        }
        Self {
            map,
            shape,
            windows,
        }
    }

    fn sums(&self) -> TensorData {
        let [rows, columns, width] = self.shape;
        let mut sums = vec![0.0f64; (rows + 1) * (columns + 1) * width];
        let place =
            |row: usize, column: usize, d: usize| (row * (columns + 1) + column) * width + d;
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            for d in 0..width {
                sums[place(row + 1, column + 1, d)] =
                    f64::from(self.map[(row * columns + column) * width + d])
                        + sums[place(row, column + 1, d)]
                        + sums[place(row + 1, column, d)]
                        - sums[place(row, column, d)];
            }
        }
        let sums: Vec<f32> = sums.into_iter().map(|v| v as f32).collect();
        TensorData::new(sums, [rows + 1, columns + 1, width])
    }

    fn score(&self, window: [usize; 4], template: &[f32], large: f32, root: bool) -> f32 {
        let [_, columns, width] = self.shape;
        let [left, top, right, bottom] = window;
        let feature = |d: usize| -> f64 {
            let cells = (top..bottom).flat_map(|r| (left..right).map(move |c| (r, c)));
            cells
                .map(|(r, c)| f64::from(self.map[(r * columns + c) * width + d]))
                .sum()
        };
        let value = |d: usize| match root {
            true => feature(d).max(0.0).sqrt(),
            false => feature(d),
        };
        let values: Vec<f64> = (0..width).map(value).collect();
        let length = values.iter().map(|v| v * v).sum::<f64>().max(1e-18).sqrt();
        let dot = |first: usize| -> f64 {
            let pairs = values.iter().zip(&template[first..first + width]);
            pairs.map(|(v, t)| v / length * f64::from(*t)).sum()
        };
        let large = f64::from(large);
        (large * dot(0) + (1.0 - large) * dot(width)) as f32
    }
}

#[test]
fn region_scores_follow_the_definition() {
    let shapes = [([1, 1, 8], 1), ([5, 7, 40], 3), ([14, 11, 96], 9)];
    // Square roots of features with signs are those of the positive ones.
    let ways = [(true, false), (true, true), (false, true)];
    let all = shapes.map(|(shape, references)| ways.map(|way| (shape, references, way)));
    for (shape, references, (root, signed)) in all.into_iter().flatten() {
        let regions = Regions::new(shape, 11, signed);
        let templates = uniform([references, 2 * shape[2]], 12);
        let count = regions.windows.len();
        let large: Vec<f32> = (0..count).map(|at| at as f32 % 5.0 / 4.0).collect();
        let rows = numbers(&templates);
        let rows: Vec<&[f32]> = rows.chunks(2 * shape[2]).collect();
        let expected: Vec<f32> = (0..count * references)
            .map(|at| {
                let (window, reference) = (at / references, at % references);
                regions.score(
                    regions.windows[window],
                    rows[reference],
                    large[window],
                    root,
                )
            })
            .collect();
        let corners: Vec<i32> = regions
            .windows
            .iter()
            .flatten()
            .map(|&edge| edge as i32)
            .collect();
        for device in devices() {
            let sums = Tensor::<3>::from_data(regions.sums(), &device);
            let corners = TensorData::new(corners.clone(), [count, 4]);
            let corners = Tensor::<2, Int>::from_data(corners, &device);
            let templates = Tensor::<2>::from_data(templates.clone(), &device);
            let large = Tensor::<1>::from_data(TensorData::new(large.clone(), [count]), &device);
            let what = format!("{device:?} {shape:?}, root {root}, signed {signed}");
            // A sum over a window is a difference of sums over the map, so small ones lose digits.
            let tolerance = 1e-3;
            let actual = ops::region_scores(
                sums.clone(),
                corners.clone(),
                templates.clone(),
                large.clone(),
                root,
            );
            assert_close(&floats(actual), &expected, tolerance, &what);
            let plain = reference::region_scores(sums, corners, templates, large, root);
            assert_close(
                &floats(plain),
                &expected,
                tolerance,
                &format!("plain {what}"),
            );
        }
    }
}

#[test]
fn a_bottleneck_in_strips_is_its_three_convolutions() {
    // Images, height, width, channels in, inner and out; kernel and stride; residual. The widest has strips of a few rows.
    let table = [
        ([1, 1, 1], [8, 48, 8], (3, 1), true),
        ([2, 9, 7], [5, 30, 4], (5, 2), false),
        ([1, 4, 300], [16, 96, 24], (3, 2), false),
        ([1, 61, 400], [24, 144, 24], (3, 1), true),
        ([1, 50, 403], [32, 32, 16], (3, 1), false),
        ([1, 45, 210], [40, 240, 40], (5, 1), true),
        ([1, 47, 211], [24, 144, 40], (5, 2), false),
        ([1, 3, 5000], [8, 48, 8], (5, 1), true),
    ];
    for device in devices() {
        for ([images, height, width], [input, inner, output], (kernel, stride), residual) in table {
            let weights = |rows: usize, depth: usize, seed| {
                let weight = Tensor::from_data(uniform([rows, depth], seed), &device);
                ConvWeights::new(
                    weight,
                    Tensor::from_data(uniform([rows], seed + 1), &device),
                )
            };
            let (expand, project) = (weights(inner, input, 1), weights(output, inner, 3));
            let x = Tensor::<4>::from_data(uniform([images, height, width, input], 5), &device);
            let (depthwise, window) = depthwise_of(inner, kernel, stride, &device);
            let block = || ops::Bottleneck {
                expand: (inner != input).then_some(&expand),
                depthwise: depthwise.clone(),
                window,
                project: &project,
                residual,
            };
            let strips = numbers(&ops::bottleneck(x.clone(), block()).into_data());
            let whole = numbers(&ops::one_by_one(x, block()).into_data());
            // The same loops over the same numbers.
            assert_eq!(
                strips, whole,
                "{height} x {width}, {input} to {inner} to {output}, {kernel} by {stride}"
            );
        }
    }
}
