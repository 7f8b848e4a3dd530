//! An adapter in PEFT's format: its tensors, which layer each is for, and what they add to a weight.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::settings::Settings;
use crate::model::names::{self, Names, Stored};
use crate::weights::{ByteSource, WeightFile, Weights};
use crate::{Error, Result};

/// What PEFT puts before the path of a layer.
pub(super) const PREFIX: &str = "base_model.model.";
/// What it puts behind: `A` `[r, in]`, then `B` `[out, r]`.
pub(super) const HALVES: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// `adapter_config.json` and `adapter_model.safetensors`, checked as far as they can be without a model.
#[derive(Debug)]
pub struct Adapter {
    settings: Settings,
    weights: Weights,
    file: String,
    names: Names,
    /// Paths of the layers as the adapter spells them, by the newest name of their weights.
    layers: HashMap<String, String>,
}

/// What an adapter adds to one weight `[out, in]`: `scale * B A`.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// `A` `[rank, in]`, row-major.
    pub a: Vec<f32>,
    /// `B` `[out, rank]`, row-major.
    pub b: Vec<f32>,
    /// Rows of `A` and columns of `B`.
    pub rank: usize,
    /// Columns of the weight.
    pub input: usize,
    /// Rows of the weight.
    pub output: usize,
    /// `alpha / r` or `alpha / sqrt(r)`.
    pub scale: f64,
}

impl Adapter {
    /// Opens the adapter whose files are `adapter_config.json` (`config`) and `adapter_model.safetensors` (`weights`), for
    /// models of a family with these names; `folder` only names the files in errors.
    ///
    /// # Errors
    /// [`Error::Config`] when the adapter is more than LoRA of linear layers; [`Error::Weights`] when the file is damaged or a
    /// tensor is none of a LoRA layer.
    pub fn open(
        folder: &str,
        config: &str,
        weights: Box<dyn ByteSource>,
        names: Names,
    ) -> Result<Self> {
        let settings = Settings::parse(&format!("{folder}/adapter_config.json"), config)?;
        let file = format!("{folder}/adapter_model.safetensors");
        let opened = WeightFile::open(&file, weights)?;
        let layers = layers(&opened, &settings, names)?;
        let mut weights = Weights::new();
        weights.push(opened)?;
        Ok(Self {
            settings,
            weights,
            file,
            names,
            layers,
        })
    }

    /// What it adds to our layer `key` of dimensions `[out, in]`, if anything.
    ///
    /// # Errors
    /// [`Error::Weights`] when the dimensions are others, or a number is none.
    pub(in crate::model) fn take(
        &mut self,
        key: &str,
        [output, input]: [usize; 2],
    ) -> Result<Option<Update>> {
        let mut places = names::stored(self.names, &format!("{key}.weight"));
        let Stored { name, part } = places.swap_remove(0);
        let part = part.map_or((0, 1), |part| (part.index, part.of));
        self.update(&name, [output, input], part)
    }

    /// Proves from the header that what it has for our layer `key` of dimensions `[out, in]`, if anything, fits; reads no
    /// numbers.
    ///
    /// # Errors
    /// [`Error::Weights`] when the dimensions are others.
    pub(in crate::model) fn claim(&mut self, key: &str, [output, input]: [usize; 2]) -> Result<()> {
        let mut places = names::stored(self.names, &format!("{key}.weight"));
        let Stored { name, part } = places.swap_remove(0);
        let Some(path) = self.layers.get(&names::newest(self.names, &name)) else {
            return Ok(());
        };
        let rank = self.settings.rank(path);
        let [a, b] = HALVES.map(|half| format!("{PREFIX}{path}{half}"));
        let part = part.map_or((0, 1), |part| (part.index, part.of));
        self.weights.claim_rows(&a, &[rank, input], (0, 1))?;
        self.weights.claim_rows(&b, &[output, rank], part)?;
        Ok(())
    }

    /// What it adds to the tensor a checkpoint of the family calls `name`, of dimensions `[out, in]`, if anything.
    ///
    /// # Errors
    /// As for a model's layers: [`Error::Weights`] when the dimensions are others, or a number is none.
    pub fn take_stored(&mut self, name: &str, shape: &[usize]) -> Result<Option<Update>> {
        if !self.is_for(name) {
            return Ok(None);
        }
        let &[output, input] = shape else {
            let problem = format!("is for `{name}` of shape {shape:?}, which is no linear layer");
            return Err(fail(&self.file, name, problem));
        };
        self.update(name, [output, input], (0, 1))
    }

    /// Whether it adds to the tensor a checkpoint calls `name`.
    pub fn is_for(&self, name: &str) -> bool {
        self.layers.contains_key(&names::newest(self.names, name))
    }

