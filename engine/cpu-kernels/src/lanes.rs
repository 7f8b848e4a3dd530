//! What loops that are written once need of each instruction set: registers of numbers in f32, and of whole numbers.

use crate::activations::Row;
use crate::packed::{HALF, STEP, WIDE};
use crate::panel::{self, Panel};
use crate::{COLUMNS, ROWS};

/// Pairs of columns in a group.
pub(crate) const PAIRS: usize = COLUMNS / 2;

/// Registers of `W` numbers in f32.
///
/// Functions are inlined into loops that were compiled for the instruction set, which whoever calls these has found.
pub(crate) trait Reals<const W: usize> {
    /// A register.
    type Real: Copy;

    /// One number in every lane.
    fn splat(number: f32) -> Self::Real;
    /// As they stand in memory.
    fn load(numbers: &[f32; W]) -> Self::Real;
    /// To memory.
    fn store(numbers: Self::Real, to: &mut [f32; W]);
    /// `a + b`.
    #[cfg_attr(
        not(feature = "std"),
        allow(dead_code, reason = "vectors are compared with `std` alone")
    )]
    fn add(a: Self::Real, b: Self::Real) -> Self::Real;
    /// `a * b`.
    fn mul(a: Self::Real, b: Self::Real) -> Self::Real;
    /// `a * b + c`, rounded once or twice.
    fn mul_add(a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real;
}

/// Registers of `W` whole numbers of 32 bits beside them.
pub(crate) trait Lanes<const W: usize>: Reals<W> {
    /// A register.
    type Whole: Copy;

    /// The pairs of columns of half a square in codes of four bits: both codes of each row, as 16 bits.
    fn four(words: &[u8; HALF]) -> [[u32; ROWS]; PAIRS / 2];
    /// The same of a step of columns in codes of eight bits.
    fn eight(bytes: &[u8; WIDE]) -> [[u32; ROWS]; STEP / 2];
    /// Zeros.
    fn zeros() -> Self::Whole;
    /// The codes of a pair of columns, for as many rows as there are lanes.
    fn codes(codes: &[u32; W]) -> Self::Whole;
    /// The activations of a pair of columns in every lane.
    fn pair(x: &[i16; 2]) -> Self::Whole;
    /// `sums + codes * x`, both products of a pair added up.
    fn dot(sums: Self::Whole, codes: Self::Whole, x: Self::Whole) -> Self::Whole;
    /// In f32.
    fn real(sums: Self::Whole) -> Self::Real;
    /// The sums of a panel's rows with `T` rows of activations, of `S` scales a group.
    #[inline(always)]
    fn sums<const V: usize, const T: usize, const S: usize>(
        panel: &Panel<W, V>,
        x: [Row<'_>; T],
    ) -> [[Self::Real; V]; T]
    where
        Self: Sized,
    {
        panel::sums::<Self, W, V, T, S>(panel, x)
    }
}
