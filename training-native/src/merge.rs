//! A model folder with a LoRA adapter merged into its weights: `W + scale * B A`, and how much of it rounding took.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::families;
use namelens_engine::model::lora::{Adapter, Update};
use namelens_engine::weights::{Dtype, TensorInfo, WeightFile, Weights, decode, encode};

use crate::bundle::{self, FileSource};
use crate::export;

/// Most weights worked on at a time.
const PIECE: usize = 1 << 22;

/// What merging changed.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// Tensors changed, of each element type.
    pub tensors: BTreeMap<String, usize>,
    /// Largest `max |merged - exact| / max |update|` of a tensor.
    pub worst: f64,
    /// Root mean square of `merged - exact` by that of the update, over all changed tensors.
    pub typical: f64,
    /// Folders and files of the model that were not copied.
    pub left_out: Vec<String>,
}

impl Merged {
    /// Whether the weights are of a type that holds less than the sum.
    pub fn is_rounded(&self) -> bool {
        self.tensors.keys().any(|dtype| *dtype != "F32")
    }
}

/// Sums over the changed weights.
#[derive(Debug, Default)]
struct Rounding {
    worst: f64,
    lost: f64,
    given: f64,
}

/// Writes the model of folder `model` with the adapter of folder `adapter` merged into `out`, which must not exist.
///
/// Files, shards, tensor names and element types stay as they are; only the bytes of the changed tensors differ. Hidden
/// files and the model's own `adapters/`, which are for the model as it was, are left out. `progress` hears of changed tensors.
///
/// # Errors
/// When `out` exists, the model is not in safetensors, the adapter is for another model, a merged weight does not fit its
/// type, or a file cannot be read or written. Nothing is left behind.
pub fn merge(
    model: &Path,
    adapter: &Path,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Merged> {
    if out.exists() {
        bail!("{} exists already; name a new folder", out.display());
    }
    let weights = open_model(model)?;
    let mut adapter = open_adapter(model, adapter)?;
    check(&adapter, &weights)?;
    let unfinished = unfinished(model, out)?;
    let result = write(model, &weights, &mut adapter, &unfinished, progress);
    let renamed = result.and_then(|merged| {
        fs::rename(&unfinished, out).with_context(|| format!("cannot make {}", out.display()))?;
        Ok(merged)
    });
    if renamed.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&unfinished);
    }
    renamed
}

fn open_model(model: &Path) -> Result<Weights> {
    let is_dense = ["model.safetensors", "model.safetensors.index.json"]
        .iter()
        .any(|name| model.join(name).exists());
    if !is_dense {
        bail!(
            "{} has no model.safetensors; merge into the model before it was quantised, then quantise it with `namelens export`",
            model.display()
        );
    }
    bundle::open_weights(model)
}

fn open_adapter(model: &Path, adapter: &Path) -> Result<Adapter> {
    let json = bundle::read_text(model, "config.json")?;
    let config = VlmConfig::from_json(&json)?;
    families::refuse_quantised(&json)?;
    let [settings, tensors] = export::ADAPTER_FILES;
    let settings = adapter.join(settings);
    let settings = fs::read_to_string(&settings).with_context(|| {
        format!(
            "cannot read {}; it is part of an adapter",
            settings.display()
        )
    })?;
    let tensors = Box::new(FileSource::open(&adapter.join(tensors))?);
    let names = families::names(&config.model_type);
    let adapter = Adapter::open(&adapter.display().to_string(), &settings, tensors, names)?;
    if config.tie_word_embeddings && adapter.is_for("lm_head.weight") {
        bail!(
            "the adapter is for lm_head, which this model shares with its embeddings; it cannot be merged"
        );
    }
    Ok(adapter)
}

/// Refuses an adapter with a layer that the model has not, before anything is written.
fn check(adapter: &Adapter, weights: &Weights) -> Result<()> {
    let tensors = weights.files().iter().flat_map(WeightFile::tensors);
    let found = tensors
        .filter(|tensor| adapter.is_for(&tensor.name))
        .count();
    if found != adapter.len() {
        bail!(
            "the adapter has {} layers, of which the model has {found}; it is for another model",
            adapter.len()
        );
    }
    Ok(())
}

