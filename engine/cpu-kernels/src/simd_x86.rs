//! The loops for x86 with AVX2: 16 products of 16 bits an instruction.
#![allow(unsafe_code, reason = "loads of vectors, and calls of what needs AVX2")]

use core::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_ps,
    _mm256_permute4x64_epi64, _mm256_permutevar8x32_ps, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_shuffle_ps, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_storeu_si256,
};

use crate::ROWS;
use crate::activations::{Activations, Row, of_length};
use crate::lanes::{Lanes, PAIRS, Reals};
#[cfg(feature = "std")]
use crate::nearest::Queries;
use crate::packed::{Bits, HALF, STEP, STEPS, WIDE};
use crate::packed_rows::{PackedRows, Tile};
use crate::panel;
use crate::product::{Room, all};
use crate::tile::{Arithmetic, pair, word};

/// Lanes of a register.
const LANES: usize = 8;

/// The product with AVX2.
///
/// Only [`crate::Level`]s that found AVX2 and FMA on this processor lead here.
pub(crate) fn product(w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    // SAFETY: a `Level` of this kind is only made where the processor has AVX2 and FMA.
    unsafe { with_avx2(w, x, y) }
}

#[target_feature(enable = "avx2,fma")]
fn with_avx2(w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    if x.rows() < MANY {
        return all(Avx2, w, x, y);
    }
    match w.bits().scales() {
        1 => panel::product::<Avx2, LANES, 1, 4, 1>(w, x, y),
        _ => panel::product::<Avx2, LANES, 1, 4, 2>(w, x, y),
    }
}

/// The cosines with AVX2, as [`product`].
#[cfg(feature = "std")]
pub(crate) fn cosines(queries: &Queries<'_>, rows: &[f32], put: impl FnMut(usize, usize, f32)) {
    #[target_feature(enable = "avx2,fma")]
    fn with_avx2(queries: &Queries<'_>, rows: &[f32], put: impl FnMut(usize, usize, f32)) {
        queries.each::<Avx2, LANES>(rows, put);
    }
    // SAFETY: as above.
    unsafe { with_avx2(queries, rows, put) }
}

/// A panel is unpacked from here on.
const MANY: usize = 8;

#[derive(Clone, Copy)]
pub(crate) struct Avx2;

impl Arithmetic for Avx2 {
    #[inline(always)]
    fn four<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        // SAFETY: reached through `product` alone.
        unsafe { four(tile, x) }
    }

    #[inline(always)]
    fn six<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        // SAFETY: reached through `product` alone.
        unsafe { bytes::<M, 2>(tile, x) }
    }

    #[inline(always)]
    fn eight<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        // SAFETY: reached through `product` alone.
        unsafe { bytes::<M, 1>(tile, x) }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn four<const M: usize>(tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let low = _mm256_set1_epi16(15);
    let squares = tile.codes.as_chunks::<{ Bits::Four.square() }>().0;
    products::<M, _, 1>(tile, x, squares, |square, step| {
        let words = square.as_chunks::<HALF>().0[step / 4].as_chunks::<32>().0;
        let words = [load(&words[0]), load(&words[1])];
        match step % 4 {
            0 => words.map(|words| _mm256_and_si256(words, low)),
            1 => words.map(|words| _mm256_and_si256(_mm256_srli_epi16::<4>(words), low)),
            2 => words.map(|words| _mm256_and_si256(_mm256_srli_epi16::<8>(words), low)),
            _ => words.map(|words| _mm256_srli_epi16::<12>(words)),
        }
    })
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn bytes<const M: usize, const S: usize>(tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let squares = tile.codes.as_chunks::<{ Bits::Eight.square() }>().0;
    products::<M, _, S>(tile, x, squares, |square, step| {
        let bytes = square.as_chunks::<WIDE>().0[step].as_chunks::<16>().0;
        [
            _mm256_cvtepi8_epi16(load_half(&bytes[0])),
            _mm256_cvtepi8_epi16(load_half(&bytes[1])),
        ]
    })
}

/// The products of a tile of `S` scales a group; `codes` brings a step of a square's columns into two registers, of four rows each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn products<const M: usize, const BYTES: usize, const S: usize>(
    tile: Tile<'_>,
    x: [Row<'_>; M],
    squares: &[[u8; BYTES]],
    codes: impl Fn(&[u8; BYTES], usize) -> [__m256i; 2],
) -> [[f32; ROWS]; M] {
    let (tile, x) = (
        tile.of_length::<S>(squares.len()),
        of_length(x, squares.len()),
    );
    // Each row has two lanes.
    let twice = [
        _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3),
        _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7),
    ];
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    for (group, square) in squares.iter().enumerate() {
        for share in 0..S {
            let mut whole = [[_mm256_setzero_si256(); 2]; M];
            for step in share * (STEPS / S)..(share + 1) * (STEPS / S) {
                let codes = codes(square, step);
                for m in 0..M {
                    let x = _mm256_set1_epi64x(word(x[m].codes[group].as_chunks().0[step]));
                    for v in 0..2 {
                        let products = _mm256_madd_epi16(codes[v], x);
                        whole[m][v] = _mm256_add_epi32(whole[m][v], products);
                    }
                }
            }
            let scales = Avx2::load(&tile.scales[group * S + share]);
            for m in 0..M {
                let scales = _mm256_mul_ps(scales, _mm256_set1_ps(x[m].scales[group]));
                for v in 0..2 {
                    let scales = _mm256_permutevar8x32_ps(scales, twice[v]);
                    let whole = _mm256_cvtepi32_ps(whole[m][v]);
                    sums[m][v] = _mm256_fmadd_ps(whole, scales, sums[m][v]);
                }
            }
        }
    }
    let mut out = [[0.0; ROWS]; M];
    for m in 0..M {
        let mut lanes = [[0.0; LANES]; 2];
        for v in 0..2 {
            Avx2::store(sums[m][v], &mut lanes[v]);
        }
        let (lanes, offset) = (lanes.as_flattened(), offsets(tile, x[m]));
        for row in 0..ROWS {
            out[m][row] = lanes[2 * row] + lanes[2 * row + 1] + offset[row];
        }
    }
    out
}

