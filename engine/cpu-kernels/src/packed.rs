//! A matrix in memory: codes of eight rows and 32 columns side by side, in the order the loops read them.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::{COLUMNS, ROWS};

/// Columns of a row that stand side by side.
pub(crate) const STEP: usize = 4;

/// Steps of columns in a group.
pub(crate) const STEPS: usize = COLUMNS / STEP;

/// Bytes of 16 columns of a tile in codes of four bits.
pub(crate) const HALF: usize = 2 * ROWS * STEP;

/// Bytes of a step of columns of a tile in codes of eight bits.
pub(crate) const WIDE: usize = ROWS * STEP;

/// Bits of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bits {
    /// Codes from 0 to 15.
    Four,
    /// Codes from -32 to 31, in bytes; each half of a group has a scale of its own.
    Six,
    /// Codes from -128 to 127.
    Eight,
}

impl Bits {
    /// Bytes of the codes of a tile's 32 columns.
    pub(crate) const fn square(self) -> usize {
        match self {
            Self::Four => ROWS * COLUMNS / 2,
            Self::Six | Self::Eight => ROWS * COLUMNS,
        }
    }

    /// Scales of a group.
    pub(crate) const fn scales(self) -> usize {
        match self {
            Self::Four | Self::Eight => 1,
            Self::Six => 2,
        }
    }

    /// The codes there are.
    const fn codes(self) -> RangeInclusive<i8> {
        match self {
            Self::Four => 0..=15,
            Self::Six => -32..=31,
            Self::Eight => -128..=127,
        }
    }
}

/// 32 weights of a row: a scale times a code, and `least`, each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// What a step of the codes is worth in the first and in the second 16 columns; the same but for [`Bits::Six`].
    pub scales: [f32; 2],
    /// The weight of code 0.
    pub least: f32,
    /// Codes, by column.
    pub codes: [i8; COLUMNS],
}

/// A matrix `[rows, cols]` of groups.
///
/// For each tile of eight rows, and in it for each 32 columns, stand the codes of the square; the scales of the rows; their
/// offsets. Codes of six and eight bits stand by fours of columns, `[8 rows][4 columns]`. Of four bits 16 columns stand together as
/// `[8 rows][4]` words of 16 bits, of which the lowest four bits are columns 0 to 3, the next 4 to 7, and so on: shifted and
/// masked, a register of words is ready to be multiplied. Rows that are missing from the last tile are zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    pub(crate) bits: Bits,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) codes: Vec<u8>,
    pub(crate) scales: Vec<[f32; ROWS]>,
    /// Empty where all offsets are 0.
    pub(crate) leasts: Vec<[f32; ROWS]>,
}

impl Packed {
    /// Packs the groups of a matrix, row by row.
    ///
    /// `None` when `cols` is not whole groups, a side is 0 or the shape overflows, there are not as many groups as the shape
    /// needs, a code is beyond the bits, or a group has two scales where the bits have one.
    pub fn new(
        bits: Bits,
        rows: usize,
        cols: usize,
        groups: impl IntoIterator<Item = Group>,
    ) -> Option<Self> {
        if rows == 0 || cols == 0 || !cols.is_multiple_of(COLUMNS) {
            return None;
        }
        let across = cols / COLUMNS;
        let squares = rows.div_ceil(ROWS).checked_mul(across)?;
        let mut codes = vec![0; squares.checked_mul(bits.square())?];
        let mut scales = vec![[0.0; ROWS]; squares.checked_mul(bits.scales())?];
        let mut leasts = vec![[0.0; ROWS]; squares];
        let mut groups = groups.into_iter();
        for row in 0..rows {
            let (tile, lane) = (row / ROWS, row % ROWS);
            for at in 0..across {
                let group = groups.next()?;
                let square = tile * across + at;
                let one = group.scales[0].to_bits() == group.scales[1].to_bits();
                if bits.scales() == 1 && !one {
                    return None;
                }
                for (scales, scale) in scales[square * bits.scales()..]
                    .iter_mut()
                    .zip(group.scales)
                    .take(bits.scales())
                {
                    scales[lane] = scale;
                }
                leasts[square][lane] = group.least;
                let codes = &mut codes[square * bits.square()..][..bits.square()];
                write(bits, codes, lane, &group.codes)?;
            }
        }
        if groups.next().is_some() {
            return None;
        }
        if leasts.as_flattened().iter().all(|&least| least == 0.0) {
            leasts = Vec::new();
        }
        Some(Self {
            bits,
            rows,
            cols,
            codes,
            scales,
            leasts,
        })
    }

