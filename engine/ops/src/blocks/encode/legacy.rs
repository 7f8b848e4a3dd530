//! Encoders of the ggml blocks of 32 elements: 4, 5 and 8 bits with one scale, and 4 and 5 bits with a scale and an offset.

use half::f16;

use super::TooLarge;
use crate::blocks::BLOCK;

/// Bytes of the elements' low nibbles.
const NIBBLES: usize = BLOCK / 2;

pub(super) fn encode_q8_0(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let scale = extreme(block).abs() / 127.0;
    let inverse = inverse(scale);
    push_half(scale, out)?;
    // `round` is C's roundf: halves away from zero. |v * inverse| <= 127 up to rounding, and the cast saturates.
    out.extend(block.iter().map(|v| (v * inverse).round() as i8 as u8));
    Ok(())
}

pub(super) fn encode_q4_0(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<(), TooLarge> {
    // The signed extreme maps to -8, the one code without a positive twin.
    let scale = extreme(block) / -8.0;
    let inverse = inverse(scale);
    push_half(scale, out)?;
    push_nibbles(&block.map(|v| code(v * inverse + 8.5, 15)), out);
    Ok(())
}

pub(super) fn encode_q4_1(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let (least, most) = range(block);
    let scale = (most - least) / 15.0;
    let inverse = inverse(scale);
    push_half(scale, out)?;
    push_half(least, out)?;
    push_nibbles(&block.map(|v| code((v - least) * inverse + 0.5, 15)), out);
    Ok(())
}

pub(super) fn encode_q5_0(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let scale = extreme(block) / -16.0;
    let inverse = inverse(scale);
    push_half(scale, out)?;
    push_five_bits(&block.map(|v| code(v * inverse + 16.5, 31)), out);
    Ok(())
}

pub(super) fn encode_q5_1(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let (least, most) = range(block);
    let scale = (most - least) / 31.0;
    let inverse = inverse(scale);
    push_half(scale, out)?;
    push_half(least, out)?;
    push_five_bits(&block.map(|v| code((v - least) * inverse + 0.5, 31)), out);
    Ok(())
}

/// A code from a value that is already shifted by half a step: truncated and held to what the bits can say.
fn code(value: f32, most: u8) -> u8 {
    (value as u8).min(most)
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { scale.recip() }
}

/// The first element with the largest absolute value, with its sign; NaN if the block holds one.
fn extreme(block: &[f32; BLOCK]) -> f32 {
    let mut extreme = 0.0f32;
    for &v in block {
        if v.is_nan() {
            return v;
        }
        if v.abs() > extreme.abs() {
            extreme = v;
        }
    }
    extreme
}

/// The least and the largest element; NaN twice if the block holds one.
pub(super) fn range(block: &[f32; BLOCK]) -> (f32, f32) {
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for &v in block {
        if v.is_nan() {
            return (v, v);
        }
        least = least.min(v);
        most = most.max(v);
    }
    (least, most)
}

fn push_nibbles(codes: &[u8; BLOCK], out: &mut Vec<u8>) {
    let (low, high) = codes.split_at(NIBBLES);
    out.extend(low.iter().zip(high).map(|(l, h)| (l & 0x0F) | h << 4));
}

fn push_five_bits(codes: &[u8; BLOCK], out: &mut Vec<u8>) {
    let fifth = (0u32..)
        .zip(codes)
        .fold(0, |bits, (i, q)| bits | u32::from(q >> 4) << i);
    out.extend(fifth.to_le_bytes());
    push_nibbles(codes, out);
}

pub(super) fn push_half(value: f32, out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let half = f16::from_f32(value);
    if !half.is_finite() {
        return Err(TooLarge(value));
    }
    out.extend(half.to_le_bytes());
    Ok(())
}
