//! Numbers to quantised blocks: those of 32 rounded as ggml's reference quantisers do it, those of 256 by a search of our own.

mod k;
mod legacy;

use super::QuantKind;

/// Why numbers did not become blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unquantised {
    /// Blocks of this format are only read.
    ReadOnly,
    /// A block needs this scale or offset, which f16 cannot hold; no number where the block has one that is none.
    TooLarge(f32),
}

/// A scale or an offset that f16 cannot hold.
struct TooLarge(f32);

impl From<TooLarge> for Unquantised {
    fn from(TooLarge(value): TooLarge) -> Self {
        Self::TooLarge(value)
    }
}

impl QuantKind {
    /// Appends the blocks of `values` to `out`; what is left at the end is no whole block.
    ///
    /// # Errors
    /// [`Unquantised`], with some of the blocks in `out`.
    pub fn encode(self, values: &[f32], out: &mut Vec<u8>) -> Result<(), Unquantised> {
        match self {
            Self::Q8_0 => blocks(values, out, legacy::encode_q8_0),
            Self::Q4_0 => blocks(values, out, legacy::encode_q4_0),
            Self::Q4_1 => blocks(values, out, legacy::encode_q4_1),
            Self::Q5_0 => blocks(values, out, legacy::encode_q5_0),
            Self::Q5_1 => blocks(values, out, legacy::encode_q5_1),
            Self::Q4K => blocks(values, out, k::encode_q4),
            Self::Q5K | Self::Q6K => Err(Unquantised::ReadOnly),
        }
    }
}

fn blocks<const N: usize>(
    values: &[f32],
    out: &mut Vec<u8>,
    encode: impl Fn(&[f32; N], &mut Vec<u8>) -> Result<(), TooLarge>,
) -> Result<(), Unquantised> {
    for block in values.as_chunks::<N>().0 {
        encode(block, out)?;
    }
    Ok(())
}
