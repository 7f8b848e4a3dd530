//! The WGSL kernels pass the browser's own compiler and give there what the plain bodies give on the CPU.
#![cfg(target_family = "wasm")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::OnceCell;

use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Int, Tensor, TensorData};
use namelens_engine::kernels;
use namelens_engine::ops::{self, QuantKind, QuantMatrix, reference};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Sums of a few hundred terms near 1 in two orders, and WebGPU's own exp.
const TOLERANCE: f32 = 1e-5;

/// The one WebGPU device: burn registers it once for the life of a module, and tests run one by one.
async fn webgpu() -> Device {
    thread_local! {
        static DEVICE: OnceCell<Device> = const { OnceCell::new() };
    }
    if let Some(device) = DEVICE.with(|cell| cell.get().cloned()) {
        return device;
    }
    let device = Device::wgpu_options()
        .graphics_api(WgpuBackend::WebGpu)
        .init_async()
        .await
        .unwrap();
    // Without this the plain bodies would be compared with themselves.
    assert!(kernels::available(&device), "{device:?} does not take WGSL");
    DEVICE.with(|cell| cell.set(device.clone())).unwrap();
    device
}

/// Seeded bytes (xorshift), the same on every machine.
fn bytes(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        })
        .collect()
}

/// Numbers in -1..1.
fn uniform<const D: usize>(shape: [usize; D], seed: u32) -> TensorData {
    let values = bytes(shape.iter().product(), seed);
    let values: Vec<f32> = values
        .iter()
        .map(|&byte| f32::from(byte) / 128.0 - 1.0)
        .collect();
    TensorData::new(values, shape)
}

/// Boxes with room for overlap: corners in 0..1, sides up to 0.5.
fn boxes(count: usize, seed: u32) -> TensorData {
    let sides = bytes(count * 4, seed);
    let values: Vec<f32> = sides
        .chunks_exact(4)
        .flat_map(|b| {
            let [x, y, w, h] = [b[0], b[1], b[2], b[3]].map(|byte| f32::from(byte) / 256.0);
            [x, y, x + 0.5 * w, y + 0.5 * h]
        })
        .collect();
    TensorData::new(values, [count, 4])
}

async fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data_async()
        .await
        .unwrap()
        .try_to_vec()
        .unwrap()
}

async fn ints<const D: usize>(tensor: Tensor<D, Int>) -> Vec<i64> {
    tensor
        .into_data_async()
        .await
        .unwrap()
        .iter::<i64>()
        .collect()
}

fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        // Phrased so that a NaN fails.
        assert!(
            (a - e).abs() <= TOLERANCE * scale,
            "{what}: {a} instead of {e} at {i}"
        );
    }
}

/// What the browser's compiler has against the kernels, empty where it has nothing. A device that is asked for a kernel it
/// refused says so too late: what comes back is whatever lay in the memory.
async fn refusals() -> String {
    let compile = js_sys::Function::new_with_args(
        "kernels",
        "return (async () => {
            const device = await (await navigator.gpu.requestAdapter()).requestDevice();
            const refusals = [];
            for (const [name, code] of kernels) {
                device.pushErrorScope('validation');
                const module = device.createShaderModule({ code });
                device.createComputePipeline({ layout: 'auto', compute: { module } });
                const error = await device.popErrorScope();
                if (error) refusals.push(`${name}: ${error.message}`);
            }
            device.destroy();
            return refusals.join('\\n');
        })()",
    );
    let texts: js_sys::Array = kernels::all()
        .map(|kernel| js_sys::Array::of2(&kernel.name.into(), &kernel.source().into()))
        .collect();
    let refusals = compile.call1(&JsValue::NULL, &texts).unwrap();
    let refusals = JsFuture::from(js_sys::Promise::from(refusals)).await;
    refusals.unwrap().as_string().unwrap()
}

#[wasm_bindgen_test]
async fn the_browser_compiles_every_kernel() {
    let refusals = refusals().await;
    assert!(refusals.is_empty(), "{refusals}");
}