    /// Bits of a code.
    pub fn bits(&self) -> Bits {
        self.bits
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, a multiple of [`COLUMNS`].
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Whether any weight of code 0 is not 0.
    pub fn has_offsets(&self) -> bool {
        !self.leasts.is_empty()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.codes.len() + size_of::<f32>() * ROWS * (self.scales.len() + self.leasts.len())
    }

    /// Bytes in memory of a matrix of this shape, with or without offsets; saturating.
    pub fn bytes_of(bits: Bits, rows: usize, cols: usize, offsets: bool) -> usize {
        let squares = rows.div_ceil(ROWS).saturating_mul(cols / COLUMNS);
        let scales = bits.scales() + usize::from(offsets);
        squares.saturating_mul(bits.square() + size_of::<f32>() * ROWS * scales)
    }

    /// Writes the weights of a row to `out`, a scale times a code and `least`, in f32.
    ///
    /// # Panics
    /// When there is no such row, or `out` is not as long as a row.
    pub fn unpack_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.cols, "a row to unpack");
        let (tile, lane) = (self.all_rows().tile(row / ROWS), row % ROWS);
        for (at, out) in out.as_chunks_mut::<COLUMNS>().0.iter_mut().enumerate() {
            let scales = &tile.scales[at * self.bits.scales()..][..self.bits.scales()];
            let least = tile.leasts.get(at).map_or(0.0, |least| least[lane]);
            let square = &tile.codes[at * self.bits.square()..][..self.bits.square()];
            let codes = read(self.bits, square, lane);
            let each = COLUMNS / scales.len();
            let shares = codes.chunks_exact(each).zip(out.chunks_exact_mut(each));
            for ((codes, out), scale) in shares.zip(scales) {
                for (&code, out) in codes.iter().zip(out) {
                    *out = scale[lane] * f32::from(code) + least;
                }
            }
        }
    }

    /// How far entry `row` of a product may be from that of exact arithmetic with the same weights, for activations `x`.
    ///
    /// Activations are rounded to steps of `largest / 32767`, the largest of each 32 columns, so each weight adds half a step at
    /// most; and a sum of `n` terms in f32 is off by `n * 2^-24` of the sum of their sizes at most, of which a hundredth is
    /// ample in practice but is not promised.
    ///
    /// # Panics
    /// When there is no such row, or `x` is not as long as a row.
    pub fn error_bound(&self, row: usize, x: &[f32]) -> f64 {
        assert_eq!(x.len(), self.cols, "activations of a row");
        let mut weights = vec![0.0; self.cols];
        self.unpack_row(row, &mut weights);
        let (tile, lane) = (self.all_rows().tile(row / ROWS), row % ROWS);
        let groups = weights
            .as_chunks::<COLUMNS>()
            .0
            .iter()
            .zip(x.as_chunks::<COLUMNS>().0);
        let mut bound = 0.0;
        let mut sizes = 0.0;
        for (at, (weights, x)) in groups.enumerate() {
            let largest = x.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let sum: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
            bound += sum * f64::from(largest) / f64::from(i16::MAX) / 2.0;
            // Offsets are summed by themselves: both terms may be large where the weight they make is 0.
            let least = tile.leasts.get(at).map_or(0.0, |least| least[lane].abs());
            sizes += (sum + 2.0 * COLUMNS as f64 * f64::from(least)) * f64::from(largest);
        }
        // Per scale: a conversion, two scalings and two additions, and the offsets' share.
        let terms = 6.0 + (self.cols / COLUMNS * self.bits.scales()) as f64;
        bound + terms * sizes * f64::from(f32::EPSILON)
    }
}

/// Where the code of a row and column stands in its square, and for four bits whether in the high half.
const fn place(bits: Bits, lane: usize, column: usize) -> (usize, bool) {
    let (step, within) = (column / STEP, column % STEP);
    let at = lane * STEP + within;
    match bits {
        Bits::Four => {
            let (half, nibble) = (step / 4, step % 4);
            let byte = half * HALF + 2 * at + nibble / 2;
            (byte, nibble % 2 == 1)
        }
        Bits::Six | Bits::Eight => (step * ROWS * STEP + at, false),
    }
}

fn write(bits: Bits, square: &mut [u8], lane: usize, codes: &[i8; COLUMNS]) -> Option<()> {
    for (column, &code) in codes.iter().enumerate() {
        let (at, high) = place(bits, lane, column);
        match bits {
            _ if !bits.codes().contains(&code) => return None,
            Bits::Six | Bits::Eight => square[at] = code as u8,
            Bits::Four => square[at] |= (code as u8) << if high { 4 } else { 0 },
        }
    }
    Some(())
}

/// The codes of a row of a square, by column.
#[inline(always)]
pub(crate) fn read(bits: Bits, square: &[u8], lane: usize) -> [i8; COLUMNS] {
    let mut codes = [0; COLUMNS];
    match bits {
        Bits::Four => {
            let halves = square.as_chunks::<HALF>().0.iter();
            for (words, codes) in halves.zip(codes.as_chunks_mut::<{ 4 * STEP }>().0) {
                let words = u64::from_le_bytes(words.as_chunks().0[lane]);
                for (nibble, codes) in codes.as_chunks_mut::<STEP>().0.iter_mut().enumerate() {
                    for (within, code) in codes.iter_mut().enumerate() {
                        *code = (words >> (16 * within + 4 * nibble) & 15) as i8;
                    }
                }
            }
        }
        Bits::Six | Bits::Eight => {
            let steps = square.as_chunks::<WIDE>().0.iter();
            for (bytes, codes) in steps.zip(codes.as_chunks_mut::<STEP>().0) {
                *codes = bytes.as_chunks::<STEP>().0[lane].map(|code| code as i8);
            }
        }
    }
    codes
}
