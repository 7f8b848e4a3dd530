//! Formats of quantised blocks, as ggml lays them out: what files, operations and kernels agree on.

mod encode;
mod k;
mod legacy;
mod words;

pub use encode::Unquantised;
pub(crate) use words::Layout;

/// Weights that share a scale, in every format but `Q6K`, where half of them do.
pub const BLOCK: usize = 32;

/// Block formats, named as in GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuantKind {
    /// A half scale, then 32 signed bytes.
    Q8_0,
    /// A half scale, then 16 bytes: weights 0..15 in the low, 16..31 in the high nibbles, plus 8.
    Q4_0,
    /// As `Q4_0`, with a half offset (the block's least weight) after the scale, and nibbles from 0.
    Q4_1,
    /// As `Q4_0`, with the fifth bits of the 32 weights in 4 bytes before the nibbles, plus 16.
    Q5_0,
    /// As `Q4_1`, with the fifth bits of the 32 weights in 4 bytes before the nibbles.
    Q5_1,
    /// Eight groups of 32: two half scales, 8 six-bit scales and offsets in 12 bytes, 128 bytes of nibbles.
    Q4K,
    /// As `Q4K`, with 32 bytes of fifth bits before the nibbles.
    Q5K,
    /// Sixteen groups of 16: 128 bytes of low nibbles, 64 of upper bit pairs, plus 32; 16 signed scales, a half scale.
    Q6K,
}

/// 32 weights of a row: a scale times a code each, plus `least` where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Codes {
    /// What a step of the codes is worth in the first and in the second 16; the same but in `Q6K`.
    pub scales: [f32; 2],
    /// The weight of code 0, in formats with an offset.
    pub least: Option<f32>,
    /// Codes, by column.
    pub codes: [i8; BLOCK],
}

impl Codes {
    /// The weights, rounded as the reference package rounds them.
    pub fn weights(&self) -> impl Iterator<Item = f32> + '_ {
        let (scales, least) = (self.scales, self.least);
        self.codes.iter().enumerate().map(move |(at, &code)| {
            let steps = scales[at / (BLOCK / 2)] * f32::from(code);
            // Not `+ 0.0`, which would turn a negative zero.
            least.map_or(steps, |least| steps + least)
        })
    }

    /// Whether all weights are numbers.
    pub fn is_finite(&self) -> bool {
        self.scales.iter().all(|scale| scale.is_finite()) && self.least.is_none_or(f32::is_finite)
    }
}

impl QuantKind {
    /// Weights a stored block holds.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => BLOCK,
            Self::Q4K | Self::Q5K | Self::Q6K => k::BLOCK,
        }
    }

    /// Bytes of a stored block of [`Self::block_len`] weights.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q8_0 => legacy::Q8_0,
            Self::Q4_0 => legacy::Q4_0,
            Self::Q4_1 => legacy::Q4_1,
            Self::Q5_0 => legacy::Q5_0,
            Self::Q5_1 => legacy::Q5_1,
            Self::Q4K => k::Q4_K,
            Self::Q5K => k::Q5_K,
            Self::Q6K => k::Q6_K,
        }
    }

    /// Hears the weights of whole blocks, by groups of [`BLOCK`] in their order; what is left at the end is no whole block.
    pub fn codes(self, bytes: &[u8], each: &mut dyn FnMut(Codes)) {
        match self {
            Self::Q8_0 => blocks(bytes, |block| each(legacy::q8_0(block))),
            Self::Q4_0 => blocks(bytes, |block| each(legacy::q4_0(block))),
            Self::Q4_1 => blocks(bytes, |block| each(legacy::q4_1(block))),
            Self::Q5_0 => blocks(bytes, |block| each(legacy::q5_0(block))),
            Self::Q5_1 => blocks(bytes, |block| each(legacy::q5_1(block))),
            Self::Q4K => blocks(bytes, |block| k::q4(block).into_iter().for_each(&mut *each)),
            Self::Q5K => blocks(bytes, |block| k::q5(block).into_iter().for_each(&mut *each)),
            Self::Q6K => blocks(bytes, |block| k::q6(block).into_iter().for_each(&mut *each)),
        }
    }
}

fn blocks<const N: usize>(bytes: &[u8], each: impl FnMut(&[u8; N])) {
    bytes.as_chunks::<N>().0.iter().for_each(each);
}

fn half_at(bytes: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(bytes).to_f32()
}