/// The folder that becomes `out` once it is whole.
fn unfinished(model: &Path, out: &Path) -> Result<PathBuf> {
    let name = out.file_name().context("--out must name a new folder")?;
    let mut name = name.to_owned();
    name.push(".unfinished");
    let path = out.with_file_name(name);
    if path.exists() {
        bail!("{} is left of an earlier run; remove it", path.display());
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    if path.canonicalize()?.starts_with(model.canonicalize()?) {
        fs::remove_dir(&path)?;
        bail!(
            "{} is within the model's folder, which would be copied into itself",
            out.display()
        );
    }
    Ok(path)
}

fn write(
    model: &Path,
    weights: &Weights,
    adapter: &mut Adapter,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Merged> {
    let mut merged = Merged::default();
    let mut rounding = Rounding::default();
    copy(model, out, &mut merged.left_out)?;
    let total = adapter.len();
    progress(0, total);
    let mut done = 0;
    for file in weights.files() {
        let name = Path::new(file.file()).file_name();
        let path = out.join(name.context("a weight file has no name")?);
        let mut target = File::options()
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        for tensor in file.tensors() {
            let Some(update) = adapter.take_stored(&tensor.name, &tensor.shape)? else {
                continue;
            };
            merge_tensor(file, tensor, &update, &mut target, &mut rounding)?;
            *merged.tensors.entry(tensor.dtype.to_string()).or_default() += 1;
            done += 1;
            progress(done, total);
        }
    }
    adapter.all_taken()?;
    if model.join("manifest.json").exists() {
        export::write_manifest(out)?;
    }
    merged.worst = rounding.worst;
    merged.typical = (rounding.lost / rounding.given.max(f64::MIN_POSITIVE)).sqrt();
    Ok(merged)
}

/// Copies a folder, all but hidden files and the adapters in it.
fn copy(from: &Path, to: &Path, left_out: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "adapters" {
            left_out.push(name);
        } else if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&source, &target, left_out)?;
        } else if source.is_file() {
            // The contents, not the permissions: files of a cache are often read-only, or links.
            let mut reader =
                File::open(&source).with_context(|| format!("cannot read {}", source.display()))?;
            let mut writer = File::create(&target)?;
            std::io::copy(&mut reader, &mut writer)
                .with_context(|| format!("cannot write {}", target.display()))?;
        } else {
            left_out.push(name);
        }
    }
    Ok(())
}

/// Writes one merged tensor in its place, some rows at a time.
fn merge_tensor(
    file: &WeightFile,
    tensor: &TensorInfo,
    update: &Update,
    out: &mut File,
    rounding: &mut Rounding,
) -> Result<()> {
    let (mut error, mut largest) = (0.0f64, 0.0f64);
    let row_bytes = tensor.bytes / update.output.max(1) as u64;
    let step = (PIECE / update.input.max(1)).max(1);
    for first in (0..update.output).step_by(step) {
        let rows = first..update.output.min(first + step);
        let piece = TensorInfo {
            shape: vec![rows.len(), update.input],
            offset: tensor.offset + first as u64 * row_bytes,
            bytes: rows.len() as u64 * row_bytes,
            ..tensor.clone()
        };
        let weights = file.read_f32(&piece)?;
        let added = update.rows(rows);
        let sums: Vec<f32> = weights.iter().zip(&added).map(|(w, d)| w + d).collect();
        let bytes = encode(tensor.dtype, &sums)?;
        let stored = stored(tensor.dtype, &bytes, sums.len())?;
        for ((weight, added), stored) in weights.iter().zip(&added).zip(&stored) {
            if !stored.is_finite() {
                bail!(
                    "{}: a merged weight does not fit {}",
                    tensor.name,
                    tensor.dtype
                );
            }
            let added = f64::from(*added);
            let lost = (f64::from(*stored) - (f64::from(*weight) + added)).abs();
            error = error.max(lost);
            largest = largest.max(added.abs());
            rounding.lost += lost * lost;
            rounding.given += added * added;
        }
        out.seek(SeekFrom::Start(piece.offset))?;
        out.write_all(&bytes)
            .with_context(|| format!("cannot write {}", tensor.name))?;
    }
    if largest > 0.0 {
        rounding.worst = rounding.worst.max(error / largest);
    }
    Ok(())
}

/// The numbers a reader of the file will see.
fn stored(dtype: Dtype, bytes: &[u8], count: usize) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(count);
    decode(dtype, bytes, &mut values)?;
    Ok(values)
}
