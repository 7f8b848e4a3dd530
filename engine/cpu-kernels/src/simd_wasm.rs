//! The loops for WebAssembly with 128-bit SIMD: eight products of 16 bits an instruction (`i32x4.dot_i16x8_s`).
#![allow(unsafe_code, reason = "loads of vectors")]

use core::arch::wasm32::{
    f32x4_add, f32x4_convert_i32x4, f32x4_extract_lane, f32x4_mul, f32x4_splat,
    i16x8_extend_high_i8x16, i16x8_extend_low_i8x16, i32x4_add, i32x4_dot_i16x8, i32x4_shuffle,
    i32x4_splat, u8x16_narrow_i16x8, u16x8_shr, u16x8_splat, v128, v128_and, v128_load,
    v128_load64_splat, v128_store,
};

use alloc::vec;

use crate::activations::{Activations, Row};
use crate::packed::{Bits, HALF, Packed, STEP, Tile};
use crate::product::{all, put};
use crate::tile::{Arithmetic, TOKENS};
use crate::{COLUMNS, ROWS};

/// 128-bit SIMD.
#[derive(Debug, Clone, Copy)]
struct Simd128;

/// The product with 128-bit SIMD.
///
/// Many rows of activations share one unpacking of four rows of weights to bytes, which stay in the nearest cache: unpacked to 16
/// bits anew for each four, codes and sums together do not fit the 16 registers.
pub(crate) fn product(w: &Packed, x: &Activations, y: &mut [f32]) {
    if x.rows() < TOKENS || w.bits() == Bits::Eight {
        return all(Simd128, w, x, y);
    }
    let mut bytes = vec![0; ROWS * w.cols()];
    for at in 0..w.rows().div_ceil(ROWS) {
        let tile = w.tile(at);
        unpack(tile.codes, &mut bytes);
        let tile = Tile {
            codes: &bytes,
            ..tile
        };
        let mut first = 0;
        while first + TOKENS <= x.rows() {
            let rows = core::array::from_fn(|m| x.row(first + m));
            put(w, at, first, &Simd128.eight::<TOKENS>(tile, rows), y);
            first += TOKENS;
        }
        for left in first..x.rows() {
            put(w, at, left, &Simd128.eight::<1>(tile, [x.row(left)]), y);
        }
    }
}

/// Codes of four bits in the order of those of eight.
fn unpack(codes: &[u8], bytes: &mut [u8]) {
    let low = u16x8_splat(15);
    let fours = bytes.as_chunks_mut::<{ 4 * ROWS * STEP }>().0;
    for (words, fours) in codes.as_chunks::<HALF>().0.iter().zip(fours) {
        let [a, b] = [0, 1].map(|at| load(&words.as_chunks::<16>().0[at]));
        let steps = fours.as_chunks_mut::<16>().0;
        for (nibble, step) in steps.iter_mut().enumerate() {
            let [a, b] = [a, b].map(|words| v128_and(u16x8_shr(words, 4 * nibble as u32), low));
            store(step, u8x16_narrow_i16x8(a, b));
        }
    }
}

/// Sums of whole numbers: two lanes each for rows 0 and 1, and for rows 2 and 3.
#[derive(Clone, Copy)]
struct Whole([v128; 2]);

impl Whole {
    /// Adds the products of one step of columns, whose codes of rows 0 and 1, and 2 and 3, are given.
    #[inline(always)]
    fn add(&mut self, codes: [v128; 2], x: v128) {
        for (sum, codes) in self.0.iter_mut().zip(codes) {
            *sum = i32x4_add(*sum, i32x4_dot_i16x8(codes, x));
        }
    }

    /// A sum for each row.
    #[inline(always)]
    fn rows(self) -> v128 {
        let [a, b] = self.0;
        i32x4_add(
            i32x4_shuffle::<0, 2, 4, 6>(a, b),
            i32x4_shuffle::<1, 3, 5, 7>(a, b),
        )
    }
}

