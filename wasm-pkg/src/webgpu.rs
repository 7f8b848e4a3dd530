//! The WebGPU device of this worker.

use std::cell::RefCell;

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuBackend;
use namelens_engine::Error;
use wasm_bindgen::JsValue;

use crate::error::to_js;

/// Dispatches that are handed to the GPU at a time; burn's 32 cost a token of thirty layers nine hand-overs of a quarter of a millisecond
/// each. No more than half a token of such a model, so that the GPU works on the first while the second is made ready.
const TASKS: usize = 128;

thread_local! {
    /// burn registers one device a module, so a second engine shares the first one's.
    static WEBGPU: RefCell<Option<Device>> = const { RefCell::new(None) };
}

/// The device, opened at the first call.
///
/// # Errors
/// `no-adapter` where the browser has none to give.
pub(crate) async fn open() -> Result<Device, JsValue> {
    if let Some(device) = WEBGPU.with_borrow(Clone::clone) {
        return Ok(device);
    }
    let device = Device::wgpu_options()
        .graphics_api(WgpuBackend::WebGpu)
        .tasks_max(TASKS)
        .init_async()
        .await
        .map_err(|error| {
            to_js(&Error::NoAdapter {
                problem: format!("{error:?}; use device `cpu`"),
            })
        })?;
    WEBGPU.set(Some(device.clone()));
    Ok(device)
}
