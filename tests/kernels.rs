//! Every fast path against the plain-burn body on the CPU, over a table of shapes.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use namelens_engine::ops::{self, QuantKind, reference};
use namelens_tests::{
    KINDS, assert_close, fast_devices, floats, gpus, ints, is_cuda, product_bar, random_blocks,
    uniform,
};

/// Sums of up to a few thousand terms near 1, each rounded to 2^-24, in two different orders.
const SUMS: f32 = 2e-6;
/// Products of packed matrices on the CPU, whose activations have 16 bits: half a step of 1/32767 of the largest of 32 columns is
/// 1.5e-5, and signs differ.
const ROUNDED: f32 = 3e-5;
/// One division of a few exact products.
const DIVISION: f32 = 1e-6;

#[test]
fn quant_matvec_matches_the_plain_body() {
    // M, N, K: one of each, odd numbers of blocks (rows end in half a word), ragged rows, more
    // activations than the matvec path takes, several ragged tiles each way, and more than 65535 workgroups.
    let table: [(_, _, usize); 12] = [
        (1, 1, 32),
        (1, 7, 96),
        (2, 33, 576),
        (5, 64, 1536),
        (8, 3, 4064),
        (11, 9, 64),
        (40, 70, 96),
        (33, 64, 576),
        (130, 200, 96),
        (1, 131_075, 32),
        // Whole blocks of all kinds.
        (1, 9, 256),
        (70, 65, 512),
    ];
    for kind in KINDS {
        for (m, n, k) in table {
            if !k.is_multiple_of(kind.block_len()) {
                continue;
            }
            let x = uniform([m, k], 4);
            let flex = random_blocks(kind, n, k, &Device::flex());
            let expected = floats(reference::quant_matvec(
                Tensor::from_data(x.clone(), &Device::flex()),
                &flex,
            ));
            let bars = [ROUNDED].into_iter().chain(std::iter::repeat(SUMS));
            for (device, bar) in fast_devices().into_iter().zip(bars) {
                let w = random_blocks(kind, n, k, &device);
                let x = Tensor::<2>::from_data(x.clone(), &device);
                let actual = floats(ops::quant_matvec(x, &w));
                assert_close(
                    &actual,
                    &expected,
                    product_bar(&device, bar),
                    &format!("{device:?} {kind:?} [{m}, {n}, {k}]"),
                );
            }
        }
    }
}

#[test]
fn quant_linear_keeps_the_leading_axes() {
    let device = Device::flex();
    let w = random_blocks(QuantKind::Q8_0, 5, 32, &device);
    // 2 x 3 rows stay below the limit of the matvec path, 4 x 3 go over it.
    for batch in [2, 4] {
        let x = Tensor::<3>::from_data(uniform([batch, 3, 32], 18), &device);
        let expected = floats(reference::quant_matvec(
            x.clone().reshape([batch * 3, 32]),
            &w,
        ));
        let actual = ops::quant_linear(x, &w, None);
        assert_eq!(actual.dims(), [batch, 3, 5]);
        assert_close(&floats(actual), &expected, ROUNDED, &format!("{batch} x 3"));
    }
}

#[test]
fn a_view_of_a_tensor_gives_what_its_copy_gives() {
    for device in fast_devices() {
        let w = random_blocks(QuantKind::Q4_0, 5, 64, &device);
        let x = Tensor::<2>::from_data(uniform([64, 3], 6), &device).transpose();
        let copy = Tensor::<2>::from_data(x.clone().into_data(), &device);
        let expected = floats(ops::quant_matvec(copy, &w));
        let actual = floats(ops::quant_matvec(x, &w));
        assert_eq!(actual, expected, "{device:?}");
    }
}

