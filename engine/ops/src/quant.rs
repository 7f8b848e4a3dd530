//! Quantised matrices in memory: on the CPU packed for its loops, elsewhere in the words of GPUs.

#[cfg(feature = "cpu")]
use std::sync::Arc;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
#[cfg(feature = "cpu")]
use namelens_cpu_kernels::{Bits, Group, Packed};

#[cfg(feature = "cpu")]
use super::on_flex;
use crate::blocks::{BLOCK, Layout, QuantKind};

/// Blocks of a file that are no matrix of the shape that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ggml blocks: {place}: {problem}")]
pub struct UnfitBlocks {
    /// Their format and the shape.
    pub place: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A matrix `[rows, cols]` of quantised blocks on a device.
#[derive(Debug, Clone)]
pub struct QuantMatrix {
    pub(super) storage: Storage,
    pub(crate) kind: QuantKind,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    device: Device,
}

/// Where in a buffer a binding may begin on every WebGPU device, bytes.
const BINDING: usize = 256;
/// What a binding may be as large as on every WebGPU device, bytes.
const LARGEST: usize = 128 << 20;

/// Whether parts of so many bytes can be bound each by itself and all as one.
fn can_stack(bytes: &[usize]) -> bool {
    let all = bytes
        .iter()
        .try_fold(0usize, |all, own| all.checked_add(*own));
    all.is_some_and(|all| all <= LARGEST) && bytes.iter().all(|own| own.is_multiple_of(BINDING))
}

/// How a matrix is held.
#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// `[rows, words]` i32 bit patterns of the [`Layout`] of its format.
    Blocks(Box<Tensor<2, Int>>),
    /// In the order of the CPU's loops.
    #[cfg(feature = "cpu")]
    Packed(Arc<Packed>),
}

impl QuantMatrix {
    /// Format of the blocks it was made of.
    pub fn kind(&self) -> QuantKind {
        self.kind
    }

    /// N
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// K, a multiple of [`BLOCK`].
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes that a matrix of `rows` rows takes in the memory of a device, saturating.
    pub fn bytes(kind: QuantKind, rows: usize, cols: usize, device: &Device) -> u64 {
        #[cfg(feature = "cpu")]
        if is_packed(device) {
            let bits = bits(kind);
            // Blocks of 4 bits always have offsets in memory, for their codes count from 0.
            let offsets = bits == Bits::Four || matches!(kind, QuantKind::Q5_1 | QuantKind::Q5K);
            return Packed::bytes_of(bits, rows, cols, offsets) as u64;
        }
        let _ = device;
        (rows as u64).saturating_mul(4 * Layout::from(kind).row_words(cols) as u64)
    }

    /// Takes the blocks of a GGUF tensor of `rows` rows of `cols` weights to a device.
    ///
    /// # Errors
    /// [`UnfitBlocks`] when `cols` is not a multiple of the block, the number of bytes is not what the shape needs, or a
    /// scale is not finite. The caller knows the file and the tensor's name.
    pub fn from_ggml(
        bytes: &[u8],
        kind: QuantKind,
        rows: usize,
        cols: usize,
        device: &Device,
    ) -> Result<Self, UnfitBlocks> {
        let fail = |problem: String| UnfitBlocks {
            place: format!("{kind:?} [{rows}, {cols}]"),
            problem,
        };
        if rows == 0 || cols == 0 || !cols.is_multiple_of(kind.block_len()) {
            return Err(fail(format!(
                "a row must hold whole blocks of {} weights; convert this tensor to f16 or f32",
                kind.block_len()
            )));
        }
        let row_bytes = (cols / kind.block_len()).checked_mul(kind.block_bytes());
        let expected = row_bytes
            .and_then(|row| row.checked_mul(rows))
            .ok_or_else(|| fail("the shape overflows; the file is corrupt".into()))?;
        if bytes.len() != expected {
            return Err(fail(format!(
                "needs {expected} bytes but {} are there; the file is truncated or the shape wrong",
                bytes.len()
            )));
        }
        let (mut at, mut odd) = (0, None);
        kind.codes(bytes, &mut |codes| {
            if odd.is_none() && !codes.is_finite() {
                odd = Some(at * BLOCK / kind.block_len());
            }
            at += 1;
        });
        if let Some(block) = odd {
            return Err(fail(format!(
                "block {block} has a scale that is not finite; the file is corrupt"
            )));
        }
        Ok(Self {
            storage: stored(bytes, kind, [rows, cols], device)
                .ok_or_else(|| fail("cannot be packed; the file is corrupt".into()))?,
            kind,
            rows,
            cols,
            device: device.clone().inner(),
        })
    }

