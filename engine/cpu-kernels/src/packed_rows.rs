//! Rows of a packed matrix, as the loops read them: borrowed, and cut where a tile ends.

use core::ops::Range;

use crate::packed::{Bits, Packed};
use crate::{COLUMNS, ROWS};

impl Packed {
    /// All rows.
    pub fn all_rows(&self) -> PackedRows<'_> {
        PackedRows {
            bits: self.bits,
            rows: self.rows,
            cols: self.cols,
            codes: &self.codes,
            scales: &self.scales,
            leasts: &self.leasts,
        }
    }

    /// Some rows, as a matrix of their own.
    ///
    /// # Panics
    /// When there are no such rows, or they do not begin with a tile: with a multiple of [`ROWS`].
    pub fn rows_of(&self, rows: Range<usize>) -> PackedRows<'_> {
        assert!(
            rows.start.is_multiple_of(ROWS) && rows.start < rows.end && rows.end <= self.rows,
            "rows {rows:?} of {}",
            self.rows
        );
        let across = self.cols / COLUMNS;
        let squares = rows.start / ROWS * across..rows.end.div_ceil(ROWS) * across;
        let times = |of: usize| of * squares.start..of * squares.end;
        PackedRows {
            bits: self.bits,
            rows: rows.len(),
            cols: self.cols,
            codes: &self.codes[times(self.bits.square())],
            scales: &self.scales[times(self.bits.scales())],
            leasts: match self.leasts.is_empty() {
                true => &[],
                false => &self.leasts[squares],
            },
        }
    }
}

impl<'a> From<&'a Packed> for PackedRows<'a> {
    fn from(matrix: &'a Packed) -> Self {
        matrix.all_rows()
    }
}

/// Rows of a matrix, as they lie in it.
#[derive(Debug, Clone, Copy)]
pub struct PackedRows<'a> {
    bits: Bits,
    rows: usize,
    cols: usize,
    codes: &'a [u8],
    scales: &'a [[f32; ROWS]],
    leasts: &'a [[f32; ROWS]],
}

impl<'a> PackedRows<'a> {
    /// Bits of a code.
    pub fn bits(self) -> Bits {
        self.bits
    }

    /// Rows.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Columns, a multiple of [`COLUMNS`].
    pub fn cols(self) -> usize {
        self.cols
    }

    /// Whether any weight of code 0 is not 0.
    pub fn has_offsets(self) -> bool {
        !self.leasts.is_empty()
    }

    /// The codes, scales and offsets of the tile of rows from `ROWS * tile` on.
    pub(crate) fn tile(self, tile: usize) -> Tile<'a> {
        let across = self.cols / COLUMNS;
        let square = self.bits.square();
        Tile {
            codes: &self.codes[tile * across * square..][..across * square],
            scales: &self.scales[tile * across * self.bits.scales()..]
                [..across * self.bits.scales()],
            leasts: match self.leasts.is_empty() {
                true => &[],
                false => &self.leasts[tile * across..][..across],
            },
        }
    }
}

/// What a tile of rows holds, by groups of columns.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    /// Squares of codes, [`Bits::square`] bytes each.
    pub(crate) codes: &'a [u8],
    /// A scale for each row, [`Bits::scales`] of a group.
    pub(crate) scales: &'a [[f32; ROWS]],
    /// An offset for each row; empty where there are none.
    pub(crate) leasts: &'a [[f32; ROWS]],
}

impl Tile<'_> {
    /// The same, known to be of so many groups: the loops then need not check each access.
    #[inline(always)]
    pub(crate) fn of_length<const S: usize>(self, groups: usize) -> Self {
        Self {
            codes: self.codes,
            scales: &self.scales[..groups * S],
            leasts: match self.leasts.is_empty() {
                true => &[],
                false => &self.leasts[..groups],
            },
        }
    }
}
