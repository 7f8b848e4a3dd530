//! Formats of quantised blocks, as ggml lays them out: what operations and kernels agree on.

/// Weights a block holds.
pub const BLOCK: usize = 32;

/// Block formats, named as in GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuantKind {
    /// A half scale, then 32 signed bytes.
    Q8_0,
    /// A half scale, then 16 bytes: weights 0..15 in the low, 16..31 in the high nibbles, plus 8.
    Q4_0,
}

impl QuantKind {
    /// Bytes of a block of [`BLOCK`] weights.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q8_0 => 2 + 32,
            Self::Q4_0 => 2 + 16,
        }
    }

    /// Words a row of `cols` weights takes when padded to whole words.
    pub const fn row_words(self, cols: usize) -> usize {
        (cols / BLOCK * self.block_bytes()).div_ceil(4)
    }
}
