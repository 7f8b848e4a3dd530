//! What was learned, written so that others load it: a PEFT adapter, or a whole model folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use namelens_engine::model::families;

use super::policy::{ADAPTER, Policy};
use crate::bundle::write_safetensors;
use crate::export::{self, adapter::write_adapter};

/// Writes into `folder`, in place of what was there; a crash leaves the old or the new.
///
/// An adapter becomes `adapter_config.json` and `adapter_model.safetensors`; where all weights learn, `folder` becomes the model
/// folder `model` with other weights, in f32.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(policy: &mut Policy, model: &Path, folder: &Path) -> Result<()> {
    let partial = sibling(folder, "partial");
    remove(&partial)?;
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    if policy.kit.adapter {
        let names = families::names(&policy.kit.config.model_type);
        let base = model.display().to_string();
        let saved = policy.vlm.save_adapter(ADAPTER, names, Some(&base))?;
        write_adapter(&partial, &saved)?;
    } else {
        copy(model, &partial)?;
        let weights = policy.kit.all.collect(&policy.vlm);
        write_safetensors(&partial.join("model.safetensors"), &weights)?;
        if partial.join("manifest.json").exists() {
            export::write_manifest(&partial)?;
        }
    }
    let before = sibling(folder, "before");
    remove(&before)?;
    if folder.exists() {
        fs::rename(folder, &before)?;
    }
    fs::rename(&partial, folder).with_context(|| format!("cannot write {}", folder.display()))?;
    remove(&before)
}

fn sibling(folder: &Path, ending: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!("{name}.{ending}"))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Copies a model folder without its weights and its adapters, which are for the weights as they were.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_owned();
        let text = name.to_string_lossy();
        if path.is_dir() && text != "adapters" && !text.starts_with('.') {
            copy(&path, &to.join(&name))?;
        } else if path.is_file() && !export::WEIGHT_FILES.contains(&text.as_ref())
            || path.is_file() && from.ends_with("retriever")
        {
            fs::copy(&path, to.join(&name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
