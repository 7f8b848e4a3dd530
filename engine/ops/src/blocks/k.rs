//! The ggml blocks of 256 weights whose eight groups of 32 have scales and offsets of their own, or sixteen of 16 scales alone.

use super::{BLOCK as GROUP, Codes, half_at};

/// Weights a block.
pub(super) const BLOCK: usize = 256;
/// Bytes of the packed six-bit scales and offsets.
const SCALES: usize = 12;
/// Bytes of the codes' low nibbles.
const NIBBLES: usize = BLOCK / 2;

/// Bytes a block.
pub(super) const Q4_K: usize = 4 + SCALES + NIBBLES;
/// Bytes a block.
pub(super) const Q5_K: usize = 4 + SCALES + BLOCK / 8 + NIBBLES;
/// Bytes a block.
pub(super) const Q6_K: usize = NIBBLES + BLOCK / 4 + BLOCK / 16 + 2;

pub(super) fn q4([d0, d1, m0, m1, rest @ ..]: &[u8; Q4_K]) -> [Codes; BLOCK / GROUP] {
    let (scales, nibbles) = rest.split_at(SCALES);
    groups([*d0, *d1], [*m0, *m1], scales, nibbles, &[0; GROUP])
}

pub(super) fn q5([d0, d1, m0, m1, rest @ ..]: &[u8; Q5_K]) -> [Codes; BLOCK / GROUP] {
    let (scales, rest) = rest.split_at(SCALES);
    let (fifth, nibbles) = rest.split_at(BLOCK / 8);
    groups([*d0, *d1], [*m0, *m1], scales, nibbles, fifth)
}

/// Groups 2j and 2j+1 are the low and the high nibbles of the same 32 bytes; bit `group` of `fifth` is on top.
///
/// In `scales` the low six bits of bytes 0-3 and 4-7 are the first four scales and offsets; the other four have their low
/// nibbles in bytes 8-11 (scales low, offsets high) and their upper bits on top of 0-7.
fn groups(
    scale: [u8; 2],
    offset: [u8; 2],
    scales: &[u8],
    nibbles: &[u8],
    fifth: &[u8],
) -> [Codes; BLOCK / GROUP] {
    let (scale, offset) = (half_at(scale), half_at(offset));
    let (a, rest) = scales.split_at(4);
    let (b, low) = rest.split_at(4);
    std::array::from_fn(|group| {
        let i = group % 4;
        let (s, m) = if group < 4 {
            (a[i] & 0x3F, b[i] & 0x3F)
        } else {
            (
                low[i] & 0x0F | a[i] >> 2 & 0x30,
                low[i] >> 4 | b[i] >> 2 & 0x30,
            )
        };
        let bytes = &nibbles[group / 2 * GROUP..];
        Codes {
            scales: [scale * f32::from(s); 2],
            least: Some(-(offset * f32::from(m))),
            codes: std::array::from_fn(|at| {
                let nibble = bytes[at] >> (group % 2 * 4) & 0x0F;
                (nibble | (fifth[at] >> group & 1) << 4) as i8
            }),
        }
    })
}

pub(super) fn q6(block: &[u8; Q6_K]) -> [Codes; BLOCK / GROUP] {
    let (nibbles, rest) = block.split_at(NIBBLES);
    let (pairs, rest) = rest.split_at(BLOCK / 4);
    let (scales, scale) = rest.split_at(BLOCK / 16);
    let scale = half_at([scale[0], scale[1]]);
    std::array::from_fn(|group| {
        // Each half of the block: two groups of low nibbles, two of high ones, over the same 64 bytes; its four
        // groups share 32 bytes of bit pairs.
        let (half, quarter) = (group / 4, group % 4);
        let low = &nibbles[half * 64 + quarter % 2 * GROUP..][..GROUP];
        let high = &pairs[half * GROUP..][..GROUP];
        Codes {
            scales: [0, 1].map(|i| scale * f32::from(scales[group * 2 + i] as i8)),
            least: None,
            codes: std::array::from_fn(|i| {
                let q = low[i] >> (quarter / 2 * 4) & 0x0F | (high[i] >> (quarter * 2) & 3) << 4;
                q as i8 - 32
            }),
        }
    })
}