#[wasm_bindgen_test]
async fn cached_attention() {
    let device = webgpu().await;
    // [B, H, Hkv, T, D], starts, len, queries: a ragged tile, a full cache, one position, rows of two lengths; then with tiles
    // of queries, for narrow heads and wide ones.
    let table: [(_, &[usize], _, _); 6] = [
        ([2, 9, 3, 200, 64], &[0, 0], 131, 1),
        ([1, 4, 4, 128, 80], &[0], 128, 1),
        ([1, 1, 1, 1, 4], &[0], 1, 1),
        ([2, 4, 2, 70, 20], &[33, 0], 70, 1),
        ([2, 4, 2, 70, 20], &[33, 0], 70, 37),
        ([2, 2, 1, 70, 80], &[0, 2], 70, 67),
    ];
    for ([batch, heads, kv_heads, capacity, width], starts, len, queries) in table {
        let run = |device: &Device| {
            let cache = |seed| {
                Tensor::<4>::from_data(uniform([batch, kv_heads, capacity, width], seed), device)
            };
            let q = Tensor::<4>::from_data(uniform([batch, heads, queries, width], 1), device);
            ops::cached_attention(q, cache(2), cache(3), starts, len)
        };
        assert_close(
            &floats(run(&device)).await,
            &floats(run(&Device::flex())).await,
            "cached_attention",
        );
    }
}

#[wasm_bindgen_test]
async fn quantised_products() {
    let device = webgpu().await;
    // A format for each layout in memory, and the halves of its blocks: random bits would hold infinities.
    let kinds: [(_, &[usize]); 5] = [
        (QuantKind::Q8_0, &[0]),
        (QuantKind::Q4_0, &[0]),
        (QuantKind::Q4_1, &[0, 2]),
        (QuantKind::Q4K, &[0, 2]),
        (QuantKind::Q6K, &[208]),
    ];
    for (kind, halves) in kinds {
        // A row, a few, and so many that they are shared out in tiles; of whole blocks.
        for (m, n, k) in [(1, 7, 3), (5, 33, 18), (1, 1, 1), (70, 65, 3)] {
            let k = k * kind.block_len();
            let mut blocks = bytes(n * k / kind.block_len() * kind.block_bytes(), 5);
            for block in blocks.chunks_exact_mut(kind.block_bytes()) {
                // Near 2^-6.
                halves.iter().for_each(|half| block[half + 1] = 0x24);
            }
            let run = |device: &Device| {
                let matrix = QuantMatrix::from_ggml(&blocks, kind, n, k, device).unwrap();
                (Tensor::<2>::from_data(uniform([m, k], 9), device), matrix)
            };
            let (x, matrix) = run(&device);
            let actual = floats(ops::quant_matvec(x, &matrix)).await;
            let (x, matrix) = run(&Device::flex());
            let expected = floats(reference::quant_matvec(x, &matrix)).await;
            assert_close(&actual, &expected, &format!("{kind:?} {m}x{k} by {n}"));
        }
    }
}

#[wasm_bindgen_test]
async fn dense_products_and_an_activation() {
    let device = webgpu().await;
    for (m, n, k) in [(1, 7, 96), (70, 65, 96)] {
        let run = |device: &Device| {
            let tensor = |shape, seed| Tensor::<2>::from_data(uniform(shape, seed), device);
            let bias = Tensor::<1>::from_data(uniform([n], 3), device);
            ops::gelu_tanh(ops::dense_linear(
                tensor([m, k], 1),
                tensor([n, k], 2),
                Some(bias),
            ))
        };
        let actual = floats(run(&device)).await;
        let expected = floats(run(&Device::flex())).await;
        assert_close(&actual, &expected, &format!("{m}x{k} by {n}"));
    }
}

#[wasm_bindgen_test]
async fn similarity() {
    let device = webgpu().await;
    let run = |device: &Device| {
        let queries = Tensor::<2>::from_data(uniform([3, 64], 1), device);
        ops::cosine_top_k(queries, Tensor::from_data(uniform([301, 64], 2), device), 5)
    };
    let (scores, ids) = run(&device);
    let (expected_scores, expected_ids) = run(&Device::flex());
    assert_close(
        &floats(scores).await,
        &floats(expected_scores).await,
        "cosine_top_k",
    );
    assert_eq!(ints(ids).await, ints(expected_ids).await);
}

#[wasm_bindgen_test]
async fn overlap_and_suppression() {
    let device = webgpu().await;
    let cpu = Device::flex();
    let iou = |device: &Device| {
        let tensor = |count, seed| Tensor::<2>::from_data(boxes(count, seed), device);
        ops::pairwise_iou(tensor(33, 1), tensor(70, 2))
    };
    assert_close(
        &floats(iou(&device)).await,
        &floats(iou(&cpu)).await,
        "pairwise_iou",
    );
    let kept = |device: &Device| {
        let scores = Tensor::<1>::from_data(uniform([70], 3), device);
        ops::nms(Tensor::from_data(boxes(70, 2), device), scores, 0.3)
    };
    let expected = ints(kept(&cpu)).await;
    let count: i64 = expected.iter().sum();
    assert!(
        0 < count && count < 70,
        "{count} of 70 boxes kept: the case shows nothing"
    );
    assert_eq!(ints(kept(&device)).await, expected);
}
