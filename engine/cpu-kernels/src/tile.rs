//! What every instruction set must give: one function over a tile of weights and a few rows of activations.

use crate::activations::Row;
#[cfg(target_arch = "x86_64")]
use crate::packed::STEP;
use crate::packed_rows::Tile;
use crate::{COLUMNS, ROWS};

/// Most rows of activations that share one unpacking of the weights; more would not fit the registers.
pub(crate) const TOKENS: usize = 4;

/// The products of a tile of weights with M rows of activations: `[M][8]`.
///
/// Whole numbers are multiplied and added up over [`COLUMNS`] columns, which 32 bits hold
/// (32 * 128 * 32767 < 2^31), then scaled and added up in f32.
pub(crate) trait Arithmetic {
    /// For codes of four bits.
    fn four<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M];
    /// For codes of six bits.
    fn six<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M];
    /// For codes of eight bits.
    fn eight<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M];
}

const _: () = assert!(COLUMNS as i64 * 128 * 32767 < 1 << 31);

/// The activations of one step of columns in a word of 64 bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn word(x: [i16; STEP]) -> i64 {
    let bytes = x.map(i16::to_le_bytes);
    i64::from_le_bytes(core::array::from_fn(|at| bytes[at / 2][at % 2]))
}

/// The activations of a pair of columns in a word of 32 bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn pair([low, high]: [i16; 2]) -> i32 {
    i32::from(low as u16) | i32::from(high) << 16
}
