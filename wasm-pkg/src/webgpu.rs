//! The WebGPU device of this worker.

use std::cell::RefCell;

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuBackend;
use namelens_engine::Error;
use wasm_bindgen::JsValue;

use crate::error::to_js;

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
