//! An encoder of the ggml blocks of 256 elements of 4 bits, in eight groups of 32 with a scale and an offset each. The format is
//! ggml's, the search for scales our own.

use half::f16;

use super::TooLarge;
use super::legacy::{push_half, range};
use crate::blocks::BLOCK as GROUP;
use crate::blocks::k::BLOCK;

/// Groups with a scale and an offset of their own in a block of 4 bits.
const GROUPS: usize = BLOCK / GROUP;
/// Largest code of 4 bits, and largest scale or offset of 6.
const MOST: f32 = 15.0;
const MOST_SCALE: f32 = 63.0;
/// How many steps are tried for a group, besides the one that just reaches both ends.
const TRIALS: usize = 20;

/// Writes a block of 4 bits.
///
/// Each group takes the line through its codes with the least squares among some that reach a little less or more than its
/// ends; the scales and offsets of all groups are then rounded to 6 bits, and the codes chosen anew for what remained of them.
///
/// # Errors
/// When the block holds a value that is not finite or too large for its scales.
pub(super) fn encode_q4(block: &[f32; BLOCK], out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let (groups, _) = block.as_chunks::<GROUP>();
    let lines: Vec<Line> = groups.iter().map(line).collect();
    let most = |of: fn(&Line) -> f32| lines.iter().map(of).fold(0.0, f32::max) / MOST_SCALE;
    // `max` passes over NaN, and a sum does not: a value that is none is refused with the first half.
    let odd: f32 = block.iter().map(|v| v * 0.0).sum();
    let (scale, offset) = (most(|line| line.scale) + odd, most(|line| line.offset));
    let start = out.len();
    push_half(scale, out)?;
    push_half(offset, out)?;
    let stored = |at: usize| f16::from_le_bytes([out[start + at], out[start + at + 1]]).to_f32();
    let (scale, offset) = (stored(0), stored(2));
    let mut packed = [0u8; 3 * GROUPS / 2];
    let mut codes = [[0u8; GROUP]; GROUPS];
    for (at, (group, line)) in groups.iter().zip(&lines).enumerate() {
        let (s, m) = (six_bits(line.scale, scale), six_bits(line.offset, offset));
        push_six_bits(&mut packed, at, s, m);
        let step = scale * f32::from(s);
        let least = -(offset * f32::from(m));
        codes[at] = group.map(|v| code(v, step, least));
    }
    out.extend(packed);
    for [low, high] in codes.as_chunks::<2>().0 {
        out.extend(low.iter().zip(high).map(|(l, h)| l | h << 4));
    }
    Ok(())
}

/// `scale * code - offset`: what a group's elements are rounded to. Neither is negative.
#[derive(Clone, Copy)]
struct Line {
    scale: f32,
    offset: f32,
}

/// The line with the least squares among those tried.
fn line(group: &[f32; GROUP]) -> Line {
    let (least, most) = range(group);
    // The format has no positive offset.
    let least = least.min(0.0);
    let first = Line {
        scale: (most - least).max(0.0) / MOST,
        offset: -least,
    };
    if first.scale == 0.0 || !first.scale.is_finite() {
        return first;
    }
    let mut best = (squares(group, first), first);
    for trial in 0..=TRIALS {
        // From one step less than what reaches both ends to one more.
        let reach = MOST - 1.0 + 2.0 * trial as f32 / TRIALS as f32;
        let tried = fit(group, (most - least) / reach, least);
        let off = squares(group, tried);
        if tried.scale > 0.0 && off < best.0 {
            best = (off, tried);
        }
    }
    best.1
}

/// The best line for the codes that another line gives: linear regression.
fn fit(group: &[f32; GROUP], step: f32, least: f32) -> Line {
    let [mut q, mut qq, mut v, mut qv] = [0.0f32; 4];
    for &value in group {
        let code = f32::from(code(value, step, least));
        q += code;
        qq += code * code;
        v += value;
        qv += code * value;
    }
    let count = GROUP as f32;
    let determinant = count * qq - q * q;
    let scale = (count * qv - q * v) / determinant.max(f32::MIN_POSITIVE);
    let offset = (scale * q - v) / count;
    match offset >= 0.0 {
        true => Line { scale, offset },
        false => Line {
            scale: qv / qq.max(f32::MIN_POSITIVE),
            offset: 0.0,
        },
    }
}

/// How far a group is from what a line rounds it to.
fn squares(group: &[f32; GROUP], line: Line) -> f32 {
    let off =
        |&v: &f32| line.scale * f32::from(code(v, line.scale, -line.offset)) - line.offset - v;
    group.iter().map(|v| off(v) * off(v)).sum()
}

/// The code of an element. No step, no code; the cast holds what is below 0 to it.
fn code(value: f32, step: f32, least: f32) -> u8 {
    match step > 0.0 {
        true => ((value - least) / step).round().min(MOST) as u8,
        false => 0,
    }
}

/// A scale or an offset in steps of `unit`.
fn six_bits(value: f32, unit: f32) -> u8 {
    match unit > 0.0 {
        true => (value / unit).round().min(MOST_SCALE) as u8,
        false => 0,
    }
}

/// Scale and offset of group `at` to where `blocks` reads them: of the last four the upper two bits are on top of the first.
fn push_six_bits(packed: &mut [u8; 12], at: usize, scale: u8, offset: u8) {
    if at < 4 {
        packed[at] |= scale;
        packed[at + 4] |= offset;
    } else {
        packed[at + 4] = scale & 0x0F | offset << 4;
        packed[at - 4] |= scale >> 4 << 6;
        packed[at] |= offset >> 4 << 6;
    }
}
