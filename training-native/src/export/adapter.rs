//! Writes an adapter as PEFT does: `adapter_config.json` and `adapter_model.safetensors`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use namelens_engine::model::lora::SavedAdapter;

use crate::bundle::write_safetensors;

/// Writes both files into `folder`, which is made where it is missing.
///
/// # Errors
/// When a file cannot be written.
pub fn write_adapter(folder: &Path, adapter: &SavedAdapter) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    write_safetensors(&folder.join("adapter_model.safetensors"), &adapter.tensors)?;
    let config = folder.join("adapter_config.json");
    fs::write(&config, &adapter.config)
        .with_context(|| format!("cannot write {}", config.display()))
}
