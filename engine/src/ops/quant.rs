//! Matrices of ggml blocks, kept packed as they are stored in a GGUF file.

use crate::blocks::{BLOCK, QuantKind};
use crate::{Error, Result};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// A matrix `[rows, cols]` of quantised blocks on a device.
#[derive(Debug, Clone)]
pub struct QuantMatrix {
    /// `[rows, words]` i32 bit patterns of the little-endian blocks, each row padded to whole words.
    pub blocks: Tensor<2, Int>,
    /// Format of a block.
    pub kind: QuantKind,
    /// N
    pub rows: usize,
    /// K, a multiple of [`BLOCK`]
    pub cols: usize,
}

impl QuantMatrix {
    /// Takes the blocks of a GGUF tensor of `rows` rows of `cols` weights to a device.
    ///
    /// # Errors
    /// [`Error::Weights`] when `cols` is not a multiple of [`BLOCK`], the number of bytes is not
    /// what the shape needs, or a scale is not finite. The caller knows the file and the tensor's
    /// name; this says `ggml blocks` and the shape.
    pub fn from_ggml(
        bytes: &[u8],
        kind: QuantKind,
        rows: usize,
        cols: usize,
        device: &Device,
    ) -> Result<Self> {
        let fail = |problem: String| Error::Weights {
            file: "ggml blocks".into(),
            place: format!("{kind:?} [{rows}, {cols}]"),
            problem,
        };
        if rows == 0 || cols == 0 || !cols.is_multiple_of(BLOCK) {
            return Err(fail(format!(
                "a row must hold whole blocks of {BLOCK} weights; convert this tensor to f16 or f32"
            )));
        }
        let row_bytes = (cols / BLOCK).checked_mul(kind.block_bytes());
        let (row_bytes, expected) = row_bytes
            .and_then(|row| Some((row, row.checked_mul(rows)?)))
            .ok_or_else(|| fail("the shape overflows; the file is corrupt".into()))?;
        if bytes.len() != expected {
            return Err(fail(format!(
                "needs {expected} bytes but {} are there; the file is truncated or the shape wrong",
                bytes.len()
            )));
        }
        let is_finite = |block: &[u8]| half::f16::from_le_bytes([block[0], block[1]]).is_finite();
        if let Some(block) = bytes
            .chunks_exact(kind.block_bytes())
            .position(|block| !is_finite(block))
        {
            return Err(fail(format!(
                "block {block} has a scale that is not finite; the file is corrupt"
            )));
        }
        let words: Vec<i32> = bytes
            .chunks_exact(row_bytes)
            .flat_map(padded_words)
            .collect();
        let data = TensorData::new(words, [rows, kind.row_words(cols)]);
        // The dtype is named because a device's default integers may have 64 bits.
        let blocks = Tensor::from_data(data, (&device.clone().inner(), DType::I32));
        Ok(Self {
            blocks,
            kind,
            rows,
            cols,
        })
    }
}

/// The bytes of a row as words; the last is filled with zeros.
fn padded_words(row: &[u8]) -> impl Iterator<Item = i32> + '_ {
    row.chunks(4).map(|bytes| {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        i32::from_le_bytes(word)
    })
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::ops::reference;

    /// One block: the scale's bits, then the quants by weight number.
    fn block(kind: QuantKind, scale: u16, quant: impl Fn(usize) -> i32) -> Vec<u8> {
        let mut bytes = scale.to_le_bytes().to_vec();
        match kind {
            QuantKind::Q8_0 => bytes.extend((0..32).map(|i| quant(i) as i8 as u8)),
            QuantKind::Q4_0 => bytes
                .extend((0..16).map(|i| (quant(i) + 8) as u8 | ((quant(i + 16) + 8) as u8) << 4)),
        }
        bytes
    }

    #[test]
    fn weights_are_scale_times_quant_in_both_bodies() {
        // 1, -2, the smallest subnormal, and a negative subnormal with a full mantissa.
        let scales = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, f32::exp2(-24.0)),
            (0x83ff, -1023.0 * f32::exp2(-24.0)),
        ];
        for kind in [QuantKind::Q8_0, QuantKind::Q4_0] {
            let quant = |row: usize, i: usize| match kind {
                QuantKind::Q8_0 => -128 + (i as i32 * 37 + row as i32 * 90) % 256,
                QuantKind::Q4_0 => -8 + (i as i32 * 7 + row as i32 * 3) % 16,
            };
            let bytes: Vec<u8> = scales
                .iter()
                .enumerate()
                .flat_map(|(row, &(bits, _))| block(kind, bits, |i| quant(row, i)))
                .collect();
            // Two blocks a row, so that the second is not word-aligned.
            let matrix = QuantMatrix::from_ggml(&bytes, kind, 2, 64, &Device::flex()).unwrap();
            let expected: Vec<f32> = scales
                .iter()
                .enumerate()
                .flat_map(|(row, &(_, scale))| (0..32).map(move |i| scale * quant(row, i) as f32))
                .collect();
            let direct: Vec<f32> = matrix.dequantize().into_data().try_to_vec().unwrap();
            let plain: Vec<f32> = reference::dequantize(matrix.blocks.clone(), kind, 64)
                .into_data()
                .try_to_vec()
                .unwrap();
            assert_eq!(direct, expected, "{kind:?} directly");
            assert_eq!(plain, expected, "{kind:?} by the plain body");
        }
    }

    #[test]
    fn wrong_bytes_are_refused_with_a_reason() {
        let refusal = |bytes: &[u8], rows, cols| {
            QuantMatrix::from_ggml(bytes, QuantKind::Q4_0, rows, cols, &Device::flex())
                .unwrap_err()
                .to_string()
        };
        assert!(refusal(&[0; 18], 1, 33).contains("whole blocks"));
        assert!(refusal(&[], 0, 32).contains("whole blocks"));
        assert!(refusal(&[0; 17], 1, 32).contains("needs 18 bytes but 17"));
        assert!(refusal(&[0; 36], 1, 32).contains("needs 18 bytes but 36"));
        assert!(refusal(&[0; 18], usize::MAX, 64).contains("overflows"));
        let mut infinite = vec![0; 36];
        infinite[19] = 0x7c;
        assert!(refusal(&infinite, 1, 64).contains("block 1 has a scale"));
    }
}
