//! Which of the fast paths takes a tensor.

#[cfg(feature = "cpu")]
use burn::backend::DispatchDevice;
#[cfg(any(feature = "cpu", feature = "cube"))]
use burn::tensor::{DType, Device};

#[cfg(feature = "cube")]
use crate::kernels;

/// Whether the WGSL kernels take it: they run on this device and all is f32.
#[cfg(feature = "cube")]
pub(super) fn on_kernels(device: &Device, dtypes: &[DType]) -> bool {
    dtypes.iter().all(|&dtype| dtype == DType::F32) && kernels::available(device)
}

/// Whether the direct CPU loops take it.
#[cfg(feature = "cpu")]
pub(super) fn on_flex(device: &Device, dtype: DType) -> bool {
    dtype == DType::F32 && matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}
