//! How the rows of a matrix lie in the 32-bit words that GPUs read: one layout of `shaders/common` for each way.

use super::{BLOCK, Codes, QuantKind};

/// Layouts of 32 weights of a row. Every format of files is held in one of them, at no loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// [`QuantKind::Q4_0`] as in its file: 4.5 bits a weight.
    Q4_0,
    /// [`QuantKind::Q8_0`] as in its file: 8.5 bits a weight.
    Q8_0,
    /// Codes of 4 bits; before them what a step is worth and the weight of code 0, in f32: 6 bits a weight.
    A4,
    /// Signed codes of 8 bits; before them what a step is worth in each half and the weight of code 0, in f32: 11 bits a weight.
    A8,
}

impl Layout {
    /// Words a row of `cols` weights takes; the last is filled with zeros.
    pub(crate) const fn row_words(self, cols: usize) -> usize {
        let blocks = cols / BLOCK;
        match self {
            Self::Q4_0 => (blocks * QuantKind::Q4_0.block_bytes()).div_ceil(4),
            Self::Q8_0 => (blocks * QuantKind::Q8_0.block_bytes()).div_ceil(4),
            Self::A4 => blocks * (2 + BLOCK / 8),
            Self::A8 => blocks * (3 + BLOCK / 4),
        }
    }
}

impl From<QuantKind> for Layout {
    fn from(kind: QuantKind) -> Self {
        match kind {
            QuantKind::Q4_0 => Self::Q4_0,
            QuantKind::Q8_0 => Self::Q8_0,
            QuantKind::Q4_1 | QuantKind::Q4K => Self::A4,
            QuantKind::Q5_0 | QuantKind::Q5_1 | QuantKind::Q5K | QuantKind::Q6K => Self::A8,
        }
    }
}

impl QuantKind {
    /// Rows of `cols` weights as the bit patterns of the words of their [`Layout`], `[rows, row_words]`; `bytes` are whole rows.
    pub(crate) fn words(self, bytes: &[u8], cols: usize) -> Vec<i32> {
        let layout = Layout::from(self);
        let row_bytes = cols / self.block_len() * self.block_bytes();
        let rows = bytes.chunks_exact(row_bytes.max(1));
        let mut words = Vec::with_capacity(rows.len() * layout.row_words(cols));
        for row in rows {
            match layout {
                Layout::A4 => self.codes(row, &mut |codes| words.extend(four_bits(&codes))),
                Layout::A8 => self.codes(row, &mut |codes| words.extend(eight_bits(&codes))),
                Layout::Q4_0 | Layout::Q8_0 => words.extend(as_they_are(row)),
            }
        }
        words
    }
}

fn as_they_are(row: &[u8]) -> impl Iterator<Item = i32> + '_ {
    row.chunks(4).map(|bytes| {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        i32::from_le_bytes(word)
    })
}

/// Low nibbles are weights 0..15, high ones 16..31, as in `Q4_0`.
fn four_bits(codes: &Codes) -> impl Iterator<Item = i32> + use<> {
    let (low, high) = codes.codes.split_at(BLOCK / 2);
    let mut nibbles = [0; BLOCK / 2];
    for (byte, (low, high)) in nibbles.iter_mut().zip(low.iter().zip(high)) {
        *byte = *low as u8 | (*high as u8) << 4;
    }
    let least = codes.least.unwrap_or(0.0);
    let scales = [codes.scales[0], least].map(|x| x.to_bits() as i32);
    scales.into_iter().chain(four_bytes(&nibbles))
}

fn eight_bits(codes: &Codes) -> impl Iterator<Item = i32> + use<> {
    let bytes = codes.codes.map(|code| code as u8);
    let [first, second] = codes.scales;
    let least = codes.least.unwrap_or(0.0);
    let scales = [first, second, least].map(|x| x.to_bits() as i32);
    scales.into_iter().chain(four_bytes(&bytes))
}

/// At most a block's bytes as words.
fn four_bytes(bytes: &[u8]) -> impl Iterator<Item = i32> + use<> {
    let mut words = [0; BLOCK / 4];
    let count = bytes.len() / 4;
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = i32::from_le_bytes(*bytes);
    }
    words.into_iter().take(count)
}
