//! Checkpoints of a run: weights, optimiser state and step, written so that a crash leaves the last one whole.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use namelens_engine::model::params::ParamNames;
use serde::{Deserialize, Serialize};

use crate::bundle::write_safetensors;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Seed of the run; the data of a step depends on nothing else.
    pub seed: u64,
    /// Digest of the options that must not change when a run resumes.
    pub options: String,
}

/// The directory of the newest checkpoint of a run.
pub fn latest(run: &Path) -> PathBuf {
    run.join("checkpoint")
}

/// Writes a checkpoint beside the old one and then swaps them.
///
/// # Errors
/// When a file cannot be written.
pub fn save<M: Module>(
    run: &Path,
    model: &M,
    names: &ParamNames,
    optimizer: &ModuleOptimizer,
    progress: &Progress,
) -> Result<()> {
    let fresh = run.join("checkpoint.new");
    let old = run.join("checkpoint.old");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh)?;
    }
    std::fs::create_dir_all(&fresh)?;
    write_safetensors(&fresh.join("model.safetensors"), &names.collect(model))?;
    optimizer
        .save(fresh.join("optimizer"))
        .map_err(|error| anyhow::anyhow!("cannot write the optimiser state: {error}"))?;
    std::fs::write(
        fresh.join("progress.json"),
        serde_json::to_vec_pretty(progress)?,
    )?;
    let current = latest(run);
    if old.exists() {
        std::fs::remove_dir_all(&old)?;
    }
    if current.exists() {
        std::fs::rename(&current, &old)?;
    }
    std::fs::rename(&fresh, &current)?;
    Ok(())
}

/// Reads where the newest checkpoint of `run` stands, if there is one.
///
/// # Errors
/// When it is there but unreadable, or was made with other options.
pub fn progress(run: &Path, seed: u64, options: &str) -> Result<Option<Progress>> {
    let path = latest(run).join("progress.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)?;
    let progress: Progress = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; delete the checkpoint", path.display()))?;
    if progress.seed != seed || progress.options != options {
        bail!(
            "{} was made with another seed or other options; use a new --run directory",
            path.display()
        );
    }
    Ok(Some(progress))
}

/// The optimiser with the state of the newest checkpoint of `run`.
///
/// # Errors
/// When the state is unreadable.
pub fn load_optimizer(run: &Path, optimizer: ModuleOptimizer) -> Result<ModuleOptimizer> {
    let path = latest(run).join("optimizer");
    optimizer
        .load(&path)
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", path.display()))
}