    /// The rows of several matrices as one, for a product with all of them in one go; they become parts of it, so that it takes
    /// no memory of its own.
    ///
    /// `None`, and nothing changes, where that is not possible or of no use: their formats or columns differ, all are more than a binding may hold, a part would not begin where
    /// a kernel can be given it, or they are packed for the CPU's loops, which take several matrices as they are.
    pub fn stack(parts: &mut [&mut Self]) -> Option<Self> {
        let first = parts.first()?;
        let (kind, cols, device) = (first.kind, first.cols, first.device());
        let (mut blocks, mut bytes) = (Vec::with_capacity(parts.len()), Vec::new());
        for part in parts.iter() {
            #[allow(irrefutable_let_patterns, reason = "the other kind exists by feature")]
            let Storage::Blocks(own) = &part.storage else {
                return None;
            };
            if part.kind != kind || part.cols != cols {
                return None;
            }
            bytes.push(4 * own.dims()[1] * part.rows);
            blocks.push(Tensor::clone(own));
        }
        if !can_stack(&bytes) {
            return None;
        }
        let all = Tensor::cat(blocks, 0);
        let mut rows = 0;
        for part in parts.iter_mut() {
            part.storage = Storage::Blocks(Box::new(all.clone().narrow(0, rows, part.rows)));
            rows += part.rows;
        }
        Some(Self {
            storage: Storage::Blocks(Box::new(all)),
            kind,
            rows,
            cols,
            device,
        })
    }

    /// The matrix as the CPU's loops take it, where it is on a CPU.
    #[cfg(feature = "cpu")]
    pub(super) fn packed(&self) -> Option<&Packed> {
        match &self.storage {
            Storage::Packed(packed) => Some(packed),
            Storage::Blocks(_) => None,
        }
    }

    /// The device it is on, without gradients.
    pub fn device(&self) -> Device {
        self.device.clone()
    }
}

/// Whether matrices on this device are packed for the CPU's loops.
#[cfg(feature = "cpu")]
fn is_packed(device: &Device) -> bool {
    on_flex(&device.clone().inner(), DType::F32)
}

fn stored(
    bytes: &[u8],
    kind: QuantKind,
    [rows, cols]: [usize; 2],
    device: &Device,
) -> Option<Storage> {
    #[cfg(feature = "cpu")]
    if is_packed(device) {
        let packed = packed(bytes, kind, rows, cols)?;
        return Some(Storage::Packed(Arc::new(packed)));
    }
    let words = kind.words(bytes, cols);
    let words_a_row = words.len() / rows;
    let data = TensorData::new(words, [rows, words_a_row]);
    // The dtype is named because a device's default integers may have 64 bits.
    let blocks = Tensor::from_data(data, (&device.clone().inner(), DType::I32));
    Some(Storage::Blocks(Box::new(blocks)))
}

/// Bits of the codes that hold a format.
#[cfg(feature = "cpu")]
fn bits(kind: QuantKind) -> Bits {
    match kind {
        QuantKind::Q4_0 | QuantKind::Q4_1 | QuantKind::Q4K => Bits::Four,
        QuantKind::Q8_0 | QuantKind::Q5_0 | QuantKind::Q5_1 | QuantKind::Q5K => Bits::Eight,
        QuantKind::Q6K => Bits::Six,
    }
}

#[cfg(feature = "cpu")]
fn packed(bytes: &[u8], kind: QuantKind, rows: usize, cols: usize) -> Option<Packed> {
    // Row by row: the groups of all would take more memory than the matrix.
    let a_row = bytes.len().checked_div(rows)?.max(1);
    let groups = bytes.chunks(a_row).flat_map(|row| groups(row, kind));
    Packed::new(bits(kind), rows, cols, groups)
}

