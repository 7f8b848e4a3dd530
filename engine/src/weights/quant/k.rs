//! The ggml blocks of 256 elements, whose eight or sixteen groups have scales of their own. Read only.

use super::half_at;

/// Elements a block.
pub(super) const BLOCK: usize = 256;
/// Elements a row of bits: every packing below is by rows of 32.
const ROW: usize = 32;
/// Bytes of the packed six-bit scales and offsets.
const SCALES: usize = 12;
/// Bytes of the elements' low nibbles.
const NIBBLES: usize = BLOCK / 2;

/// Bytes a block.
pub(super) const Q4_K: usize = 4 + SCALES + NIBBLES;
/// Bytes a block.
pub(super) const Q5_K: usize = 4 + SCALES + BLOCK / 8 + NIBBLES;
/// Bytes a block.
pub(super) const Q6_K: usize = NIBBLES + BLOCK / 4 + BLOCK / 16 + 2;

pub(super) fn decode_q4([d0, d1, m0, m1, rest @ ..]: &[u8; Q4_K], out: &mut Vec<f32>) {
    let (scales, nibbles) = rest.split_at(SCALES);
    let rows = Rows::new([*d0, *d1], [*m0, *m1], scales);
    rows.decode(nibbles, &[0; ROW], out);
}

pub(super) fn decode_q5([d0, d1, m0, m1, rest @ ..]: &[u8; Q5_K], out: &mut Vec<f32>) {
    let (scales, rest) = rest.split_at(SCALES);
    let (fifth, nibbles) = rest.split_at(BLOCK / 8);
    let rows = Rows::new([*d0, *d1], [*m0, *m1], scales);
    rows.decode(nibbles, fifth, out);
}

/// Scale and offset of each of the eight rows of a Q4_K or Q5_K block.
struct Rows([(f32, f32); 8]);

impl Rows {
    /// Unpacks `scales`: the low six bits of bytes 0-3 and 4-7 are the first four scales and offsets; the other
    /// four have their low nibbles in bytes 8-11 (scales low, offsets high) and their upper bits on top of 0-7.
    fn new(scale: [u8; 2], offset: [u8; 2], scales: &[u8]) -> Self {
        let (scale, offset) = (half_at(scale), half_at(offset));
        let (a, rest) = scales.split_at(4);
        let (b, low) = rest.split_at(4);
        Self(std::array::from_fn(|row| {
            let i = row % 4;
            let (s, m) = if row < 4 {
                (a[i] & 0x3F, b[i] & 0x3F)
            } else {
                (
                    low[i] & 0x0F | a[i] >> 2 & 0x30,
                    low[i] >> 4 | b[i] >> 2 & 0x30,
                )
            };
            (scale * f32::from(s), offset * f32::from(m))
        }))
    }

    /// Rows 2j and 2j+1 are the low and the high nibbles of the same 32 bytes; bit `row` of `fifth` is on top.
    fn decode(&self, nibbles: &[u8], fifth: &[u8], out: &mut Vec<f32>) {
        for (row, (scale, offset)) in self.0.iter().enumerate() {
            let bytes = nibbles[row / 2 * ROW..].iter().zip(fifth).take(ROW);
            out.extend(bytes.map(|(q, h)| {
                let q = q >> (row % 2 * 4) & 0x0F | (h >> row & 1) << 4;
                scale * f32::from(q) - offset
            }));
        }
    }
}

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
