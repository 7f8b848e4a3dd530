//! Checkpoints of the fixtures as GGUF files, and models read back from them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use burn::tensor::Device;
use namelens::bundle::FileSource;
use namelens::export::{Conversion, Types, Written, convert};
use namelens::gguf_folder::gguf_files;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_layout::GgufLayout;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::weights::{Dtype, WeightFile, Weights};

use crate::golden::Checkpoint;

/// All matrices in one type.
pub fn all(dtype: Dtype) -> Types {
    Types {
        text: dtype,
        vision: dtype,
        embeddings: dtype,
    }
}

/// A checkpoint as GGUF files in a folder of its own.
///
/// # Panics
/// When it cannot be converted.
pub fn converted(
    checkpoint: &Checkpoint,
    types: Types,
    split: Option<u64>,
) -> (tempfile::TempDir, Written) {
    let folder = tempfile::tempdir().unwrap();
    let conversion = Conversion {
        types,
        split,
        force: false,
    };
    let written = convert(&checkpoint.dir, folder.path(), conversion, &mut |_, _| ());
    (
        folder,
        written.unwrap_or_else(|e| panic!("{}: {e:#}", checkpoint.name)),
    )
}

/// The files of the model that `name` belongs to.
///
/// # Panics
/// When one cannot be read.
pub fn weights(folder: &Path, name: &str) -> Weights {
    let mut weights = Weights::new();
    for path in gguf_files(&folder.join(name)).unwrap() {
        let source = Box::new(FileSource::open(&path).unwrap());
        let name = path.display().to_string();
        weights
            .push(WeightFile::open(&name, source).unwrap())
            .unwrap();
    }
    weights
}

/// The captioner that GGUF files hold, blocks kept packed; every tensor is used.
///
/// # Panics
/// When it cannot be read, or a tensor is left over.
pub fn model(weights: Weights, device: &Device) -> (Vlm, VlmConfig) {
    let config = VlmConfig::from_gguf(&weights).unwrap();
    let mut source = CheckpointSource::new(weights)
        .with_layout(GgufLayout::of(&config))
        .keep_blocks(device);
    let vlm = Vlm::new(&mut ParamBuilder::new(&mut source, device), &config).unwrap();
    assert_eq!(source.unused(), Vec::<&str>::new());
    (vlm, config)
}
