//! Writes weights: safetensors in full or half precision, or the captioner as GGUF files.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_config::to_metadata;
use namelens_engine::weights::{
    Dtype, Metadata, TensorData, Value, Weights, encode, write_safetensors,
};

use super::pair::{Types, write_pair};
use crate::stages::contrastive::TRAINING_ONLY;

/// Where a captioner's weights may lie in a bundle: the first, or the other two.
pub const WEIGHT_FILES: [&str; 3] = ["model.safetensors", "model.gguf", "mmproj.gguf"];

/// A tensor ready to be written.
struct Encoded {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

/// Writes the captioner into `out` and removes its weight files of the other kind.
///
/// # Errors
/// When a tensor cannot be read or a file cannot be written.
pub(super) fn write_captioner(
    weights: Weights,
    config: &VlmConfig,
    out: &Path,
    dtype: Dtype,
) -> Result<()> {
    let quantised = matches!(dtype, Dtype::Q8_0 | Dtype::Q4_0);
    for name in WEIGHT_FILES {
        let path = out.join(name);
        if name.ends_with(".gguf") != quantised && path.exists() {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    if !quantised {
        return write_dense(&weights, &out.join("model.safetensors"), dtype);
    }
    let named = || Metadata::new().with("general.name", Value::String(super::MODEL_NAME.into()));
    let (mut text, mut projector) = (named(), named());
    to_metadata(config, &mut text, &mut projector)?;
    let types = Types {
        text: dtype,
        vision: dtype,
        embeddings: dtype,
    };
    let mut source = CheckpointSource::new(weights);
    let described = [text, projector];
    write_pair(
        &mut source,
        config,
        described,
        out,
        types,
        None,
        &mut |_, _| (),
    )?;
    Ok(())
}

/// Writes all tensors as safetensors of one element type, under their own names.
///
/// # Errors
/// When a tensor cannot be read or the file cannot be written.
pub(super) fn write_dense(weights: &Weights, path: &Path, dtype: Dtype) -> Result<()> {
    let mut tensors = Vec::new();
    for file in weights.files() {
        for tensor in file.tensors() {
            if tensor.name.starts_with(TRAINING_ONLY) {
                continue;
            }
            tensors.push(Encoded {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                dtype,
                bytes: encode(dtype, &file.read_f32(tensor)?)?,
            });
        }
    }
    let mut file = BufWriter::new(create(path)?);
    write_safetensors(&mut file, &[("format", "pt")], &borrowed(&tensors))?;
    Ok(())
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn borrowed(tensors: &[Encoded]) -> Vec<TensorData<'_>> {
    tensors
        .iter()
        .map(|tensor| TensorData {
            name: &tensor.name,
            shape: &tensor.shape,
            dtype: tensor.dtype,
            bytes: &tensor.bytes,
        })
        .collect()
}
