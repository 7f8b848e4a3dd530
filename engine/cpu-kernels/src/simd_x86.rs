//! The loops for x86 with AVX2: 16 products of 16 bits an instruction.
#![allow(unsafe_code, reason = "loads of vectors, and calls of what needs AVX2")]

use core::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_and_si256,
    _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi64x, _mm256_set1_ps,
    _mm256_setr_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_srli_epi16, _mm256_storeu_ps,
};

use crate::activations::{Activations, Row};
use crate::packed::{Bits, HALF, Packed, STEP, Tile};
use crate::tile::Arithmetic;
use crate::{COLUMNS, ROWS};

/// Steps of columns in a group.
const STEPS: usize = COLUMNS / STEP;

/// The product with AVX2.
///
/// Only [`crate::Level`]s that found AVX2 and FMA on this processor lead here.
pub(crate) fn product(w: &Packed, x: &Activations, y: &mut [f32]) {
    // SAFETY: a `Level` of this kind is only made where the processor has AVX2 and FMA.
    unsafe { with_avx2(w, x, y) }
}

#[target_feature(enable = "avx2,fma")]
fn with_avx2(w: &Packed, x: &Activations, y: &mut [f32]) {
    crate::product::all(Avx2, w, x, y);
}

#[derive(Clone, Copy)]
struct Avx2;

impl Arithmetic for Avx2 {
    #[inline(always)]
    fn four<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        // SAFETY: reached through `product` alone.
        unsafe { four(tile, x) }
    }

    #[inline(always)]
    fn eight<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        // SAFETY: reached through `product` alone.
        unsafe { eight(tile, x) }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn four<const M: usize>(tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let mut sums = [_mm256_setzero_ps(); M];
    let low = _mm256_set1_epi16(15);
    let squares = tile.codes.as_chunks::<{ Bits::Four.square() }>().0;
    let (tile, x) = (
        tile.of_length(squares.len()),
        x.map(|x| x.of_length(squares.len())),
    );
    for (group, square) in squares.iter().enumerate() {
        let mut whole = [_mm256_setzero_si256(); M];
        for (half, words) in square.as_chunks::<HALF>().0.iter().enumerate() {
            let words = load_wide(words);
            let codes = [
                _mm256_and_si256(words, low),
                _mm256_and_si256(_mm256_srli_epi16::<4>(words), low),
                _mm256_and_si256(_mm256_srli_epi16::<8>(words), low),
                _mm256_srli_epi16::<12>(words),
            ];
            for (x, whole) in x.iter().zip(&mut whole) {
                for (step, &codes) in codes.iter().enumerate() {
                    let x = four_of(&x.codes[group], 4 * half + step);
                    *whole = _mm256_add_epi32(*whole, _mm256_madd_epi16(codes, x));
                }
            }
        }
        scaled(&tile, group, &x, &whole, &mut sums);
    }
    finished(&tile, &x, sums)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn eight<const M: usize>(tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let mut sums = [_mm256_setzero_ps(); M];
    let squares = tile.codes.as_chunks::<{ Bits::Eight.square() }>().0;
    let (tile, x) = (
        tile.of_length(squares.len()),
        x.map(|x| x.of_length(squares.len())),
    );
    for (group, square) in squares.iter().enumerate() {
        let mut whole = [_mm256_setzero_si256(); M];
        for (step, bytes) in square.as_chunks::<16>().0.iter().enumerate() {
            let codes = _mm256_cvtepi8_epi16(load(bytes));
            for (x, whole) in x.iter().zip(&mut whole) {
                let x = four_of(&x.codes[group], step);
                *whole = _mm256_add_epi32(*whole, _mm256_madd_epi16(codes, x));
            }
        }
        scaled(&tile, group, &x, &whole, &mut sums);
    }
    finished(&tile, &x, sums)
}

/// The activations of one step of columns, once for each row.
#[inline]
#[target_feature(enable = "avx2")]
fn four_of(x: &[i16; COLUMNS], step: usize) -> __m256i {
    const { assert!(STEPS * STEP == COLUMNS && STEP == 4) };
    let at = step * STEP;
    let word = x[at..at + STEP].iter().rev();
    _mm256_set1_epi64x(word.fold(0i64, |word, &x| word << 16 | i64::from(x as u16)))
}

/// Adds the scaled sums of a group; each row has two lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn scaled<const M: usize>(
    tile: &Tile<'_>,
    group: usize,
    x: &[Row<'_>; M],
    whole: &[__m256i; M],
    sums: &mut [__m256; M],
) {
    let [a, b, c, d] = tile.scales[group];
    let scales = _mm256_setr_ps(a, a, b, b, c, c, d, d);
    for m in 0..M {
        let scale = _mm256_mul_ps(scales, _mm256_set1_ps(x[m].scales[group]));
        sums[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[m]), scale, sums[m]);
    }
}

/// The two lanes of each row added up, and the offsets' share.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn finished<const M: usize>(
    tile: &Tile<'_>,
    x: &[Row<'_>; M],
    sums: [__m256; M],
) -> [[f32; ROWS]; M] {
    let mut out = [[0.0; ROWS]; M];
    for m in 0..M {
        let lanes = store(sums[m]);
        let mut offsets = [0.0f32; ROWS];
        for (least, &sum) in tile.leasts.iter().zip(x[m].sums) {
            for (offset, least) in offsets.iter_mut().zip(least) {
                *offset += least * sum;
            }
        }
        for row in 0..ROWS {
            out[m][row] = lanes[2 * row] + lanes[2 * row + 1] + offsets[row];
        }
    }
    out
}

#[inline(always)]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes are there, and the load asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx")]
fn load_wide(bytes: &[u8; HALF]) -> __m256i {
    const { assert!(HALF == size_of::<__m256i>()) };
    // SAFETY: 32 bytes are there, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx")]
fn store(lanes: __m256) -> [f32; 2 * ROWS] {
    let mut out = [0.0; 2 * ROWS];
    // SAFETY: eight numbers are there, and the store asks for no alignment.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), lanes) };
    out
}
