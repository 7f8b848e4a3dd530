//! Results read back from the device.

use burn::tensor::Tensor;

use crate::{Error, Result};

/// Reads a tensor back without blocking the thread.
///
/// # Errors
/// [`Error::Device`] when the device failed.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |problem: String| Error::Device { problem };
    let data = tensor
        .into_data_async()
        .await
        .map_err(|error| failed(format!("reading a result failed: {error}")))?;
    data.convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| failed(format!("a result has an unexpected type: {error:?}")))
}