impl Arithmetic for Simd128 {
    #[inline(always)]
    fn four<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        let mut sums = [f32x4_splat(0.0); M];
        let low = u16x8_splat(15);
        let squares = tile.codes.as_chunks::<{ Bits::Four.square() }>().0;
        let (tile, x) = (
            tile.of_length(squares.len()),
            x.map(|x| x.of_length(squares.len())),
        );
        for (group, square) in squares.iter().enumerate() {
            let mut whole = [Whole([i32x4_splat(0); 2]); M];
            for (half, words) in square.as_chunks::<HALF>().0.iter().enumerate() {
                let [a, b] = [0, 1].map(|at| load(&words.as_chunks::<16>().0[at]));
                let mut step = |step: usize, codes: [v128; 2]| {
                    for (x, whole) in x.iter().zip(&mut whole) {
                        whole.add(codes, four_of(&x.codes[group], 4 * half + step));
                    }
                };
                step(0, [a, b].map(|words| v128_and(words, low)));
                step(1, [a, b].map(|words| v128_and(u16x8_shr(words, 4), low)));
                step(2, [a, b].map(|words| v128_and(u16x8_shr(words, 8), low)));
                step(3, [a, b].map(|words| u16x8_shr(words, 12)));
            }
            scaled(&tile, group, &x, &whole, &mut sums);
        }
        sums.map(lanes)
    }

    #[inline(always)]
    fn eight<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        let mut sums = [f32x4_splat(0.0); M];
        let squares = tile.codes.as_chunks::<{ Bits::Eight.square() }>().0;
        let (tile, x) = (
            tile.of_length(squares.len()),
            x.map(|x| x.of_length(squares.len())),
        );
        for (group, square) in squares.iter().enumerate() {
            let mut whole = [Whole([i32x4_splat(0); 2]); M];
            for (step, bytes) in square.as_chunks::<16>().0.iter().enumerate() {
                let codes = load(bytes);
                let codes = [
                    i16x8_extend_low_i8x16(codes),
                    i16x8_extend_high_i8x16(codes),
                ];
                for (x, whole) in x.iter().zip(&mut whole) {
                    whole.add(codes, four_of(&x.codes[group], step));
                }
            }
            scaled(&tile, group, &x, &whole, &mut sums);
        }
        sums.map(lanes)
    }
}

/// The activations of one step of columns, once for each of two rows.
#[inline(always)]
fn four_of(x: &[i16; COLUMNS], step: usize) -> v128 {
    let four: &[i16; STEP] = &x.as_chunks::<STEP>().0[step];
    // SAFETY: eight bytes are there, and loads of WebAssembly ask for no alignment.
    unsafe { v128_load64_splat(four.as_ptr().cast()) }
}

/// Adds the scaled sums of a group, and the offsets' share.
#[inline(always)]
fn scaled<const M: usize>(
    tile: &Tile<'_>,
    group: usize,
    x: &[Row<'_>; M],
    whole: &[Whole; M],
    sums: &mut [v128; M],
) {
    let scales = four_numbers(&tile.scales[group]);
    for m in 0..M {
        let scale = f32x4_mul(scales, f32x4_splat(x[m].scales[group]));
        let share = f32x4_mul(f32x4_convert_i32x4(whole[m].rows()), scale);
        sums[m] = f32x4_add(sums[m], share);
    }
    if let Some(leasts) = tile.leasts.get(group) {
        let leasts = four_numbers(leasts);
        for m in 0..M {
            let share = f32x4_mul(leasts, f32x4_splat(x[m].sums[group]));
            sums[m] = f32x4_add(sums[m], share);
        }
    }
}

#[inline(always)]
fn lanes(sums: v128) -> [f32; ROWS] {
    [
        f32x4_extract_lane::<0>(sums),
        f32x4_extract_lane::<1>(sums),
        f32x4_extract_lane::<2>(sums),
        f32x4_extract_lane::<3>(sums),
    ]
}

#[inline(always)]
fn four_numbers(numbers: &[f32; ROWS]) -> v128 {
    // SAFETY: 16 bytes are there, and loads of WebAssembly ask for no alignment.
    unsafe { v128_load(numbers.as_ptr().cast()) }
}

#[inline(always)]
fn load(bytes: &[u8; 16]) -> v128 {
    // SAFETY: as above.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn store(bytes: &mut [u8; 16], codes: v128) {
    // SAFETY: as above.
    unsafe { v128_store(bytes.as_mut_ptr().cast(), codes) }
}
