//! Parameters out of weight files: dense or quantised, under Hugging Face names or GGUF's.

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::gguf_layout::GgufLayout;
use super::gguf_layout::Piece;
use super::names::{self, Names, Part, Stored};
use super::params::{Init, ParamSource, Values};
use crate::ops::QuantMatrix;
use crate::weights::{Dtype, TensorInfo, Weights};
use crate::{Error, Result};

/// A [`ParamSource`] over the weights of one model.
#[derive(Debug)]
pub struct CheckpointSource {
    weights: Weights,
    /// What the files call our parameters.
    names: Names,
    /// How the files differ from Hugging Face's layout, if they do.
    layout: Option<GgufLayout>,
    /// Where quantised matrices stay quantised; elsewhere they are expanded as they are read.
    keep_blocks: Option<Device>,
    /// Over samples of everything that was read.
    samples: Sha256,
    /// Numbers that were read.
    parameters: usize,
}

/// Numbers of a tensor that its model is told by.
const SAMPLES: usize = 64;

impl CheckpointSource {
    /// Tensors under our names.
    pub fn new(weights: Weights) -> Self {
        Self {
            weights,
            names: &[],
            layout: None,
            keep_blocks: None,
            samples: Sha256::new(),
            parameters: 0,
        }
    }

    /// Tensors under the names of a family; see [`super::families::names`].
    #[must_use]
    pub fn with_names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Tensors as GGUF files name and order them.
    #[must_use]
    pub fn with_layout(mut self, layout: GgufLayout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Keeps quantised matrices as blocks on `device`.
    #[must_use]
    pub fn keep_blocks(mut self, device: &Device) -> Self {
        self.keep_blocks = Some(device.clone());
        self
    }

    /// Whether quantised matrices stay quantised.
    pub fn keeps_blocks(&self) -> bool {
        self.keep_blocks.is_some()
    }

    /// Tensors nobody asked for, as their files name them.
    pub fn unused(&self) -> Vec<&str> {
        self.weights.unused()
    }

    /// Tells this model from others: a hash over samples of every tensor that was read so far, with their names, in the order
    /// they were read. Training changes every number of a tensor, so some of them are enough.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.samples.clone().finalize().into()
    }

    /// How many parameters were read so far, in blocks or not.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Hears of a tensor as it was read.
    fn sample<T: Copy>(&mut self, name: &str, values: &[T], bytes: impl Fn(T) -> u32) {
        self.samples.update(name);
        self.samples.update((values.len() as u64).to_le_bytes());
        let step = values.len().div_ceil(SAMPLES).max(1);
        for value in values.iter().step_by(step) {
            self.samples.update(bytes(*value).to_le_bytes());
        }
    }

    /// The file a tensor is in, by the tensor's name there; empty when there is no such tensor.
    pub fn file_of(&self, name: &str) -> String {
        let found = self.weights.find(name);
        found.map_or_else(String::new, |(file, _)| file.file().to_owned())
    }

    /// Where `key` is in the files; where it should be when it is nowhere.
    fn stored(&self, key: &str) -> Stored {
        let mut places = match &self.layout {
            Some(layout) => layout.places(key),
            None => names::stored(self.names, key),
        };
        let found = places
            .iter()
            .position(|place| self.weights.contains(&place.name));
        places.swap_remove(found.unwrap_or(0))
    }

    /// The tensors a parameter is stored as.
    fn pieces(&self, key: &str, shape: &[usize]) -> Vec<Piece> {
        let stored = self.stored(key);
        match self.layout {
            Some(_) => GgufLayout::pieces(&stored, shape),
            None => vec![Piece {
                stored,
                shape: shape.to_vec(),
            }],
        }
    }

    /// Proves that a parameter is there in this shape, and says what it is stored as; reads no data. What is there under
    /// its name counts as asked for.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the tensor.
    pub fn claim(&mut self, key: &str, shape: &[usize]) -> Result<Vec<TensorInfo>> {
        let pieces = self.pieces(key, shape);
        let claim = |piece: &Piece| {
            self.weights
                .claim_rows(&piece.stored.name, &piece.shape, block(piece.stored.part))
        };
        let claimed: Vec<Result<TensorInfo>> = pieces.iter().map(claim).collect();
        claimed.into_iter().collect()
    }

