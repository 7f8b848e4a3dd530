//! Weight files: safetensors and GGUF, read tensor by tensor with every bound checked.
//!
//! Nothing here trusts the file: a header is parsed with caps on every count and length, a tensor's
//! range is proved to lie inside the file before a byte of it is allocated, and at most one header
//! and one tensor are in memory at a time.

mod file;
mod gguf;
mod gguf_reader;
mod gguf_writer;
mod header;
mod metadata;
mod quant;
mod safetensors;
mod safetensors_writer;
mod set;
mod shards;

use std::sync::Arc;

use crate::{Error, Result};

pub use file::WeightFile;
pub use gguf_writer::{Announced, GgufWriter, write_gguf};
pub use header::TensorInfo;
pub use metadata::{Array, Metadata, Value};
pub use quant::{Dtype, decode, encode};
pub use safetensors_writer::write_safetensors;
pub use set::Weights;
pub use shards::{ShardIndex, Split, open_split, shard_files, split_files};

/// Random access to the bytes of one weight file; natively a file, in a browser a fetched buffer.
pub trait ByteSource: Send + Sync {
    /// Size of the whole file in bytes.
    fn len(&self) -> u64;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills all of `out` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When the range leaves the file or the bytes cannot be read.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()>;
}

/// A weight file that is in memory already.
#[derive(Debug, Clone)]
pub struct SliceSource(Arc<[u8]>);

impl SliceSource {
    /// Wraps the bytes of a whole file.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for SliceSource {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl ByteSource for SliceSource {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(out.len())?));
        let bytes = range
            .and_then(|range| self.0.get(range))
            .ok_or_else(|| Error::Weights {
                file: "memory".into(),
                place: format!("byte {offset}"),
                problem: format!(
                    "{} bytes were asked for but the file has {}",
                    out.len(),
                    self.0.len()
                ),
            })?;
        out.copy_from_slice(bytes);
        Ok(())
    }
}

/// One tensor on its way into a file; see [`write_gguf`] and [`write_safetensors`].
#[derive(Debug, Clone, Copy)]
pub struct TensorData<'a> {
    /// Name in the file.
    pub name: &'a str,
    /// Row-major shape, outermost dimension first.
    pub shape: &'a [usize],
    /// How `bytes` are encoded.
    pub dtype: Dtype,
    /// The encoded elements, as [`encode`] returns them.
    pub bytes: &'a [u8],
}

impl TensorData<'_> {
    /// Proves that shape, type and bytes agree, so that a writer never makes a file it cannot read.
    fn check(&self) -> Result<()> {
        let expected = expected_bytes(self.name, self.shape, self.dtype)?;
        if expected == self.bytes.len() as u64 {
            return Ok(());
        }
        Err(Error::Weights {
            file: "output".into(),
            place: self.name.into(),
            problem: format!(
                "shape {:?} in {} is {expected} bytes but {} were given",
                self.shape,
                self.dtype,
                self.bytes.len()
            ),
        })
    }
}

/// Bytes of a tensor on its way into a file.
fn expected_bytes(name: &str, shape: &[usize], dtype: Dtype) -> Result<u64> {
    dtype.tensor_bytes(shape).ok_or_else(|| Error::Weights {
        file: "output".into(),
        place: name.into(),
        problem: format!(
            "shape {shape:?} cannot be stored in {dtype}: its last dimension must be a multiple of {}",
            dtype.block_len()
        ),
    })
}

/// Turns a writer's I/O failure into the engine's error.
fn write_failed(error: &std::io::Error) -> Error {
    Error::Weights {
        file: "output".into(),
        place: "write".into(),
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod tests;
