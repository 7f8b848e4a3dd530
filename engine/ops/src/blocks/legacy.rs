//! The ggml blocks of 32 weights: 4, 5 and 8 bits with one scale, and 4 and 5 bits with a scale and an offset.

use super::{BLOCK, Codes, half_at};

/// Bytes of the codes' low nibbles.
const NIBBLES: usize = BLOCK / 2;

/// Bytes a block.
pub(super) const Q8_0: usize = 2 + BLOCK;
/// Bytes a block.
pub(super) const Q4_0: usize = 2 + NIBBLES;
/// Bytes a block.
pub(super) const Q4_1: usize = 4 + NIBBLES;
/// Bytes a block.
pub(super) const Q5_0: usize = 2 + 4 + NIBBLES;
/// Bytes a block.
pub(super) const Q5_1: usize = 4 + 4 + NIBBLES;

pub(super) fn q8_0([lo, hi, quants @ ..]: &[u8; Q8_0]) -> Codes {
    Codes {
        scales: [half_at([*lo, *hi]); 2],
        least: None,
        codes: quants.map(|code| code as i8),
    }
}

pub(super) fn q4_0([lo, hi, quants @ ..]: &[u8; Q4_0]) -> Codes {
    Codes {
        scales: [half_at([*lo, *hi]); 2],
        least: None,
        codes: codes(quants, 0).map(|code| code - 8),
    }
}

pub(super) fn q4_1([d0, d1, m0, m1, quants @ ..]: &[u8; Q4_1]) -> Codes {
    Codes {
        scales: [half_at([*d0, *d1]); 2],
        least: Some(half_at([*m0, *m1])),
        codes: codes(quants, 0),
    }
}

pub(super) fn q5_0([lo, hi, h0, h1, h2, h3, quants @ ..]: &[u8; Q5_0]) -> Codes {
    Codes {
        scales: [half_at([*lo, *hi]); 2],
        least: None,
        codes: codes(quants, u32::from_le_bytes([*h0, *h1, *h2, *h3])).map(|code| code - 16),
    }
}

pub(super) fn q5_1([d0, d1, m0, m1, h0, h1, h2, h3, quants @ ..]: &[u8; Q5_1]) -> Codes {
    Codes {
        scales: [half_at([*d0, *d1]); 2],
        least: Some(half_at([*m0, *m1])),
        codes: codes(quants, u32::from_le_bytes([*h0, *h1, *h2, *h3])),
    }
}

/// The codes of a block in the order of the weights; bit `i` of `fifth` is the fifth bit of code `i`.
fn codes(nibbles: &[u8; NIBBLES], fifth: u32) -> [i8; BLOCK] {
    std::array::from_fn(|i| {
        let byte = nibbles[i % NIBBLES];
        let nibble = if i < NIBBLES { byte & 15 } else { byte >> 4 };
        (nibble | ((fifth >> i & 1) as u8) << 4) as i8
    })
}