    /// The values of one piece, all of them numbers.
    fn take(&mut self, piece: &Piece) -> Result<Vec<f32>> {
        let Stored { name, part } = &piece.stored;
        let values = self
            .weights
            .take_rows_f32(name, &piece.shape, block(*part))?;
        self.sample(name, &values, f32::to_bits);
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(at) => {
                let problem = format!("element {at} is not a finite number; the file is damaged");
                Err(self.fail(name.clone(), problem))
            }
        }
    }

    /// The error of a tensor, with its file.
    fn fail(&self, name: String, problem: String) -> Error {
        Error::Weights {
            file: self.file_of(&name),
            place: name,
            problem,
        }
    }

    /// Rows of `key` brought from the files' order into Hugging Face's.
    fn in_order<T: Copy>(&self, key: &str, values: Vec<T>, rows: usize) -> Vec<T> {
        let layout = self.layout.as_ref();
        let order = layout.and_then(|layout| layout.row_order(key, rows));
        let Some(order) = order.filter(|order| order.len() == rows && rows > 0) else {
            return values;
        };
        let row = values.len() / rows;
        let mut sorted = values.clone();
        for (stored, hf) in order.into_iter().enumerate() {
            sorted[hf * row..][..row].copy_from_slice(&values[stored * row..][..row]);
        }
        sorted
    }
}

impl ParamSource for CheckpointSource {
    fn values(&mut self, key: &str, shape: &[usize], _init: Init) -> Result<Values> {
        self.parameters += shape.iter().product::<usize>();
        let pieces = self.pieces(key, shape);
        if let [piece] = pieces.as_slice() {
            let values = self.take(piece)?;
            let rows = shape.first().copied().unwrap_or(1);
            return Ok(Values::Host(self.in_order(key, values, rows)));
        }
        let frames: Vec<Vec<f32>> = pieces
            .iter()
            .map(|piece| self.take(piece))
            .collect::<Result<_>>()?;
        // `[rows, channels, frames, height, width]`: the frames of one channel stand together.
        let square = shape.iter().rev().take(2).product::<usize>().max(1);
        let squares = frames.first().map_or(0, |frame| frame.len() / square);
        let kernel = (0..squares)
            .flat_map(|at| frames.iter().map(move |frame| &frame[at * square..]))
            .flat_map(|rest| &rest[..square]);
        Ok(Values::Host(kernel.copied().collect()))
    }

    fn quantised(&mut self, key: &str, rows: usize, cols: usize) -> Result<Option<QuantMatrix>> {
        let Stored { name, part } = self.stored(key);
        if self.keep_blocks.is_none() {
            return Ok(None);
        }
        let stored = self.weights.find(&name).map(|(_, tensor)| tensor.dtype);
        let Some(kind) = stored.and_then(Dtype::quant_kind) else {
            // Missing or dense: `values` says which.
            return Ok(None);
        };
        let (_, bytes) = self
            .weights
            .take_rows_raw(&name, &[rows, cols], block(part))?;
        self.sample(&name, &bytes, u32::from);
        self.parameters += rows * cols;
        let bytes = self.in_order(key, bytes, rows);
        let Some(device) = &self.keep_blocks else {
            return Ok(None);
        };
        let matrix = QuantMatrix::from_ggml(&bytes, kind, rows, cols, device);
        matrix
            .map(Some)
            .map_err(|error| self.fail(name, error.problem))
    }

    fn contains(&self, key: &str) -> bool {
        self.weights.contains(&self.stored(key).name)
    }
}

/// Index and number of the block of rows; a whole tensor is one of one.
fn block(part: Option<Part>) -> (usize, usize) {
    part.map_or((0, 1), |part| (part.index, part.of))
}

/// A source that takes what `first` has and the rest from `rest`; for starting a model from parts of another.
pub struct Overlay<'a> {
    /// Asked first, under the name this function gives; `None` when it has nothing to say.
    pub first: CheckpointSource,
    /// The name of a key in `first`.
    pub name_in_first: fn(&str) -> Option<String>,
    /// Asked for everything else.
    pub rest: &'a mut dyn ParamSource,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}

impl ParamSource for Overlay<'_> {
    fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Values> {
        match (self.name_in_first)(name) {
            Some(other) => self.first.values(&other, shape, init),
            None => self.rest.values(name, shape, init),
        }
    }

    fn contains(&self, name: &str) -> bool {
        match (self.name_in_first)(name) {
            Some(other) => self.first.contains(&other),
            None => self.rest.contains(name),
        }
    }
}