#[test]
fn cosine_top_k_matches_the_plain_body() {
    // Q, N, D, k: single, all rows, ragged widths, several chunks, more than 65535 workgroups, and a
    // k that the kernel leaves.
    let table = [
        (1, 1, 1, 1),
        (2, 10, 33, 10),
        (3, 513, 64, 7),
        (2, 9_001, 5, 11),
        (1, 131_073, 3, 2),
        (1, 520, 8, 513),
    ];
    for (count, rows, width, k) in table {
        let data = [uniform([count, width], 7), uniform([rows, width], 8)];
        let tensors = |device: &Device| {
            data.clone()
                .map(|data| Tensor::<2>::from_data(data, device))
        };
        let [queries, index] = tensors(&Device::flex());
        let (expected, expected_ids) = reference::cosine_top_k(queries, index, k);
        let (expected, expected_ids) = (floats(expected), ints(expected_ids));
        for device in fast_devices() {
            let [queries, index] = tensors(&device);
            let (scores, ids) = ops::cosine_top_k(queries, index, k);
            let what = format!("{device:?} [{count}, {rows}, {width}] k {k}");
            assert_close(
                &floats(scores),
                &expected,
                product_bar(&device, SUMS),
                &what,
            );
            // Rows of near-equal scores may change places; this wide there are none, where scores are not rounded.
            if width > 3 && !is_cuda(&device) {
                assert_eq!(ints(ids), expected_ids, "{what}");
            }
        }
    }
}

#[test]
fn cosine_scores_match_the_plain_body() {
    // Q, N, D: single, ragged tiles and widths, more rows than a workgroup dimension holds.
    for (count, rows, width) in [
        (1, 1, 1),
        (3, 5, 7),
        (146, 1_003, 128),
        (2, 9, 33),
        (1, 131_073, 3),
    ] {
        let mut data = [uniform([count, width], 7), uniform([rows, width], 8)];
        if rows > 4 {
            let index = data[1].as_mut_slice::<f32>().unwrap();
            index[width..2 * width].fill(0.0);
            index[4 * width] = f32::NAN;
        }
        if count > 1 {
            // A zero query has no cosine with a row that is no number.
            data[0].as_mut_slice::<f32>().unwrap()[width..2 * width].fill(0.0);
        }
        let tensors = |device: &Device| {
            data.clone()
                .map(|data| Tensor::<2>::from_data(data, device))
        };
        let [queries, index] = tensors(&Device::flex());
        let expected = floats(reference::cosine_scores(queries, index));
        assert!(rows < 5 || (expected[1], expected[4]) == (0.0, -2.0));
        for device in fast_devices() {
            let [queries, index] = tensors(&device);
            let what = format!("{device:?} [{count}, {rows}, {width}]");
            assert_close(
                &floats(ops::cosine_scores(queries, index)),
                &expected,
                product_bar(&device, SUMS),
                &what,
            );
        }
    }
}

#[test]
fn top_k_takes_the_largest_in_order() {
    for (rows, columns, k) in [(1, 1, 1), (3, 700, 512), (2, 9_001, 11), (1, 600, 600)] {
        let mut scores = uniform([rows, columns], 9);
        // Coarse scores tie often.
        for score in scores.as_mut_slice::<f32>().unwrap() {
            // No negative zero: it equals zero, and only the order of the sort tells them apart.
            *score = (*score * 50.0).round() + 0.0;
        }
        let mut expected = Vec::new();
        for row in scores.as_slice::<f32>().unwrap().chunks_exact(columns) {
            let mut order: Vec<usize> = (0..columns).collect();
            // Minus zero is among them, and equals zero.
            order.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).unwrap().then(a.cmp(&b)));
            expected.extend(order[..k].iter().map(|&at| (row[at], at as i64)));
        }
        for device in fast_devices() {
            let (best, ids) = ops::top_k(Tensor::from_data(scores.clone(), &device), k);
            let got: Vec<(f32, i64)> = floats(best).into_iter().zip(ints(ids)).collect();
            assert_eq!(got, expected, "{device:?} [{rows}, {columns}] k {k}");
        }
    }
}

