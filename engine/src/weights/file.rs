//! One weight file of either format: its tensor table and the reads from it.

use std::collections::HashMap;

use super::header::{Header, TensorInfo};
use super::{ByteSource, Metadata, gguf, quant, safetensors};
use crate::{Error, Result, foreign};

/// Bytes decoded at a time, so that reading a quantised tensor never holds it twice.
const CHUNK_BYTES: usize = 1 << 20;

/// An opened GGUF or safetensors file: header parsed and checked, tensors read on demand.
pub struct WeightFile {
    file: String,
    source: Box<dyn ByteSource>,
    header: Header,
    index: HashMap<String, usize>,
}

impl std::fmt::Debug for WeightFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightFile")
            .field("file", &self.file)
            .field("tensors", &self.header.tensors.len())
            .finish_non_exhaustive()
    }
}

impl WeightFile {
    /// Reads and checks the header; the format is told by content, `file` only names it in errors.
    ///
    /// # Errors
    /// [`Error::Weights`] when the header is truncated, inconsistent, or points outside the file.
    pub fn open(file: &str, source: Box<dyn ByteSource>) -> Result<Self> {
        let header = match read_header(file, source.as_ref()) {
            Ok(header) => header,
            Err(error) => return Err(foreign_or(error, file, source.as_ref())),
        };
        let mut index = HashMap::with_capacity(header.tensors.len());
        for (i, tensor) in header.tensors.iter().enumerate() {
            if index.insert(tensor.name.clone(), i).is_some() {
                return Err(Error::Weights {
                    file: file.into(),
                    place: tensor.name.clone(),
                    problem: "the file holds two tensors of this name".into(),
                });
            }
        }
        Ok(Self {
            file: file.into(),
            source,
            header,
            index,
        })
    }

    /// The file as the caller named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All tensors we can read, in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.header.tensors
    }

    /// Names and types of tensors stored in a type we cannot decode.
    pub fn unreadable(&self) -> &[(String, String)] {
        &self.header.unreadable
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.header.tensors.get(*self.index.get(name)?)
    }

    /// GGUF's key-value pairs or safetensors' `__metadata__`.
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// The tensor's bytes as stored.
    ///
    /// # Errors
    /// When `tensor` is not of this file or the bytes cannot be read.
    pub fn read_raw(&self, tensor: &TensorInfo) -> Result<Vec<u8>> {
        let size = self.checked_size(tensor)?;
        let mut bytes = vec![0; size];
        self.source.read_at(tensor.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The tensor's elements, dequantised block by block.
    ///
    /// # Errors
    /// When `tensor` is not of this file or the bytes cannot be read.
    pub fn read_f32(&self, tensor: &TensorInfo) -> Result<Vec<f32>> {
        let size = self.checked_size(tensor)?;
        let block = tensor.dtype.block_bytes();
        let chunk = CHUNK_BYTES / block * block;
        let mut values = Vec::with_capacity(size / block * tensor.dtype.block_len());
        let mut buffer = vec![0; chunk.min(size)];
        let mut done = 0;
        while done < size {
            let part = &mut buffer[..chunk.min(size - done)];
            self.source.read_at(tensor.offset + done as u64, part)?;
            quant::decode(tensor.dtype, part, &mut values)?;
            done += part.len();
        }
        Ok(values)
    }

    /// The tensor's size in memory, once its range is known to lie in this file.
    fn checked_size(&self, tensor: &TensorInfo) -> Result<usize> {
        // The fields are public, so a caller may hold a record of another file.
        let inside = tensor
            .offset
            .checked_add(tensor.bytes)
            .is_some_and(|end| end <= self.source.len());
        let whole = tensor.dtype.tensor_bytes(&tensor.shape) == Some(tensor.bytes);
        match usize::try_from(tensor.bytes) {
            Ok(size) if inside && whole => Ok(size),
            _ => Err(Error::Weights {
                file: self.file.clone(),
                place: tensor.name.clone(),
                problem: format!(
                    "{} bytes at {} as {:?} {} do not fit this file of {} bytes; take the record from `tensors()`",
                    tensor.bytes,
                    tensor.offset,
                    tensor.shape,
                    tensor.dtype,
                    self.source.len()
                ),
            }),
        }
    }
}

fn read_header(file: &str, source: &dyn ByteSource) -> Result<Header> {
    let mut magic = [0u8; 4];
    if source.len() < 8 {
        return Err(Error::Weights {
            file: file.into(),
            place: "byte 0".into(),
            problem: format!(
                "{} bytes are too few for a weight file; was the download cut off?",
                source.len()
            ),
        });
    }
    source.read_at(0, &mut magic)?;
    if &magic == gguf::MAGIC {
        gguf::read_header(file, source)
    } else {
        safetensors::read_header(file, source)
    }
}

/// What the file is, if it is of another kind altogether; else why its header cannot be read. Told only of files without a
/// usable header: the length that safetensors begin with may look like anything.
fn foreign_or(error: Error, file: &str, source: &dyn ByteSource) -> Error {
    let mut start = vec![0; source.len().min(foreign::BEGINNING as u64) as usize];
    let told = match source.read_at(0, &mut start) {
        Ok(()) if !start.starts_with(gguf::MAGIC) => foreign::weights(&start),
        _ => None,
    };
    match told {
        Some(problem) => Error::Weights {
            file: file.into(),
            place: "whole file".into(),
            problem,
        },
        None => error,
    }
}
