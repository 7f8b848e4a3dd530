//! The ggml blocks of 256 elements whose sixteen groups of 16 have scales of their own. Read only.

use super::half_at;

/// Elements a block.
pub(super) const BLOCK: usize = 256;
/// Elements a row of bits: every packing below is by rows of 32.
const ROW: usize = 32;
/// Bytes of the elements' low nibbles.
const NIBBLES: usize = BLOCK / 2;

/// Bytes a block.
pub(super) const Q6_K: usize = NIBBLES + BLOCK / 4 + BLOCK / 16 + 2;

pub(super) fn decode_q6(block: &[u8; Q6_K], out: &mut Vec<f32>) {
    let (nibbles, rest) = block.split_at(NIBBLES);
    let (pairs, rest) = rest.split_at(BLOCK / 4);
    let (scales, scale) = rest.split_at(BLOCK / 16);
    let scale = half_at([scale[0], scale[1]]);
    for row in 0..8 {
        // Each half of the block: two rows of low nibbles, two of high ones, over the same 64 bytes; its four
        // rows share 32 bytes of bit pairs.
        let (half, quarter) = (row / 4, row % 4);
        let low = &nibbles[half * 64 + quarter % 2 * ROW..][..ROW];
        let high = &pairs[half * ROW..][..ROW];
        for (i, (q, h)) in low.iter().zip(high).enumerate() {
            let q = q >> (quarter / 2 * 4) & 0x0F | (h >> (quarter * 2) & 3) << 4;
            let group = scale * f32::from(scales[row * 2 + i / 16] as i8);
            out.push(group * f32::from(q as i8 - 32));
        }
    }
}
