//! Boxes: overlap and suppression on every device against the plain body and the definition, over a table of shapes.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor, TensorData};
use namelens_engine::ops::{self, reference};
use namelens_tests::{assert_close, fast_devices, floats, gpus, ints, uniform};

/// One division of a few exact products.
const DIVISION: f32 = 1e-6;

/// Boxes of all sizes, some of them degenerate or NaN.
fn boxes(count: usize, seed: u64) -> TensorData {
    let mut data = uniform([count, 4], seed);
    let sides = data.as_mut_slice::<f32>().unwrap();
    for (i, side) in sides.chunks_exact_mut(4).enumerate() {
        side[2] += side[0] + 0.9;
        side[3] += side[1] + 0.9;
        if i % 50 == 49 {
            side[i % 4] = f32::NAN;
        }
    }
    data
}

#[test]
fn pairwise_iou_matches_the_plain_body() {
    // One pair, ragged, and more than 65535 workgroups.
    for (n, m) in [(1, 1), (3, 130), (257, 63), (2_050, 2_050)] {
        let data = [boxes(n, 9), boxes(m, 10)];
        let tensors = |device: &Device| {
            data.clone()
                .map(|data| Tensor::<2>::from_data(data, device))
        };
        let [a, b] = tensors(&Device::flex());
        let expected = floats(reference::pairwise_iou(a, b));
        for device in gpus() {
            let [a, b] = tensors(&device);
            let actual = floats(ops::pairwise_iou(a, b));
            assert_close(
                &actual,
                &expected,
                DIVISION,
                &format!("{device:?} [{n}, {m}]"),
            );
        }
    }
}

#[test]
fn pairwise_iou_of_known_boxes() {
    let unit = [0.0, 0.0, 2.0, 2.0];
    let others = [
        unit,
        [1.0, 1.0, 3.0, 3.0], // shares 1 of 4 + 4 - 1
        [2.0, 0.0, 4.0, 2.0], // touches
        [5.0, 5.0, 6.0, 6.0], // apart
        [1.0, 1.0, 1.0, 2.0], // no width
        [2.0, 2.0, 0.0, 0.0], // inside out
        [f32::NAN, 0.0, 2.0, 2.0],
        [0.5, 0.5, 1.5, 1.5], // inside
    ];
    for device in fast_devices() {
        let a = Tensor::<2>::from_data([unit], &device);
        let b = Tensor::<2>::from_data(others, &device);
        let expected = [1.0, 1.0 / 7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25];
        assert_close(
            &floats(ops::pairwise_iou(a, b)),
            &expected,
            DIVISION,
            &format!("{device:?}"),
        );
    }
}

/// Greedy suppression by the definition, on the host.
fn nms_by_hand(boxes: &[f32], scores: &[f32], threshold: f32) -> Vec<i64> {
    let iou = |a: &[f32], b: &[f32]| {
        let area = |x0: f32, y0: f32, x1: f32, y1: f32| {
            if x1 > x0 && y1 > y0 {
                (x1 - x0) * (y1 - y0)
            } else {
                0.0
            }
        };
        let own = [a, b].map(|s| area(s[0], s[1], s[2], s[3]));
        let shared = area(
            a[0].max(b[0]),
            a[1].max(b[1]),
            a[2].min(b[2]),
            a[3].min(b[3]),
        );
        if own[0] > 0.0 && own[1] > 0.0 {
            shared / (own[0] + own[1] - shared)
        } else {
            0.0
        }
    };
    let side = |i: usize| &boxes[i * 4..][..4];
    let mut order: Vec<usize> = (0..scores.len())
        .filter(|&i| scores[i] > f32::NEG_INFINITY)
        .collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut kept = vec![0; scores.len()];
    let mut winners: Vec<usize> = Vec::new();
    for i in order {
        if winners.iter().all(|&w| iou(side(w), side(i)) <= threshold) {
            winners.push(i);
            kept[i] = 1;
        }
    }
    kept
}

#[test]
fn nms_follows_the_definition() {
    for (count, threshold) in [(1, 0.5), (2, 0.0), (255, 0.3), (300, 0.7)] {
        let boxes = boxes(count, 11);
        let mut scores = uniform([count], 12);
        for (i, score) in scores.as_mut_slice::<f32>().unwrap().iter_mut().enumerate() {
            // Coarse scores tie often.
            *score = if i % 41 == 40 {
                f32::NAN
            } else {
                (*score * 8.0).round()
            };
        }
        let expected = nms_by_hand(
            boxes.as_slice::<f32>().unwrap(),
            scores.as_slice::<f32>().unwrap(),
            threshold,
        );
        for device in fast_devices() {
            let boxes = Tensor::<2>::from_data(boxes.clone(), &device);
            let scores = Tensor::<1>::from_data(scores.clone(), &device);
            let kept = ints(ops::nms(boxes, scores, threshold));
            assert_eq!(kept, expected, "{device:?} {count} boxes at {threshold}");
        }
    }
}

#[test]
fn the_plain_suppression_runs_on_a_gpu_too() {
    // CUDA takes it; the runtime below is the same, so a GPU without it stands in.
    let kept = |device: &Device| {
        let scores = Tensor::from_data(uniform([60], 15), device);
        ints(reference::nms(
            Tensor::from_data(boxes(60, 16), device),
            scores,
            0.4,
        ))
    };
    for gpu in gpus() {
        assert_eq!(kept(&gpu), kept(&Device::flex()), "{gpu:?}");
    }
}
