//! What was learned, written so that others load it: a PEFT adapter, or a whole model folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use namelens_engine::model::families;

use super::policy::{ADAPTER, Policy};
use crate::bundle::write_safetensors;
use crate::export::{self, adapter::write_adapter};
use crate::train::checkpoint::sync_all;

/// Refuses a folder `run` in the model's folder where whole models are written into it: each would hold the ones before.
///
/// # Errors
/// Then, and when a folder cannot be read.
pub fn check_place(policy: &Policy, model: &Path, run: &Path) -> Result<()> {
    if policy.kit.adapter || !model.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(run).with_context(|| format!("cannot create {}", run.display()))?;
    ensure!(
        !run.canonicalize()?.starts_with(model.canonicalize()?),
        "--run {} is within the model's folder, which would be copied into itself; name a folder elsewhere",
        run.display()
    );
    Ok(())
}

/// Writes into `folder`, in place of what was there; a crash or a power cut leaves the old or the new.
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
    sync_all(&partial)?;
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
        } else if path.is_file() && (from.ends_with("retriever") || !holds_weights(&text)) {
            fs::copy(&path, to.join(&name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
            #[cfg(windows)]
            writable(&to.join(&name))?;
        }
    }
    Ok(())
}

/// Takes the attribute away by which a copy could not be brought to the disk.
#[cfg(windows)]
fn writable(path: &Path) -> Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_readonly(false);
    Ok(fs::set_permissions(path, permissions)?)
}

/// Whether a file has weights, or says which files have: shards, and formats of other loaders, which would go on with the old ones.
fn holds_weights(name: &str) -> bool {
    const ENDINGS: [&str; 6] = [
        ".safetensors",
        ".safetensors.index.json",
        ".gguf",
        ".bin",
        ".bin.index.json",
        ".pth",
    ];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_has_weights_stays_behind() {
        let model = "model.safetensors model-00001-of-00002.safetensors model.safetensors.index.json m-00001-of-00003.gguf \
                     pytorch_model.bin pytorch_model.bin.index.json consolidated.00.pth";
        assert!(model.split(' ').all(|name| holds_weights(name.trim())));
        let rest =
            "config.json tokenizer.json chat_template.jinja README.md generation_config.json";
        assert!(!rest.split(' ').any(holds_weights));
    }
}