/// The offsets' share.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn offsets(tile: Tile<'_>, x: Row<'_>) -> [f32; ROWS] {
    let mut sums = _mm256_setzero_ps();
    for (leasts, &x) in tile.leasts.iter().zip(x.sums) {
        sums = _mm256_fmadd_ps(Avx2::load(leasts), _mm256_set1_ps(x), sums);
    }
    let mut out = [0.0; ROWS];
    Avx2::store(sums, &mut out);
    out
}

/// The pairs of columns of half a square in codes of four bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn pairs_of_four(words: &[u8; HALF]) -> [[u32; ROWS]; PAIRS / 2] {
    let words = words.as_chunks::<32>().0;
    let words = apart(load(&words[0]), load(&words[1]));
    let low = _mm256_set1_epi16(15);
    let mut out = [[0; ROWS]; PAIRS / 2];
    for (at, words) in words.into_iter().enumerate() {
        store(&mut out[at], _mm256_and_si256(words, low));
        let second = _mm256_srli_epi16::<4>(words);
        store(&mut out[2 + at], _mm256_and_si256(second, low));
        let third = _mm256_srli_epi16::<8>(words);
        store(&mut out[4 + at], _mm256_and_si256(third, low));
        store(&mut out[6 + at], _mm256_srli_epi16::<12>(words));
    }
    out
}

/// The pairs of columns of a step in codes of eight bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn pairs_of_eight(bytes: &[u8; WIDE]) -> [[u32; ROWS]; STEP / 2] {
    let bytes = bytes.as_chunks::<16>().0;
    let codes = apart(
        _mm256_cvtepi8_epi16(load_half(&bytes[0])),
        _mm256_cvtepi8_epi16(load_half(&bytes[1])),
    );
    let mut out = [[0; ROWS]; STEP / 2];
    for (out, codes) in out.iter_mut().zip(codes) {
        store(out, codes);
    }
    out
}

/// First pairs and second pairs of rows 0 to 3 and 4 to 7, of which each holds both.
#[inline]
#[target_feature(enable = "avx2")]
fn apart(a: __m256i, b: __m256i) -> [__m256i; 2] {
    let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    // Each half of the registers is turned by itself, so quarters are put in order behind it.
    let [first, second] = [
        _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(a, b)),
        _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(a, b)),
    ];
    [
        _mm256_permute4x64_epi64::<0b11_01_10_00>(first),
        _mm256_permute4x64_epi64::<0b11_01_10_00>(second),
    ]
}

#[inline]
#[target_feature(enable = "avx")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are there, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx")]
fn store(to: &mut [u32; ROWS], codes: __m256i) {
    const { assert!(4 * ROWS == size_of::<__m256i>()) };
    // SAFETY: 32 bytes are there, and the store asks for no alignment.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), codes) }
}

#[inline(always)]
fn load_half(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes are there, and the load asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

impl Reals<LANES> for Avx2 {
    type Real = __m256;

    #[inline(always)]
    fn splat(number: f32) -> __m256 {
        // SAFETY: as all below: reached through `product` and `nearest` alone.
        unsafe { _mm256_set1_ps(number) }
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> __m256 {
        // SAFETY: 32 bytes are there, and the load asks for no alignment.
        unsafe { _mm256_loadu_ps(numbers.as_ptr()) }
    }

    #[inline(always)]
    fn store(numbers: __m256, to: &mut [f32; LANES]) {
        // SAFETY: 32 bytes are there, and the store asks for no alignment.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), numbers) }
    }

    #[inline(always)]
    fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
}

impl Lanes<LANES> for Avx2 {
    type Whole = __m256i;

    #[inline(always)]
    fn four(words: &[u8; HALF]) -> [[u32; ROWS]; PAIRS / 2] {
        // SAFETY: reached through `product` alone.
        unsafe { pairs_of_four(words) }
    }

    #[inline(always)]
    fn eight(bytes: &[u8; WIDE]) -> [[u32; ROWS]; STEP / 2] {
        // SAFETY: as above.
        unsafe { pairs_of_eight(bytes) }
    }

    #[inline(always)]
    fn zeros() -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn codes(codes: &[u32; LANES]) -> __m256i {
        // SAFETY: 32 bytes are there, and the load asks for no alignment.
        unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn pair(x: &[i16; 2]) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_set1_epi32(pair(*x)) }
    }

    #[inline(always)]
    fn dot(sums: __m256i, codes: __m256i, x: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(codes, x)) }
    }

    #[inline(always)]
    fn real(sums: __m256i) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(sums) }
    }
}
