//! How matrices are held in memory: as their files store them, or in blocks of 8-bit numbers whatever they are stored as.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::checkpoint::CheckpointSource;
use super::params::{Init, ParamSource, Values};
use crate::Result;
use crate::ops::{QuantKind, QuantMatrix};
use crate::weights::{Dtype, encode};

/// How matrices are held in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Q8_0 and Q4_0 of GGUF files as they are, everything else as f32.
    #[default]
    Stored,
    /// All that can be in blocks as Q8_0, about a quarter of the memory of f32; what is in blocks already stays as it is.
    Q8_0,
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
        // A row is a whole number of blocks; what is narrower stays dense.
        if self.precision == Precision::Stored || !cols.is_multiple_of(Dtype::Q8_0.block_len()) {
            return Ok(None);
        }
        let init = Init::Constant(0.0);
        let Values::Host(values) = self.source.values(name, &[rows, cols], init)? else {
            return Ok(None);
        };
        let bytes = encode(Dtype::Q8_0, &values)?;
        QuantMatrix::from_ggml(&bytes, QuantKind::Q8_0, rows, cols, &self.device).map(Some)
    }

    fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }
}
