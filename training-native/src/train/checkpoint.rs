//! Checkpoints of a run: weights, optimiser state and step, written so that a crash at any moment leaves one whole.
//!
//! A checkpoint is a folder `step-00000250`. It is written under a name that ends in `.partial`, brought to the disk, and
//! renamed, which is atomic; an older one is renamed to `.partial` before it is deleted. So a folder without that ending is
//! whole, whenever the machine stopped, and the one of the highest step is where a run resumes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use namelens_engine::model::params::ParamNames;
use serde::{Deserialize, Serialize};

use super::log::LINES;
use super::run_lock::{LOCK, RunLock};
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
    /// What else a loop must know to go on.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub state: serde_json::Value,
}

/// Ending of folders that are being written or deleted.
const PARTIAL: &str = ".partial";
/// Beginning of the names of checkpoints; their step follows.
const STEP: &str = "step-";
/// Checkpoints as they were once written: the newest, and the one before, which is all that is left where a crash came
/// between two renames.
const FORMER: [&str; 2] = ["checkpoint", "checkpoint.old"];
/// What was being written then.
const FORMER_PARTIAL: &str = "checkpoint.new";
const PROGRESS: &str = "progress.json";
const OPTIMIZER: &str = "optimizer";

/// The folder of the newest whole checkpoint of a run, if there is one.
///
/// # Errors
/// When the run cannot be read.
pub fn latest(run: &Path) -> Result<Option<PathBuf>> {
    let newest = entries(run)?
        .into_iter()
        .filter_map(|path| Some((step_of(&path)?, path)))
        .max();
    if let Some((_, path)) = newest {
        return Ok(Some(path));
    }
    let former = FORMER.iter().map(|name| run.join(name));
    Ok(former.into_iter().find(|path| path.join(PROGRESS).exists()))
}

/// The checkpoint a run resumes from; `None` where nothing was trained yet.
///
/// # Errors
/// When the run has logs but no checkpoint: to begin again at step 0 is for the caller to decide.
pub fn resume_point(run: &Path) -> Result<Option<PathBuf>> {
    let found = latest(run)?;
    let logged = fs::metadata(run.join(LINES)).is_ok_and(|log| log.len() > 0);
    if found.is_none() && logged {
        bail!(
            "{} has logs of a run but no whole checkpoint to resume from; --start-over puts them aside and begins at \
             step 0, or name another --run",
            run.display()
        );
    }
    Ok(found)
}

/// Puts all of a run aside, into a folder `before-1` (or the next free number) of it, so that it begins at step 0.
///
/// # Errors
/// When a file cannot be moved, or another process works in the folder.
pub fn start_over(run: &Path) -> Result<()> {
    let old: Vec<PathBuf> = entries(run)?
        .into_iter()
        .filter(|path| !named(path).starts_with(BEFORE) && named(path) != LOCK)
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    // Not from under a process that is still training.
    let _lock = RunLock::take(run)?;
    let mut number = 1;
    let aside = loop {
        let aside = run.join(format!("{BEFORE}{number}"));
        if !aside.exists() {
            break aside;
        }
        number += 1;
    };
    fs::create_dir(&aside).with_context(|| format!("cannot create {}", aside.display()))?;
    for path in old {
        let to = aside.join(named(&path).as_ref());
        fs::rename(&path, &to).with_context(|| format!("cannot move {}", path.display()))?;
    }
    Ok(())
}

/// Beginning of the names of folders with what was before the run started over.
const BEFORE: &str = "before-";

/// Writes a checkpoint, then deletes the older ones.
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
    let fill = |folder: &Path| -> Result<()> {
        write_safetensors(&folder.join("model.safetensors"), &names.collect(model))?;
        optimizer
            .save(folder.join(OPTIMIZER))
            .map_err(|error| anyhow::anyhow!("cannot write the optimiser state: {error}"))?;
        let text = serde_json::to_vec_pretty(progress)?;
        Ok(fs::write(folder.join(PROGRESS), text)?)
    };
    commit(run, progress.step, fill, &mut || Ok(()))
        .with_context(|| format!("cannot write a checkpoint into {}", run.display()))
}

