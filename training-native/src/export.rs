//! From checkpoints to a model bundle: weights, configurations, calibrated thresholds, manifest.

pub mod adapter;
mod convert;
mod divergence;
mod manifest;
mod pair;
mod photo_encoder;
mod weights;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use namelens_engine::model::config::VlmConfig;
use namelens_engine::personalize::ModelFiles;
use namelens_engine::weights::{Dtype, Weights};
use serde_json::{Value, json};

use crate::presets;
use crate::train::checkpoint::latest;
use crate::{bundle, gguf_folder, tokenizer};

pub use convert::{Conversion, convert};
pub use divergence::{Divergence, divergence, kullback_leibler};
pub use pair::{Part, PartReport, Types, Written, write_pair};
pub use photo_encoder::{EncoderConversion, WrittenEncoder, convert_encoder, is_pytorch};
pub use weights::WEIGHT_FILES;

/// Name of the embedded model.
pub const MODEL_NAME: &str = "namelens-playroom";

/// Writes the captioner and the dual encoder of run directory `run` into `out`.
///
/// Quantised types go into GGUF files (the captioner; the dual encoder, whose similarities are calibrated, stays
/// in half precision), the others into safetensors. Weight files of another type are removed from `out`.
///
/// Thresholds are written by [`write_thresholds`], the manifest by [`write_manifest`], in this order.
///
/// # Errors
/// When a checkpoint is missing or a file cannot be written.
pub fn write_bundle(run: &Path, out: &Path, dtype: Dtype) -> Result<()> {
    let retriever = out.join("retriever");
    fs::create_dir_all(&retriever)
        .with_context(|| format!("cannot create {}", retriever.display()))?;
    let image_token = tokenizer::SPECIALS.len() as u32 - 1;
    let config = presets::captioner(image_token);
    write_json(
        &out.join("config.json"),
        &with_architecture(&config, "Idefics3ForConditionalGeneration")?,
    )?;
    write_json(
        &out.join("preprocessor_config.json"),
        &bundle::processor_config(),
    )?;
    write_json(&out.join("tokenizer_config.json"), &tokenizer::config())?;
    write_json(
        &out.join("generation_config.json"),
        &json!({ "do_sample": false, "eos_token_id": 2, "pad_token_id": 0 }),
    )?;
    write_json(
        &out.join("model.json"),
        &json!({
            "name": MODEL_NAME,
            "knows": "the Playroom: drawn toys, pets and things, not real photos",
        }),
    )?;
    fs::write(out.join("chat_template.jinja"), tokenizer::CHAT_TEMPLATE)?;
    fs::copy(run.join("tokenizer.json"), out.join("tokenizer.json"))
        .with_context(|| format!("{} has no tokenizer.json", run.display()))?;
    write_json(
        &retriever.join("config.json"),
        &with_architecture(&presets::dual(), "SiglipModel")?,
    )?;
    let stage = |name: &str| -> Result<Weights> {
        let stage = run.join(name);
        let latest = latest(&stage)?;
        let latest = latest.with_context(|| format!("{} has no checkpoint", stage.display()))?;
        bundle::open_weights(&latest)
    };
    weights::write_captioner(stage("supervised")?, &config, out, dtype)?;
    let encoder = match dtype {
        Dtype::F32 => Dtype::F32,
        _ => Dtype::F16,
    };
    let path = retriever.join("model.safetensors");
    weights::write_dense(&stage("contrastive")?, &path, encoder)
}