/// The best k rows for the query [2, 0], by `f`.
fn top_k(device: &Device, rows: &[[f32; 2]], k: usize, f: TopK) -> (Vec<f32>, Vec<i64>) {
    let index = TensorData::new(rows.concat(), [rows.len(), 2]);
    let query = Tensor::from_data([[2.0, 0.0]], device);
    let (scores, ids) = f(query, Tensor::from_data(index, device), k);
    (floats(scores), ints(ids))
}

type TopK = fn(Tensor<2>, Tensor<2>, usize) -> (Tensor<2>, Tensor<2, Int>);

#[test]
fn cosine_top_k_takes_the_lower_row_of_a_tie() {
    // 10,000 rows cross the chunks of the kernel; ties sit in different ones.
    let mut rows = vec![[-1.0, 0.0]; 10_000];
    for tie in [9_999, 4_096, 17, 4_095] {
        rows[tie] = [3.0, 0.0];
    }
    rows[9_000] = [1.0, 1.0];
    let ids = [17, 4_095, 4_096, 9_999, 9_000, 0, 1];
    let scores = [1.0, 1.0, 1.0, 1.0, f32::sqrt(0.5), -1.0, -1.0];
    for device in fast_devices() {
        let best = top_k(&device, &rows, 7, ops::cosine_top_k);
        assert_eq!(best.1, ids, "{device:?}");
        assert_close(
            &best.0,
            &scores,
            product_bar(&device, DIVISION),
            &format!("{device:?}"),
        );
    }
    assert_eq!(
        top_k(&Device::flex(), &rows, 7, reference::cosine_top_k).1,
        ids,
        "plain"
    );
}

#[test]
fn cosine_top_k_ranks_zeros_above_opposites_and_nans_last() {
    let rows = [[-5.0, 0.0], [f32::NAN, 1.0], [0.0, 0.0], [0.1, 0.0]];
    let check = |best: (Vec<f32>, Vec<i64>), what: &str| {
        assert_eq!(best.1, [3, 2, 0, 1], "{what}");
        assert_close(&best.0, &[1.0, 0.0, -1.0, -2.0], DIVISION, what);
    };
    for device in fast_devices() {
        check(
            top_k(&device, &rows, 4, ops::cosine_top_k),
            &format!("{device:?}"),
        );
        check(
            top_k(&device, &rows, 4, reference::cosine_top_k),
            &format!("plain {device:?}"),
        );
    }
}

#[test]
fn plain_bodies_run_on_a_gpu_too() {
    // CUDA takes them; the runtime below is the same, so a GPU without it stands in.
    for gpu in gpus() {
        plain_bodies_agree([&gpu, &Device::flex()]);
    }
}

fn plain_bodies_agree(both: [&Device; 2]) {
    let [on_gpu, on_flex] = both.map(|device| {
        let w = random_blocks(QuantKind::Q8_0, 3, 96, device);
        floats(reference::quant_matvec(
            Tensor::from_data(uniform([2, 96], 13), device),
            &w,
        ))
    });
    assert_close(
        &on_gpu,
        &on_flex,
        product_bar(both[0], SUMS),
        "quant_matvec",
    );

    let [on_gpu, on_flex] = both.map(|device| {
        let [queries, index] =
            [[2, 8], [20, 8]].map(|shape| Tensor::from_data(uniform(shape, 14), device));
        ints(reference::cosine_top_k(queries, index, 4).1)
    });
    assert_eq!(on_gpu, on_flex, "cosine_top_k");
}

#[test]
fn tensors_of_an_autodiff_device_are_taken_off_their_graph() {
    let device = Device::flex().autodiff();
    let boxes = Tensor::<2>::from_data([[0.0, 0.0, 1.0, 1.0]], &device).require_grad();
    let iou = ops::pairwise_iou(boxes.clone(), boxes);
    assert!(!iou.is_autodiff());
    let w = random_blocks(QuantKind::Q4_0, 3, 32, &device);
    let x = Tensor::<2>::from_data(uniform([1, 32], 17), &device);
    assert_eq!(ops::quant_matvec(x, &w).dims(), [1, 3]);
}
