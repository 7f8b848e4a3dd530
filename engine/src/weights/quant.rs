//! Element types of weight tensors: block sizes, and encoding and decoding exactly as ggml does it.
//!
//! Block layouts and rounding follow `ggml-quants.c` (`quantize_row_q8_0_ref`, `quantize_row_q4_0_ref`).

use std::fmt;

use half::{bf16, f16};

use crate::{Error, Result};

/// Elements in a Q8_0 or Q4_0 block.
const BLOCK: usize = 32;

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
}

impl Dtype {
    /// Elements a block; 1 for the float types.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_0 => BLOCK,
        }
    }

    /// Bytes a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 2 + BLOCK,
            Self::Q4_0 => 2 + BLOCK / 2,
        }
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
        outer.iter().try_fold(self.row_bytes(cols)?, |bytes, &dim| {
            bytes.checked_mul(dim as u64)
        })
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
            out.extend(words.iter().map(|w| f16::from_le_bytes(*w).to_f32()));
        }
        Dtype::BF16 => {
            let (words, _) = bytes.as_chunks::<2>();
            out.extend(words.iter().map(|w| bf16::from_le_bytes(*w).to_f32()));
        }
        Dtype::Q8_0 => {
            let (blocks, _) = bytes.as_chunks::<{ 2 + BLOCK }>();
            for [lo, hi, quants @ ..] in blocks {
                let scale = f16::from_le_bytes([*lo, *hi]).to_f32();
                out.extend(quants.iter().map(|&q| f32::from(q as i8) * scale));
            }
        }
        Dtype::Q4_0 => {
            let (blocks, _) = bytes.as_chunks::<{ 2 + BLOCK / 2 }>();
            for [lo, hi, quants @ ..] in blocks {
                let scale = f16::from_le_bytes([*lo, *hi]).to_f32();
                let value = |nibble: u8| f32::from(nibble as i8 - 8) * scale;
                out.extend(quants.iter().map(|&q| value(q & 0x0F)));
                out.extend(quants.iter().map(|&q| value(q >> 4)));
            }
        }
    }
    Ok(())
}

/// Encodes whole blocks of `values`, rounding as ggml's reference quantisers do.
///
/// # Errors
/// When `values` is not a whole number of blocks, or a block to be quantised holds a value that is
/// not finite or too large for the block's f16 scale.
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
    match dtype {
        Dtype::F32 => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Dtype::F16 => out.extend(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes())),
        Dtype::BF16 => out.extend(values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes())),
        Dtype::Q8_0 => {
            for block in values.as_chunks::<BLOCK>().0 {
                encode_q8_0(block, &mut out)?;
            }
        }
        Dtype::Q4_0 => {
            for block in values.as_chunks::<BLOCK>().0 {
                encode_q4_0(block, &mut out)?;
            }
        }
    }
    Ok(out)
}

fn encode_q8_0(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<()> {
    let largest = extreme(block).abs();
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { scale.recip() };
    push_scale(Dtype::Q8_0, scale, out)?;
    // `round` is C's roundf: halves away from zero. |v * inverse| <= 127 up to rounding, and the cast saturates.
    out.extend(block.iter().map(|v| (v * inverse).round() as i8 as u8));
    Ok(())
}

fn encode_q4_0(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<()> {
    // The signed extreme maps to -8, the one code without a positive twin.
    let scale = extreme(block) / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { scale.recip() };
    push_scale(Dtype::Q4_0, scale, out)?;
    let code = |v: f32| ((v * inverse + 8.5) as u8).min(15);
    let (low, high) = block.split_at(BLOCK / 2);
    out.extend(
        low.iter()
            .zip(high)
            .map(|(&l, &h)| code(l) | (code(h) << 4)),
    );
    Ok(())
}

/// The first element with the largest absolute value, with its sign; NaN if the block holds one.
fn extreme(block: &[f32; BLOCK]) -> f32 {
    let mut extreme = 0.0f32;
    for &v in block {
        if v.is_nan() {
            return v;
        }
        if v.abs() > extreme.abs() {
            extreme = v;
        }
    }
    extreme
}

fn push_scale(dtype: Dtype, scale: f32, out: &mut Vec<u8>) -> Result<()> {
    let half = f16::from_f32(scale);
    if !half.is_finite() {
        return Err(misfit(
            dtype,
            format!(
                "a block needs the scale {scale}, which f16 cannot hold; store this tensor as F32 or BF16"
            ),
        ));
    }
    out.extend(half.to_le_bytes());
    Ok(())
}

fn misfit(dtype: Dtype, problem: String) -> Error {
    Error::Weights {
        file: "tensor data".into(),
        place: dtype.to_string(),
        problem,
    }
}