/// The empty folder in `out` in which a bundle is made until it is whole.
///
/// # Errors
/// When it cannot be made.
pub fn unfinished(out: &Path) -> Result<PathBuf> {
    let path = out.join(".unfinished");
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Moves a whole bundle out of the folder of [`unfinished`] into `out`, in place of the files and the weights that are there, and
/// writes its manifest; what else is in `out`, such as pages about the model, stays.
///
/// # Errors
/// When a file cannot be moved.
pub fn finish(unfinished: &Path, out: &Path) -> Result<()> {
    for folder in ["", "retriever"] {
        let (from, to) = (unfinished.join(folder), out.join(folder));
        fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
        let mut moved = Vec::new();
        for entry in fs::read_dir(&from)? {
            let path = entry?.path();
            if path.is_file() {
                let name = path.file_name().unwrap_or_default().to_owned();
                fs::rename(&path, to.join(&name))
                    .with_context(|| format!("cannot move {}", path.display()))?;
                moved.push(name);
            }
        }
        // Weights of another type are no part of it any more.
        for name in WEIGHT_FILES {
            if to.join(name).exists()
                && !moved
                    .iter()
                    .any(|moved| moved.as_os_str() == std::ffi::OsStr::new(name))
            {
                fs::remove_file(to.join(name))
                    .with_context(|| format!("cannot remove {name} of {}", to.display()))?;
            }
        }
    }
    fs::remove_dir_all(unfinished)
        .with_context(|| format!("cannot remove {}", unfinished.display()))?;
    write_manifest(out)
}

/// Writes a bundle again with the captioner's weights in another element type; all else is copied.
///
/// # Errors
/// When the bundle is incomplete or already quantised, `out` is the same folder, or a file cannot be written.
pub fn convert_bundle(from: &Path, out: &Path, dtype: Dtype) -> Result<()> {
    let config = VlmConfig::from_json(&bundle::read_text(from, "config.json")?)?;
    if !from.join("model.json").is_file() {
        bail!(
            "{} is no bundle of `namelens export`: it has no model.json; `namelens convert` writes any model's folder anew",
            from.display()
        );
    }
    fs::create_dir_all(out.join("retriever"))
        .with_context(|| format!("cannot create {}", out.display()))?;
    if from.canonicalize()? == out.canonicalize()? {
        bail!("{} would be overwritten while it is read", out.display());
    }
    let source = bundle::open_weights(from)
        .context("only bundles with model.safetensors can be converted")?;
    weights::write_captioner(source, &config, out, dtype)?;
    let beside = NAMES.into_iter().chain(["generation_config.json"]);
    let beside = beside.filter(|name| !WEIGHT_FILES.contains(name) && from.join(name).exists());
    let mut copies: Vec<String> = beside.map(str::to_owned).collect();
    copies.extend(manifest::files_below(from, "retriever")?);
    for name in copies {
        let to = out.join(&name);
        fs::create_dir_all(to.parent().unwrap_or(out))?;
        fs::copy(from.join(&name), to)
            .with_context(|| format!("cannot copy {name} to {}", out.display()))?;
    }
    Ok(())
}

/// Stores the calibrated thresholds.
///
/// # Errors
/// When the file cannot be written.
pub fn write_thresholds(out: &Path, window: f32, whole: f32) -> Result<()> {
    write_json(
        &out.join("retriever/retrieval.json"),
        &json!({ "window": window, "whole": whole }),
    )
}

/// Lists every file of the bundle with size and SHA-256.
///
/// # Errors
/// When a file cannot be read.
pub fn write_manifest(out: &Path) -> Result<()> {
    let present = |name: &&str| !WEIGHT_FILES.contains(name) || out.join(name).exists();
    let mut files: Vec<&str> = NAMES.into_iter().filter(present).collect();
    let retriever = manifest::files_below(out, "retriever")?;
    files.extend(retriever.iter().map(String::as_str));
    manifest::write(out, MODEL_NAME, &files)
}

/// The files a page downloads, besides those of what recognises things.
const NAMES: [&str; 9] = [
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "model.json",
    "model.safetensors",
    "model.gguf",
    "mmproj.gguf",
];

/// All files of a model, for [`namelens_engine::personalize::Engine::load`]: a folder, or one of the GGUF files of a text
/// model, whose vision projector lies beside it. The folder of a photo encoder as its authors publish it is a retriever.
///
/// # Errors
/// When there is no such folder or file, or there are several vision projectors.
pub fn open_bundle(model: &Path) -> Result<ModelFiles> {
    open_model(model, None)
}

/// As [`open_bundle`], with the vision projector of this name where there are several.
///
/// # Errors
/// When there is no such folder or file, there are several vision projectors and none is chosen, or the chosen one is not
/// there.
pub fn open_model(model: &Path, mmproj: Option<&str>) -> Result<ModelFiles> {
    let mut files = ModelFiles::default();
    if model.is_file() {
        for path in gguf_folder::model_files(model, mmproj)? {
            insert(&mut files, &path, "")?;
        }
        return Ok(files);
    }
    let others = gguf_folder::other_projectors(model, mmproj)?;
    let mut folders = vec![(model.to_owned(), String::new())];
    folders.extend(encoders(model)?);
    for (folder, prefix) in folders {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("{} is not a model's folder", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            let wanted = kind.is_some_and(|kind| KINDS.contains(&kind)) && !others.contains(&path);
            if wanted && path.is_file() {
                insert(&mut files, &path, &prefix)?;
            }
        }
    }
    for (name, dir) in adapters(model)? {
        // One that lacks a file is in nobody's way until it is chosen.
        for file in ADAPTER_FILES.iter().filter(|file| dir.join(file).is_file()) {
            let source = bundle::FileSource::open(&dir.join(file))?;
            files.insert(format!("adapters/{name}/{file}"), Box::new(source));
        }
    }
    Ok(files.with_encoder_as_retriever()?)
}

/// What PEFT writes of an adapter.
pub const ADAPTER_FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// Folders of the encoders of a model's retriever, and what their files' names begin with.
fn encoders(model: &Path) -> Result<Vec<(PathBuf, String)>> {
    let first = model.join("retriever");
    if !first.exists() {
        return Ok(Vec::new());
    }
    let mut found = vec![(first.clone(), "retriever/".to_owned())];
    for entry in fs::read_dir(&first).with_context(|| format!("cannot read {}", first.display()))? {
        let entry = entry?;
        if entry.path().join("config.json").is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((entry.path(), format!("retriever/{name}/")));
        }
    }
    Ok(found)
}

/// Names and folders of the adapters of a model.
fn adapters(model: &Path) -> Result<Vec<(String, PathBuf)>> {
    let folder = model.join("adapters");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join(ADAPTER_FILES[0]).exists() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// Extensions of files a model may consist of.
const KINDS: [&str; 5] = ["json", "jinja", "safetensors", "gguf", "txt"];

fn insert(files: &mut ModelFiles, path: &Path, prefix: &str) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no readable name", path.display()))?;
    files.insert(
        format!("{prefix}{name}"),
        Box::new(bundle::FileSource::open(path)?),
    );
    Ok(())
}

fn with_architecture(config: &impl serde::Serialize, architecture: &str) -> Result<Value> {
    let mut value = serde_json::to_value(config)?;
    value["architectures"] = json!([architecture]);
    Ok(value)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
