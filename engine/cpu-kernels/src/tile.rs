//! What every instruction set must give: one function over four rows of weights and a few rows of activations.

use crate::activations::Row;
use crate::packed::Tile;
use crate::{COLUMNS, ROWS};

/// Most rows of activations that share one unpacking of the weights; more would not fit the registers.
pub(crate) const TOKENS: usize = 4;

/// The products of four rows of weights with M rows of activations: `[M][4]`.
///
/// Whole numbers are multiplied and added up over [`COLUMNS`] columns, which 32 bits hold
/// (32 * 128 * 32767 < 2^31), then scaled and added up in f32.
pub(crate) trait Arithmetic {
    /// For codes of four bits.
    fn four<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M];
    /// For codes of eight bits.
    fn eight<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M];
}

const _: () = assert!(COLUMNS as i64 * 128 * 32767 < 1 << 31);