    /// Number of the weights it adds to, as they are stored.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether it adds to nothing; never, once open.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Refuses an adapter of which only a part was taken.
    ///
    /// # Errors
    /// [`Error::Weights`] naming a tensor without a layer.
    pub fn all_taken(&self) -> Result<()> {
        let left = self.weights.unused();
        let Some(first) = left.first() else {
            return Ok(());
        };
        let problem = format!(
            "and {} more tensors are for layers this model has not, or which take no adapter; the adapter is for another model",
            left.len() - 1
        );
        Err(fail(&self.file, first, problem))
    }

    fn update(
        &mut self,
        name: &str,
        [output, input]: [usize; 2],
        part: (usize, usize),
    ) -> Result<Option<Update>> {
        let Some(path) = self.layers.get(&names::newest(self.names, name)) else {
            return Ok(None);
        };
        let (rank, scale) = (self.settings.rank(path), self.settings.scale(path));
        let [a, b] = HALVES.map(|half| format!("{PREFIX}{path}{half}"));
        let update = Update {
            a: self.weights.take_f32(&a, &[rank, input])?,
            b: self.weights.take_rows_f32(&b, &[output, rank], part)?,
            rank,
            input,
            output,
            scale,
        };
        for (name, values) in [(a, &update.a), (b, &update.b)] {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let problem = format!("element {at} is not a finite number; the file is damaged");
                return Err(fail(&self.file, &name, problem));
            }
        }
        Ok(Some(update))
    }
}

impl Update {
    /// Rows of `scale * B A`, row-major, in f32.
    ///
    /// # Panics
    /// When the rows are not those of the weight.
    pub fn rows(&self, rows: Range<usize>) -> Vec<f32> {
        let mut values = vec![0.0; rows.len() * self.input];
        let scale = self.scale as f32;
        for (row, out) in rows.zip(values.chunks_exact_mut(self.input.max(1))) {
            let weights = &self.b[row * self.rank..][..self.rank];
            for (weight, a) in weights.iter().zip(self.a.chunks_exact(self.input.max(1))) {
                for (out, a) in out.iter_mut().zip(a) {
                    *out += weight * a;
                }
            }
            out.iter_mut().for_each(|out| *out *= scale);
        }
        values
    }
}

/// The layers of a file, each proved to have both halves of the rank it should have.
fn layers(file: &WeightFile, settings: &Settings, names: Names) -> Result<HashMap<String, String>> {
    if let Some((name, dtype)) = file.unreadable().first() {
        let problem = format!("stored as {dtype}; save the adapter in F32, F16 or BF16");
        return Err(fail(file.file(), name, problem));
    }
    // In the order of their names, so that the first that is wrong is always the same.
    let mut paths = BTreeSet::new();
    for tensor in file.tensors() {
        let Some(path) = path(&tensor.name) else {
            let problem = "is no `lora_A` or `lora_B` of a linear layer; other kinds of adapters are not read";
            return Err(fail(file.file(), &tensor.name, problem.into()));
        };
        paths.insert(path.to_owned());
    }
    let mut layers = HashMap::with_capacity(paths.len());
    for path in paths {
        check_rank(file, &path, settings.rank(&path))?;
        let newest = names::newest(names, &format!("{path}.weight"));
        if let Some(other) = layers.insert(newest, path.clone()) {
            let problem = format!("is the same layer as `{other}`");
            return Err(fail(file.file(), &path, problem));
        }
    }
    match layers.is_empty() {
        true => Err(fail(file.file(), "tensors", "there are none".into())),
        false => Ok(layers),
    }
}

/// Refuses a layer that lacks a half, or whose halves have another rank than the configuration says.
fn check_rank(file: &WeightFile, path: &str, rank: usize) -> Result<()> {
    for (at, half) in HALVES.into_iter().enumerate() {
        let name = format!("{PREFIX}{path}{half}");
        let Some(tensor) = file.get(&name) else {
            let problem = "is missing; was the file cut off?".into();
            return Err(fail(file.file(), &name, problem));
        };
        if tensor.shape.len() != 2 || tensor.shape.get(at) != Some(&rank) {
            let problem = format!(
                "has shape {:?}, but adapter_config.json says that the rank is {rank}; take both files from one adapter",
                tensor.shape
            );
            return Err(fail(file.file(), &name, problem));
        }
    }
    Ok(())
}

/// The layer a tensor is for.
fn path(tensor: &str) -> Option<&str> {
    let rest = tensor.strip_prefix(PREFIX)?;
    let path = HALVES.iter().find_map(|half| rest.strip_suffix(half))?;
    (!path.is_empty()).then_some(path)
}

fn fail(file: &str, place: &str, problem: String) -> Error {
    Error::Weights {
        file: file.into(),
        place: place.into(),
        problem,
    }
}
