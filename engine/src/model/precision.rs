//! How matrices are held in memory: as their files store them, or in blocks of few bits whatever they are stored as.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::checkpoint::CheckpointSource;
use super::params::{Init, ParamSource, Values};
use crate::Result;
use crate::ops::QuantMatrix;
use crate::weights::{Dtype, encode};

/// How matrices are held in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Blocks of GGUF files as they are, everything else as f32.
    #[default]
    Stored,
    /// All that can be in blocks as Q8_0, about a quarter of the memory of f32; what is in blocks already stays as it is.
    Q8_0,
    /// As [`Self::Q8_0`] with 4 bits and an offset for each 32 weights; embeddings as Q8_0.
    Q4_1,
    /// As [`Self::Q4_1`] without an offset, which costs more of what the model knows.
    Q4_0,
}

impl Precision {
    /// What a dense matrix becomes; `None` leaves it dense.
    fn of(self, name: &str) -> Option<Dtype> {
        match self {
            Self::Stored => None,
            Self::Q8_0 => Some(Dtype::Q8_0),
            // Rounding a token's vector is felt by all layers, and a shared head is the same matrix.
            Self::Q4_1 | Self::Q4_0 if name.contains("embed_tokens") => Some(Dtype::Q8_0),
            Self::Q4_1 => Some(Dtype::Q4_1),
            Self::Q4_0 => Some(Dtype::Q4_0),
        }
    }
}

/// A checkpoint whose matrices are brought into a precision as they are read.
#[derive(Debug)]
pub struct InPrecision<'a> {
    source: &'a mut CheckpointSource,
    precision: Precision,
    device: Device,
}

impl<'a> InPrecision<'a> {
    /// `source`, with its matrices in `precision` on `device`.
    pub fn new(source: &'a mut CheckpointSource, precision: Precision, device: &Device) -> Self {
        Self {
            source,
            precision,
            device: device.clone(),
        }
    }
}

impl ParamSource for InPrecision<'_> {
    fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Values> {
        self.source.values(name, shape, init)
    }

    fn quantised(&mut self, name: &str, rows: usize, cols: usize) -> Result<Option<QuantMatrix>> {
        if let Some(matrix) = self.source.quantised(name, rows, cols)? {
            return Ok(Some(matrix));
        }
        let dtype = self.precision.of(name);
        // A row is a whole number of blocks; what is narrower stays dense.
        let whole = |dtype: &Dtype| cols.is_multiple_of(dtype.block_len());
        let Some((dtype, kind)) = dtype
            .filter(whole)
            .and_then(|dtype| Some((dtype, dtype.quant_kind()?)))
        else {
            return Ok(None);
        };
        let init = Init::Constant(0.0);
        let Values::Host(values) = self.source.values(name, &[rows, cols], init)? else {
            return Ok(None);
        };
        let bytes = encode(dtype, &values)?;
        let matrix = QuantMatrix::from_ggml(&bytes, kind, rows, cols, &self.device)?;
        Ok(Some(matrix))
    }

    fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }
}
