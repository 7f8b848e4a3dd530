//! The weights of one model, gathered from one or several files (shards, text plus vision projector).

use std::collections::HashSet;

use super::{Dtype, TensorInfo, WeightFile};
use crate::{Error, Result};

/// Several weight files as one namespace of tensors, which remembers what was taken.
#[derive(Debug, Default)]
pub struct Weights {
    files: Vec<WeightFile>,
    taken: HashSet<String>,
}

impl Weights {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When one of its tensors has the name of a tensor already here; the set is then unchanged.
    pub fn push(&mut self, file: WeightFile) -> Result<()> {
        for tensor in file.tensors() {
            if let Some((other, _)) = self.find(&tensor.name) {
                return Err(Error::Weights {
                    file: file.file().into(),
                    place: tensor.name.clone(),
                    problem: format!(
                        "`{}` holds a tensor of this name too; load only one of them",
                        other.file()
                    ),
                });
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// The files, in the order they were added; the first one's metadata usually describes the model.
    pub fn files(&self) -> &[WeightFile] {
        &self.files
    }

    /// Where a tensor is.
    pub fn find(&self, name: &str) -> Option<(&WeightFile, &TensorInfo)> {
        self.files
            .iter()
            .find_map(|file| Some((file, file.get(name)?)))
    }

    /// Whether a tensor of this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether a tensor of this name exists, in whatever type.
    pub fn mentions(&self, name: &str) -> bool {
        let stored = |file: &WeightFile| file.unreadable().iter().any(|(known, _)| known == name);
        self.contains(name) || self.files.iter().any(stored)
    }

    /// The elements of a tensor in row-major order, and marks it taken.
    ///
    /// # Errors
    /// When it is missing, of a type we cannot read, or not of the expected shape; dimensions of one are passed over.
    pub fn take_f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.take_rows_f32(name, shape, (0, 1))
    }

    /// Block `index` of `of` equal blocks of a tensor's rows, as elements; `shape` is the block's. Marks the tensor taken.
    ///
    /// # Errors
    /// As [`Self::take_f32`].
    pub fn take_rows_f32(
        &mut self,
        name: &str,
        shape: &[usize],
        (index, of): (usize, usize),
    ) -> Result<Vec<f32>> {
        let (file, tensor) = self.expect(name, shape, (index, of))?;
        let values = file.read_f32(&tensor)?;
        self.taken.insert(name.into());
        Ok(values)
    }

    /// The stored bytes of a tensor and how they are encoded (for weights that stay quantised), and marks it taken.
    ///
    /// # Errors
    /// As [`Self::take_f32`].
    pub fn take_raw(&mut self, name: &str, shape: &[usize]) -> Result<(Dtype, Vec<u8>)> {
        self.take_rows_raw(name, shape, (0, 1))
    }

    /// The stored bytes of a block of rows and how they are encoded (for weights that stay quantised); see
    /// [`Self::take_rows_f32`].
    ///
    /// # Errors
    /// As [`Self::take_f32`].
    pub fn take_rows_raw(
        &mut self,
        name: &str,
        shape: &[usize],
        (index, of): (usize, usize),
    ) -> Result<(Dtype, Vec<u8>)> {
        let (file, tensor) = self.expect(name, shape, (index, of))?;
        let found = (tensor.dtype, file.read_raw(&tensor)?);
        self.taken.insert(name.into());
        Ok(found)
    }

    /// Proves that a block of rows of this shape is here and says where it is; see [`Self::take_rows_f32`]. Reads no
    /// data. A tensor of this name counts as taken, whatever its shape.
    ///
    /// # Errors
    /// As [`Self::take_f32`].
    pub fn claim_rows(
        &mut self,
        name: &str,
        shape: &[usize],
        block: (usize, usize),
    ) -> Result<TensorInfo> {
        self.taken.insert(name.into());
        let (_, tensor) = self.expect(name, shape, block)?;
        Ok(tensor)
    }

    /// Takes the files of another set.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn append(&mut self, other: Self) -> Result<()> {
        other.files.into_iter().try_for_each(|file| self.push(file))
    }

    /// Tensors nobody took: a loader reports them, since they mean another model or a forgotten part.
    pub fn unused(&self) -> Vec<&str> {
        let tensors = self.files.iter().flat_map(WeightFile::tensors);
        tensors
            .map(|t| t.name.as_str())
            .filter(|name| !self.taken.contains(*name))
            .collect()
    }

    /// Where a block of rows of this shape is.
    fn expect(
        &self,
        name: &str,
        shape: &[usize],
        (index, of): (usize, usize),
    ) -> Result<(&WeightFile, TensorInfo)> {
        let mut whole = shape.to_vec();
        if let Some(rows) = whole.first_mut() {
            *rows = rows.saturating_mul(of);
        }
        let Some((file, tensor)) = self.find(name) else {
            return Err(self.missing(name, &whole));
        };
        if !is_same_shape(&tensor.shape, &whole) {
            return Err(Error::Weights {
                file: file.file().into(),
                place: name.into(),
                problem: format!(
                    "expected shape {whole:?}, found {:?}; the configuration and the weights are of different models",
                    tensor.shape
                ),
            });
        }
        // Rows are whole blocks of their type and lie one behind the other.
        let bytes = tensor.bytes / of as u64;
        let part = TensorInfo {
            name: tensor.name.clone(),
            shape: shape.to_vec(),
            dtype: tensor.dtype,
            offset: tensor.offset + bytes * index as u64,
            bytes,
        };
        Ok((file, part))
    }

    fn missing(&self, name: &str, shape: &[usize]) -> Error {
        let fail = |file: String, problem: String| Error::Weights {
            file,
            place: name.into(),
            problem,
        };
        let method = self.quantised(name);
        for file in &self.files {
            if let Some((_, dtype)) = file.unreadable().iter().find(|(n, _)| n == name) {
                let stored = match method {
                    Some(method) => format!("stored as {dtype} by {method}"),
                    None => format!("stored as {dtype}"),
                };
                return fail(
                    file.file().into(),
                    format!(
                        "{stored}, which cannot be read; take the model in F16 or BF16, or as a GGUF in one of {}",
                        Dtype::ALL.map(|dtype| dtype.to_string()).join(", ")
                    ),
                );
            }
        }
        let files: Vec<_> = self.files.iter().map(WeightFile::file).collect();
        let files = if files.is_empty() {
            "no weight file".into()
        } else {
            files.join(", ")
        };
        let problem = match method {
            Some(method) => format!(
                "the weights are quantised by {method}, which is not read; take the model in F16 or BF16, or a GGUF of it"
            ),
            None => format!(
                "no such tensor (expected shape {shape:?}); is a shard missing, or is this another model?"
            ),
        };
        fail(files, problem)
    }

    /// Which method has left its tensors in place of, or beside, a weight.
    fn quantised(&self, name: &str) -> Option<&'static str> {
        let stem = name.strip_suffix("weight")?;
        let is_there = |suffix: &str| {
            let wanted = format!("{stem}{suffix}");
            self.files.iter().any(|file| {
                let foreign = file.unreadable().iter().any(|(name, _)| *name == wanted);
                foreign || file.get(&wanted).is_some()
            })
        };
        let found = METHODS.iter().find(|(suffix, _)| is_there(suffix));
        found.map(|(_, method)| *method)
    }
}

/// What tensors beside a weight, or in its place, tell of how it was quantised.
const METHODS: [(&str, &str); 13] = [
    ("g_idx", "GPTQ"),
    ("qweight", "AWQ or GPTQ"),
    (
        "weight.quant_state.bitsandbytes__nf4",
        "bitsandbytes (4 bits)",
    ),
    (
        "weight.quant_state.bitsandbytes__fp4",
        "bitsandbytes (4 bits)",
    ),
    ("weight.absmax", "bitsandbytes (4 bits)"),
    ("SCB", "bitsandbytes (8 bits)"),
    ("weight_packed", "compressed-tensors"),
    ("weight_scale_inv", "FP8"),
    ("weight_scale", "FP8 or int8"),
    ("W_q", "HQQ"),
    ("codebooks", "AQLM"),
    ("weight._data", "quanto"),
    ("weight_blocks", "MXFP4"),
];

/// Whether two shapes differ in nothing but dimensions of one, which some families write and others leave out.
fn is_same_shape(a: &[usize], b: &[usize]) -> bool {
    let wide = |shape: &[usize]| shape.iter().copied().filter(|&size| size != 1).collect();
    let (a, b): (Vec<usize>, Vec<usize>) = (wide(a), wide(b));
    a == b
}
