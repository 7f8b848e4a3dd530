//! How photos are prepared, in the metadata of a vision projector: llama.cpp's keys, and one of ours for what they cannot say.

use serde_json::{Value as Json, json};

use super::config::Config;
use super::processor::ImageProcessor;
use crate::weights::{Array, Metadata, Value};
use crate::{Error, Result};

/// An image processor's JSON, where llama.cpp's keys do not tell all of it.
const OURS: &str = "namelens.image_processor";
const KINDS: [&str; 2] = ["clip.projector_type", "clip.vision.projector_type"];
const SIDE: &str = "clip.vision.image_size";
const LONGEST: &str = "clip.vision.preproc_image_size";
const LEAST: &str = "clip.vision.image_min_pixels";
const MOST: &str = "clip.vision.image_max_pixels";
const PATCH: &str = "clip.vision.patch_size";
const MERGE: &str = "clip.vision.spatial_merge_size";
const MEAN: &str = "clip.vision.image_mean";
const STD: &str = "clip.vision.image_std";
/// What errors call the file.
const FILE: &str = "GGUF metadata";
/// Visual tokens llama.cpp lets a photo of Qwen-VL become, where the file does not say.
const TOKENS: [u64; 2] = [8, 4096];

impl ImageProcessor {
    /// Reads the metadata of a vision projector.
    ///
    /// # Errors
    /// [`Error::Config`] with the key that cannot be used.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        match metadata.str(OURS) {
            Some(json) => Self::from_json(FILE, json),
            None => Self::from_json(FILE, &from_keys(metadata)?.to_string()),
        }
    }

    /// Writes the image processor of a checkpoint folder into the metadata of its vision projector; `read` gives the text
    /// of a file, if there. Reading it back gives the same processor.
    ///
    /// # Errors
    /// As [`Self::from_folder`].
    pub fn to_gguf(
        read: &dyn Fn(&str) -> Result<Option<String>>,
        metadata: &mut Metadata,
    ) -> Result<()> {
        let (file, json) = Self::source(read)?;
        let wanted = Self::from_json(file, &json)?;
        let config = Config::parse(file, &json)?;
        let part = config.json();
        let pixels = |key: &str, edge: &str| {
            let whole = part.get(key).or_else(|| part.get("size")?.get(edge));
            whole
                .and_then(Json::as_u64)
                .and_then(|n| u32::try_from(n).ok())
        };
        let mut set = |key: &str, number: Option<u32>| {
            if let Some(number) = number {
                metadata.set(key, Value::U32(number));
            }
        };
        if wanted.unit().is_some() {
            set(LEAST, pixels("min_pixels", "shortest_edge"));
            set(MOST, pixels("max_pixels", "longest_edge"));
        } else {
            set(LONGEST, pixels("", "longest_edge"));
        }
        for (key, ours) in [(MEAN, "image_mean"), (STD, "image_std")] {
            let numbers = part.get(ours).and_then(Json::as_array);
            let numbers: Option<Vec<f32>> =
                numbers.and_then(|n| n.iter().map(|n| Some(n.as_f64()? as f32)).collect());
            if let Some(numbers) = numbers {
                metadata.set(key, Value::Array(Array::F32(numbers)));
            }
        }
        let told = Self::from_gguf(metadata);
        if told.ok().as_ref() != Some(&wanted) {
            metadata.set(OURS, Value::String(part.to_string()));
        }
        Ok(())
    }
}

/// The JSON of a Hugging Face image processor that does what llama.cpp's keys say.
fn from_keys(metadata: &Metadata) -> Result<Json> {
    let number = |key: &str, otherwise: Option<u64>| match metadata.get(key) {
        None => otherwise.ok_or_else(|| fail(key, "is missing; convert the model again")),
        Some(_) => metadata
            .u64(key)
            .ok_or_else(|| fail(key, "must be a whole number")),
    };
    let kind = KINDS.iter().find_map(|key| metadata.str(key));
    let mut json = match kind {
        Some("idefics3") => {
            let side = number(SIDE, None)?;
            json!({
                "image_processor_type": "Idefics3ImageProcessor",
                "max_image_size": { "longest_edge": side },
                "size": { "longest_edge": number(LONGEST, Some(side.saturating_mul(4)))? },
            })
        }
        _ => {
            let (patch, merge) = (number(PATCH, None)?, number(MERGE, Some(2))?);
            let area = patch.saturating_mul(merge).saturating_pow(2);
            let [least, most] = TOKENS.map(|tokens| tokens.saturating_mul(area));
            json!({
                "image_processor_type": "Qwen2VLImageProcessor",
                "patch_size": patch,
                "merge_size": merge,
                "min_pixels": number(LEAST, Some(least))?,
                "max_pixels": number(MOST, Some(most))?,
            })
        }
    };
    for (key, name) in [(MEAN, "image_mean"), (STD, "image_std")] {
        match metadata.array(key) {
            None if metadata.get(key).is_none() => {}
            Some(Array::F32(numbers)) if numbers.len() == 3 => json[name] = json!(numbers),
            _ => return Err(fail(key, "must be three numbers")),
        }
    }
    Ok(json)
}

fn fail(key: &str, problem: &str) -> Error {
    Error::Config {
        file: FILE.into(),
        key: key.into(),
        problem: problem.into(),
    }
}
