//! Writes weights: safetensors in full or half precision, GGUF pairs as llama.cpp names and orders them.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_layout::GgufLayout;
use namelens_engine::weights::{
    Dtype, Metadata, TensorData, Value, Weights, encode, write_gguf, write_safetensors,
};

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
    weights: &Weights,
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
        return write_dense(weights, &out.join("model.safetensors"), dtype);
    }
    let layout = GgufLayout {
        heads: config.text_config.num_attention_heads,
        kv_heads: config.text_config.num_key_value_heads,
    };
    let parts = [
        ("model.gguf", false, text_metadata(config, dtype)),
        ("mmproj.gguf", true, projector_metadata(config)),
    ];
    for (file, projector, metadata) in parts {
        let tensors = gguf_tensors(weights, layout, dtype, projector)?;
        let path = out.join(file);
        let mut file = BufWriter::new(create(&path)?);
        write_gguf(&mut file, &metadata, &borrowed(&tensors))?;
    }
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

/// The tensors of one of the two files, in llama.cpp's row order; matrices of whole blocks are quantised.
fn gguf_tensors(
    weights: &Weights,
    layout: GgufLayout,
    dtype: Dtype,
    projector: bool,
) -> Result<Vec<Encoded>> {
    let mut tensors = Vec::new();
    for file in weights.files() {
        for tensor in file.tensors() {
            if GgufLayout::in_projector(&tensor.name) != projector {
                continue;
            }
            let mut values = file.read_f32(tensor)?;
            let shape = tensor.shape.clone();
            if let Some(order) = layout.row_order(&tensor.name, shape[0]) {
                let row = values.len() / shape[0];
                let rows = order.iter().flat_map(|&hf| &values[hf * row..][..row]);
                values = rows.copied().collect();
            }
            let blocks = shape.len() == 2 && shape[1].is_multiple_of(dtype.block_len());
            // Positions are added, not multiplied with: llama.cpp keeps them in full, as it does norms and biases.
            let kept = shape.len() == 1 || tensor.name.contains("position_embedding");
            let dtype = match (blocks, kept) {
                (_, true) => Dtype::F32,
                (true, _) => dtype,
                (false, _) => Dtype::F16,
            };
            tensors.push(Encoded {
                name: layout.name(&tensor.name),
                bytes: encode(dtype, &values)?,
                shape,
                dtype,
            });
        }
    }
    Ok(tensors)
}

fn text_metadata(config: &VlmConfig, dtype: Dtype) -> Metadata {
    let text = &config.text_config;
    let number = |value: usize| Value::U32(u32::try_from(value).unwrap_or(u32::MAX));
    // LLAMA_FTYPE_MOSTLY_Q4_0 and _Q8_0
    let file_type = if dtype == Dtype::Q4_0 { 2 } else { 7 };
    Metadata::new()
        .with("general.architecture", Value::String("llama".into()))
        .with("general.name", Value::String(super::MODEL_NAME.into()))
        .with("general.file_type", Value::U32(file_type))
        .with("llama.block_count", number(text.num_hidden_layers))
        .with("llama.context_length", number(text.max_position_embeddings))
        .with("llama.embedding_length", number(text.hidden_size))
        .with("llama.feed_forward_length", number(text.intermediate_size))
        .with(
            "llama.attention.head_count",
            number(text.num_attention_heads),
        )
        .with(
            "llama.attention.head_count_kv",
            number(text.num_key_value_heads),
        )
        .with("llama.rope.dimension_count", number(text.head_dim()))
        .with("llama.rope.freq_base", Value::F32(text.rope_theta as f32))
        .with(
            "llama.attention.layer_norm_rms_epsilon",
            Value::F32(text.rms_norm_eps as f32),
        )
        .with("llama.vocab_size", number(text.vocab_size))
}

fn projector_metadata(config: &VlmConfig) -> Metadata {
    let vision = &config.vision_config;
    let number = |value: usize| Value::U32(u32::try_from(value).unwrap_or(u32::MAX));
    Metadata::new()
        .with("general.architecture", Value::String("clip".into()))
        .with("general.name", Value::String(super::MODEL_NAME.into()))
        .with("clip.has_vision_encoder", Value::Bool(true))
        .with("clip.projector_type", Value::String("idefics3".into()))
        .with("clip.vision.image_size", number(vision.image_size))
        .with("clip.vision.patch_size", number(vision.patch_size))
        .with("clip.vision.embedding_length", number(vision.hidden_size))
        .with(
            "clip.vision.feed_forward_length",
            number(vision.intermediate_size),
        )
        .with("clip.vision.block_count", number(vision.num_hidden_layers))
        .with(
            "clip.vision.attention.head_count",
            number(vision.num_attention_heads),
        )
        .with(
            "clip.vision.attention.layer_norm_epsilon",
            Value::F32(vision.layer_norm_eps as f32),
        )
        .with(
            "clip.vision.projector.scale_factor",
            number(config.scale_factor),
        )
        .with("clip.use_gelu", Value::Bool(true))
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
