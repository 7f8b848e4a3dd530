//! Inside a browser's worker both devices of the engine start, compute and are read back without blocking.
#![cfg(target_family = "wasm")]
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Tensor};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

// Where the engine lives in the page, too.
wasm_bindgen_test_configure!(run_in_dedicated_worker);

const ROWS: usize = 5;
const INNER: usize = 67;
const COLUMNS: usize = 33;

/// Small whole numbers: every product and sum is exact in f32, so both devices must give the very same values.
fn matrix(rows: usize, columns: usize, seed: usize) -> Vec<f32> {
    (0..rows * columns)
        .map(|i| ((i * 7 + seed) % 11) as f32 - 5.0)
        .collect()
}

/// The product on a device against a plain loop; the sizes are ragged, so edges of tiles are met.
async fn multiplies(device: &Device) {
    let (a, b) = (matrix(ROWS, INNER, 1), matrix(INNER, COLUMNS, 4));
    let tensor =
        |values: &[f32], shape: [usize; 2]| Tensor::<1>::from_floats(values, device).reshape(shape);
    let product = tensor(&a, [ROWS, INNER]).matmul(tensor(&b, [INNER, COLUMNS]));
    let found: Vec<f32> = product
        .into_data_async()
        .await
        .unwrap()
        .try_to_vec()
        .unwrap();
    let expected: Vec<f32> = (0..ROWS * COLUMNS)
        .map(|i| {
            (0..INNER)
                .map(|k| a[i / COLUMNS * INNER + k] * b[k * COLUMNS + i % COLUMNS])
                .sum()
        })
        .collect();
    assert_eq!(found, expected);
}

#[wasm_bindgen_test]
async fn the_cpu_multiplies() {
    multiplies(&Device::flex()).await;
}

#[wasm_bindgen_test]
async fn webgpu_multiplies() {
    let device = Device::wgpu_options()
        .graphics_api(WgpuBackend::WebGpu)
        .init_async()
        .await
        .unwrap();
    multiplies(&device).await;
}
