//! Element types of weight tensors: block sizes, and encoding and decoding bit for bit as the reference package does it.
//!
//! Layouts and rounding follow `ggml-quants.c`; the order of the float operations is that of `gguf.quants`.

#[cfg(test)]
mod tests;

use std::fmt;

use half::{bf16, f16};

use crate::ops::{QuantKind, Unquantised};
use crate::{Error, Result};

/// How the elements of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE single precision, little-endian.
    F32,
    /// IEEE half precision, little-endian.
    F16,
    /// The upper half of an `F32`, little-endian.
    BF16,
    /// Blocks of 32: an f16 scale, then 32 signed bytes.
    Q8_0,
    /// Blocks of 32: an f16 scale, then 16 bytes; low nibbles are elements 0-15, high nibbles 16-31.
    Q4_0,
    /// As `Q4_0`, with an f16 offset (the block's least value) after the scale.
    Q4_1,
    /// As `Q4_0`, with the fifth bits of the 32 elements in 4 bytes before the nibbles.
    Q5_0,
    /// As `Q4_1`, with the fifth bits of the 32 elements in 4 bytes before the nibbles.
    Q5_1,
    /// Blocks of 256: two f16 scales, 8 six-bit scales and offsets in 12 bytes, 128 bytes of nibbles.
    Q4K,
    /// As `Q4K`, with 32 bytes of fifth bits before the nibbles. Read only.
    Q5K,
    /// Blocks of 256: 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales, an f16 scale. Read only.
    Q6K,
}

impl Dtype {
    /// Every type a tensor can be read in.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Elements a block; 1 for the float types.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 => QuantKind::Q8_0.block_len(),
            Self::Q4_0 => QuantKind::Q4_0.block_len(),
            Self::Q4_1 => QuantKind::Q4_1.block_len(),
            Self::Q5_0 => QuantKind::Q5_0.block_len(),
            Self::Q5_1 => QuantKind::Q5_1.block_len(),
            Self::Q4K => QuantKind::Q4K.block_len(),
            Self::Q5K => QuantKind::Q5K.block_len(),
            Self::Q6K => QuantKind::Q6K.block_len(),
        }
    }

    /// Bytes a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => QuantKind::Q8_0.block_bytes(),
            Self::Q4_0 => QuantKind::Q4_0.block_bytes(),
            Self::Q4_1 => QuantKind::Q4_1.block_bytes(),
            Self::Q5_0 => QuantKind::Q5_0.block_bytes(),
            Self::Q5_1 => QuantKind::Q5_1.block_bytes(),
            Self::Q4K => QuantKind::Q4K.block_bytes(),
            Self::Q5K => QuantKind::Q5K.block_bytes(),
            Self::Q6K => QuantKind::Q6K.block_bytes(),
        }
    }

    /// The format of its blocks, which operations work on; `None` for the float types.
    pub const fn quant_kind(self) -> Option<QuantKind> {
        match self {
            Self::Q8_0 => Some(QuantKind::Q8_0),
            Self::Q4_0 => Some(QuantKind::Q4_0),
            Self::Q4_1 => Some(QuantKind::Q4_1),
            Self::Q5_0 => Some(QuantKind::Q5_0),
            Self::Q5_1 => Some(QuantKind::Q5_1),
            Self::Q4K => Some(QuantKind::Q4K),
            Self::Q5K => Some(QuantKind::Q5K),
            Self::Q6K => Some(QuantKind::Q6K),
            Self::F32 | Self::F16 | Self::BF16 => None,
        }
    }

    /// Whether elements are stored one by one, and so also in safetensors files.
    pub const fn is_float(self) -> bool {
        self.block_len() == 1
    }

    /// Bytes a row of `cols` elements, or `None` if it is not whole blocks or overflows.
    pub fn row_bytes(self, cols: usize) -> Option<u64> {
        if !cols.is_multiple_of(self.block_len()) {
            return None;
        }
        ((cols / self.block_len()) as u64).checked_mul(self.block_bytes() as u64)
    }

    /// Bytes of a tensor of this shape, or `None` if its rows are not whole blocks or it overflows.
    pub fn tensor_bytes(self, shape: &[usize]) -> Option<u64> {
        let (cols, outer) = match shape.split_last() {
            Some((cols, outer)) => (*cols, outer),
            None => (1, shape),
        };
        let row = self.row_bytes(cols)?;
        // Empty in any order of multiplying: a file's table lists dimensions the other way round.
        if outer.contains(&0) {
            return Some(0);
        }
        outer
            .iter()
            .try_fold(row, |bytes, &dim| bytes.checked_mul(dim as u64))
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        })
    }
}

/// Appends the elements of whole blocks to `out`; a partial block at the end is an error.
///
/// # Errors
/// When `bytes` is not a whole number of blocks.
pub fn decode(dtype: Dtype, bytes: &[u8], out: &mut Vec<f32>) -> Result<()> {
    if !bytes.len().is_multiple_of(dtype.block_bytes()) {
        return Err(misfit(
            dtype,
            format!(
                "{} bytes are not whole blocks of {}",
                bytes.len(),
                dtype.block_bytes()
            ),
        ));
    }
    out.reserve(bytes.len() / dtype.block_bytes() * dtype.block_len());
    match dtype {
        Dtype::F32 => {
            let (words, _) = bytes.as_chunks::<4>();
            out.extend(words.iter().map(|w| f32::from_le_bytes(*w)));
        }
        Dtype::F16 => {
            let (words, _) = bytes.as_chunks::<2>();
            out.extend(words.iter().map(|w| half_at(*w)));
        }
        Dtype::BF16 => {
            let (words, _) = bytes.as_chunks::<2>();
            out.extend(words.iter().map(|w| bf16::from_le_bytes(*w).to_f32()));
        }
        blocks => {
            if let Some(kind) = blocks.quant_kind() {
                kind.codes(bytes, &mut |codes| out.extend(codes.weights()));
            }
        }
    }
    Ok(())
}

/// Encodes whole blocks of `values`, rounding as ggml's reference quantisers do.
///
/// # Errors
/// When `values` is not a whole number of blocks, a block to be quantised holds a value that is not
/// finite or too large for the block's f16 scale, or the type is one that is only read.
pub fn encode(dtype: Dtype, values: &[f32]) -> Result<Vec<u8>> {
    if !values.len().is_multiple_of(dtype.block_len()) {
        return Err(misfit(
            dtype,
            format!(
                "{} values are not whole blocks of {}",
                values.len(),
                dtype.block_len()
            ),
        ));
    }
    let mut out = Vec::with_capacity(values.len() / dtype.block_len() * dtype.block_bytes());
    match dtype.quant_kind() {
        Some(kind) => kind.encode(values, &mut out).map_err(|why| {
            let problem = match why {
                Unquantised::ReadOnly => "this type is only read; write Q8_0 or Q4_K".into(),
                Unquantised::TooLarge(value) => format!(
                    "a block needs the scale or offset {value}, which f16 cannot hold; store this tensor as F32 or BF16"
                ),
            };
            misfit(dtype, problem)
        })?,
        None => match dtype {
            Dtype::F16 => out.extend(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes())),
            Dtype::BF16 => out.extend(values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes())),
            _ => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        },
    }
    Ok(out)
}

fn half_at(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

fn misfit(dtype: Dtype, problem: String) -> Error {
    Error::Weights {
        file: "tensor data".into(),
        place: dtype.to_string(),
        problem,
    }
}
