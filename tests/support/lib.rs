//! Shared helpers of the cross-crate tests: devices, seeded data, comparisons that say where.

pub mod album;
mod blocks;
pub mod gguf;
pub mod golden;
mod pixels;
pub mod prompts;
pub mod rl;
pub mod sketch;

pub use blocks::{KINDS, random_blocks};
#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind;
use burn::tensor::{Device, Int, Shape, Tensor, TensorData};
#[cfg(feature = "wgpu")]
use namelens_engine::kernels;
use namelens_engine::ops::Window;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The wgpu device whose kernels are under test; a software adapter (Mesa's lavapipe) will do.
///
/// # Panics
/// Without a Vulkan adapter, or when its shaders are not compiled from WGSL: a test that needs
/// the GPU fails rather than passing unseen.
#[cfg(feature = "wgpu")]
pub fn wgpu() -> Device {
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    assert!(
        kernels::available(&device),
        "no WGSL device for {device:?}: install a Vulkan driver (mesa-vulkan-drivers)"
    );
    device
}

/// The GPUs under test: wgpu's, and CUDA's where this build has it.
#[cfg(feature = "wgpu")]
pub fn gpus() -> Vec<Device> {
    vec![
        wgpu(),
        #[cfg(feature = "cuda")]
        Device::cuda(0usize),
    ]
}

/// The CPU, then every GPU under test.
#[cfg(feature = "wgpu")]
pub fn fast_devices() -> Vec<Device> {
    [vec![Device::flex()], gpus()].concat()
}

/// How far one product may be off on CUDA, where burn rounds both factors to the ten bits of TF32, 5e-4 of each, and has no way to
/// turn that off; and how far what many layers make of such products, in deviations or as a share of a gradient.
const TF32: [f32; 2] = [2e-3, 0.1];

/// What whole steps of training are held to the reference on: the CPU and wgpu.
pub fn training_devices() -> Vec<Device> {
    vec![
        Device::flex(),
        #[cfg(feature = "wgpu")]
        wgpu(),
    ]
}

/// The bar of one product on a device: `exact` where factors are f32.
pub fn product_bar(device: &Device, exact: f32) -> f32 {
    if is_cuda(device) { TF32[0] } else { exact }
}

/// The bar of a whole network on a device: `exact` where the factors of its products are f32.
pub fn network_bar(device: &Device, exact: f32) -> f32 {
    if is_cuda(device) { TF32[1] } else { exact }
}

/// Whether a device is a GPU by CUDA.
pub fn is_cuda(device: &Device) -> bool {
    format!("{device:?}").contains("Cuda")
}

/// Numbers in -1..1, the same for the same seed on every machine.
pub fn uniform(shape: impl Into<Shape>, seed: u64) -> TensorData {
    let shape = shape.into();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // 24 bits fill a float's mantissa.
    let number = |bits: u32| (bits >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let values: Vec<f32> = (0..shape.num_elements())
        .map(|_| number(rng.next_u32()))
        .collect();
    TensorData::new(values, shape)
}

/// Seeded bytes.
pub fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; count];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// The numbers of a float tensor, row-major.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32 tensor")
}

/// The numbers of an integer tensor, row-major, whatever integers its device holds.
pub fn ints<const D: usize>(tensor: Tensor<D, Int>) -> Vec<i64> {
    tensor.into_data().iter::<i64>().collect()
}

/// How far two numbers are from each other; infinite where one is not finite, so that no bar lets it pass and no maximum drops it.
pub fn gap(actual: f32, expected: f32) -> f32 {
    match actual.is_finite() && expected.is_finite() {
        true => (actual - expected).abs(),
        false => f32::INFINITY,
    }
}

/// The largest [`gap`] of two lists of numbers.
///
/// # Panics
/// When they are not equally long.
pub fn largest_gap(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len(), "number of elements");
    let pairs = actual.iter().zip(expected);
    pairs.map(|(a, e)| gap(*a, *e)).fold(0.0, f32::max)
}

/// Asserts that every number is within `tolerance` times the largest expected magnitude (at
/// least 1) of what is expected. NaN is never close.
///
/// # Panics
/// With `what`, the place and both numbers where it is not.
pub fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}: number of elements");
    let scale = expected
        .iter()
        .fold(1.0_f32, |largest, x| largest.max(x.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let close = (a - e).abs() <= tolerance * scale;
        assert!(
            close,
            "{what}: element {i} is {a}, not {e} (within {tolerance} x {scale})"
        );
    }
}

/// Weights `[kernel * kernel, C]` and bias `[C]` of a depthwise convolution over maps of `channels`, and its window, which begins and ends half
/// a kernel beyond them.
pub fn depthwise_of(
    channels: usize,
    kernel: usize,
    stride: usize,
    device: &Device,
) -> ((Tensor<2>, Tensor<1>), Window) {
    let window = Window {
        kernel,
        stride,
        before: kernel / 2,
        after: kernel / 2,
    };
    let weights = Tensor::from_data(uniform([kernel * kernel, channels], 6), device);
    let bias = Tensor::from_data(uniform([channels], 7), device);
    ((weights, bias), window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_infinitely_far() {
        assert_eq!(largest_gap(&[1.0, 2.5, 3.0], &[1.0, 2.0, 3.25]), 0.5);
        for harm in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in 0..3 {
                let mut values = [1.0, 2.0, 3.0];
                values[at] = harm;
                assert_eq!(largest_gap(&values, &[1.0, 2.0, 3.0]), f32::INFINITY);
                assert_eq!(largest_gap(&[1.0, 2.0, 3.0], &values), f32::INFINITY);
                assert_eq!(golden::distance(&values, &[1.0, 2.0, 3.0]), f32::INFINITY);
                assert_eq!(golden::distance(&[1.0, 2.0, 3.0], &values), f32::INFINITY);
            }
        }
        // Of nothing no distance is known, nor in deviations of what has none.
        assert_eq!(golden::distance(&[], &[]), f32::INFINITY);
        assert_eq!(golden::distance(&[2.0, 2.0], &[2.0, 2.0]), f32::INFINITY);
    }
}