/// Makes a checkpoint of the files that `fill` writes into a folder. `crash` is called between all operations on the disk;
/// in tests its error is the moment the machine stops.
fn commit(
    run: &Path,
    step: u64,
    fill: impl FnOnce(&Path) -> Result<()>,
    crash: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let whole = run.join(format!("{STEP}{step:08}"));
    if !whole.exists() {
        let fresh = partial(&whole);
        if fresh.exists() {
            delete(&fresh, crash)?;
        }
        fs::create_dir_all(&fresh)?;
        crash()?;
        fill(&fresh)?;
        crash()?;
        sync_all(&fresh)?;
        crash()?;
        fs::rename(&fresh, &whole)?;
        crash()?;
        sync_folder(run)?;
        crash()?;
    }
    for old in entries(run)? {
        let former = FORMER.contains(&named(&old).as_ref()) || named(&old) == FORMER_PARTIAL;
        if old != whole && (former || step_of(&old).is_some()) {
            let gone = partial(&old);
            if gone.exists() {
                delete(&gone, crash)?;
            }
            fs::rename(&old, &gone)?;
            crash()?;
        }
    }
    for left in entries(run)? {
        if left.is_dir() && named(&left).ends_with(PARTIAL) {
            delete(&left, crash)?;
        }
    }
    Ok(())
}

/// Deletes a folder, file by file.
fn delete(folder: &Path, crash: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            delete(&path, crash)?;
        } else {
            fs::remove_file(&path)?;
            crash()?;
        }
    }
    fs::remove_dir(folder)?;
    crash()
}

fn partial(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}{PARTIAL}", named(path)))
}

fn named(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The step of a whole checkpoint's folder.
fn step_of(path: &Path) -> Option<u64> {
    let step = named(path).strip_prefix(STEP)?.parse().ok()?;
    path.is_dir().then_some(step)
}

/// What is in a folder, sorted; nothing where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(context)?,
    };
    let mut paths = entries
        .map(|entry| Ok(entry.with_context(context)?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Brings all files of a folder to the disk.
pub(crate) fn sync_all(folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            // Windows syncs only files that are opened for writing, others also what may only be read.
            let write = cfg!(windows);
            let file = fs::OpenOptions::new().read(true).write(write).open(&path)?;
            file.sync_all()?;
        }
    }
    sync_folder(folder)
}

/// Brings the names in a folder to the disk, where a folder can be opened for that.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Where the checkpoint in `folder` stands.
///
/// # Errors
/// When that cannot be read.
pub fn read(folder: &Path) -> Result<Progress> {
    let path = folder.join(PROGRESS);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}; --start-over begins anew", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; --start-over begins anew", path.display()))
}

/// Reads where the newest checkpoint of `run` stands, if there is one; `changed` says what is different from the options it was made
/// with ([`super::changes`]).
///
/// # Errors
/// When it is there but unreadable, or was made with other options, which are named, or there are logs without it.
pub fn progress(
    run: &Path,
    seed: u64,
    changed: &dyn Fn(&str) -> Vec<String>,
) -> Result<Option<Progress>> {
    let Some(folder) = resume_point(run)? else {
        return Ok(None);
    };
    let progress = read(&folder)?;
    let mut changes = changed(&progress.options);
    // Most loops have the seed among their options, too.
    if progress.seed != seed && !changes.iter().any(|change| change.starts_with("seed ")) {
        changes.insert(0, format!("seed {}, not {seed}", progress.seed));
    }
    if !changes.is_empty() {
        bail!(
            "{} was made with other options: {}; resume with those, name another --run, or begin anew with --start-over",
            folder.join(PROGRESS).display(),
            changes.join("; ")
        );
    }
    Ok(Some(progress))
}

/// The optimiser with the state of the newest checkpoint of `run`.
///
/// # Errors
/// When there is none or the state is unreadable.
pub fn load_optimizer(run: &Path, optimizer: ModuleOptimizer) -> Result<ModuleOptimizer> {
    let folder = latest(run)?.with_context(|| format!("{} has no checkpoint", run.display()))?;
    let path = folder.join(OPTIMIZER);
    optimizer
        .load(&path)
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