/// The groups of some whole blocks.
#[cfg(feature = "cpu")]
fn groups(bytes: &[u8], kind: QuantKind) -> Vec<Group> {
    let mut groups = Vec::new();
    kind.codes(bytes, &mut |codes| {
        let mut group = Group {
            scales: codes.scales,
            least: codes.least.unwrap_or(0.0),
            codes: codes.codes,
        };
        if kind == QuantKind::Q4_0 {
            // Codes from -8 on: 8 steps up, and the offset takes them back, exactly, for scales are halves.
            group.codes = group.codes.map(|code| code + 8);
            group.least = -8.0 * group.scales[0];
        }
        groups.push(group);
    });
    groups
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::{quant_matvec, reference};

    /// One block: the scale's bits, then the quants by weight number.
    fn block(kind: QuantKind, scale: u16, quant: impl Fn(usize) -> i32) -> Vec<u8> {
        let mut bytes = scale.to_le_bytes().to_vec();
        match kind {
            QuantKind::Q8_0 => bytes.extend((0..32).map(|i| quant(i) as i8 as u8)),
            _ => bytes
                .extend((0..16).map(|i| (quant(i) + 8) as u8 | ((quant(i + 16) + 8) as u8) << 4)),
        }
        bytes
    }

    /// A matrix as GPUs have it.
    fn words(kind: QuantKind, bytes: &[u8], [rows, cols]: [usize; 2]) -> Tensor<2, Int> {
        let words = kind.words(bytes, cols);
        let words = TensorData::new(words, [rows, Layout::from(kind).row_words(cols)]);
        Tensor::from_data(words, (&Device::flex(), DType::I32))
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
                _ => -8 + (i as i32 * 7 + row as i32 * 3) % 16,
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
            // The plain body reads the blocks themselves, as it does where there is no packed form.
            let blocks = words(kind, &bytes, [2, 64]);
            let plain: Vec<f32> = reference::dequantize(blocks, kind.into(), 64)
                .into_data()
                .try_to_vec()
                .unwrap();
            assert_eq!(direct, expected, "{kind:?} directly");
            assert_eq!(plain, expected, "{kind:?} by the plain body");
        }
    }

    /// Any bytes are blocks, once their halves (at these places) are finite.
    #[test]
    fn blocks_of_every_format_keep_their_weights_when_packed() {
        let kinds = [
            (QuantKind::Q8_0, [0].as_slice()),
            (QuantKind::Q4_0, &[0]),
            (QuantKind::Q4_1, &[0, 2]),
            (QuantKind::Q5_0, &[0]),
            (QuantKind::Q5_1, &[0, 2]),
            (QuantKind::Q4K, &[0, 2]),
            (QuantKind::Q5K, &[0, 2]),
            (QuantKind::Q6K, &[208]),
        ];
        let mut stream = Stream::new(5);
        for (kind, halves) in kinds {
            // Two tiles of rows, the second of them not whole, and two blocks of the longest a row.
            let (rows, cols) = (11, 512);
            let count = rows * cols / kind.block_len() * kind.block_bytes();
            let mut bytes: Vec<u8> = (0..count)
                .map(|_| (stream.normal() * 64.0) as i64 as u8)
                .collect();
            for block in bytes.chunks_exact_mut(kind.block_bytes()) {
                // Below 2: a sign, 15 of the exponents, any fraction.
                halves.iter().for_each(|&half| block[half + 1] &= 0xbf);
            }
            let mut weights = Vec::new();
            kind.codes(&bytes, &mut |codes| weights.extend(codes.weights()));
            let matrix = QuantMatrix::from_ggml(&bytes, kind, rows, cols, &Device::flex()).unwrap();
            let found: Vec<f32> = matrix.dequantize().into_data().try_to_vec().unwrap();
            assert_eq!(found, weights, "{kind:?}");
            let plain = reference::dequantize(words(kind, &bytes, [rows, cols]), kind.into(), cols);
            let plain: Vec<f32> = plain.into_data().try_to_vec().unwrap();
            assert_eq!(plain, weights, "{kind:?} in words");
            let x: Vec<f32> = (0..cols).map(|_| stream.normal() as f32).collect();
            let largest = x.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
            let x_on = Tensor::from_data(TensorData::new(x.clone(), [1, cols]), &Device::flex());
            let found: Vec<f32> = quant_matvec(x_on, &matrix)
                .into_data()
                .try_to_vec()
                .unwrap();
            for (found, row) in found.iter().zip(weights.chunks_exact(cols)) {
                let terms = row.iter().zip(&x);
                let want: f64 = terms.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let sizes: f64 = row.iter().map(|w| f64::from(w.abs())).sum();
                // Half a step of 1/32767 of the largest activation, for each weight, and what sums in f32 round.
                let bound = sizes * f64::from(largest) * 2e-5;
                assert!(
                    (f64::from(*found) - want).abs() <= bound,
                    "{kind:?}: {found} for {want}"
                );
            }
        }
    }

    #[test]
    fn what_is_stacked_can_be_bound() {
        assert!(can_stack(&[256, 512, 768]) && can_stack(&[LARGEST / 2; 2]));
        assert!(
            !can_stack(&[256, 255]),
            "the second would not begin at a place"
        );
        assert!(
            !can_stack(&[LARGEST / 2, LARGEST / 2 + 256]),
            "larger than a binding"
        );
        assert!(!can_stack(&[usize::MAX - 255, 256]), "no number");
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
