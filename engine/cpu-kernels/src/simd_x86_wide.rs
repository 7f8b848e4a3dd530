//! The loops for x86 with AVX-512 and its VNNI: 32 products of 16 bits an instruction, added up by it.
#![allow(
    unsafe_code,
    reason = "loads of vectors, and calls of what needs AVX-512"
)]

use core::arch::x86_64::{
    __m256i, __m512, __m512i, _mm256_loadu_si256, _mm512_add_epi32, _mm512_add_ps,
    _mm512_and_si512, _mm512_castps256_ps512, _mm512_cvtepi8_epi16, _mm512_cvtepi32_ps,
    _mm512_dpwssd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_permutexvar_ps, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16,
    _mm512_storeu_ps,
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
use crate::simd_x86::{Avx2, offsets, pairs_of_eight, pairs_of_four};
use crate::tile::{Arithmetic, pair, word};

/// Lanes of a register.
const LANES: usize = 16;

/// The product with AVX-512.
///
/// Only [`crate::Level`]s that found AVX-512 F, BW and VNNI on this processor lead here.
pub(crate) fn product(w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    // SAFETY: a `Level` of this kind is only made where the processor has these.
    unsafe { with_avx512(w, x, y) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
fn with_avx512(w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    if x.rows() < MANY {
        return all(Avx512, w, x, y);
    }
    match w.bits().scales() {
        1 => panel::product::<Avx512, LANES, 2, 6, 1>(w, x, y),
        _ => panel::product::<Avx512, LANES, 2, 6, 2>(w, x, y),
    }
}

/// The cosines with AVX-512, as [`product`].
#[cfg(feature = "std")]
pub(crate) fn cosines(queries: &Queries<'_>, rows: &[f32], put: impl FnMut(usize, usize, f32)) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
    fn with_avx512(queries: &Queries<'_>, rows: &[f32], put: impl FnMut(usize, usize, f32)) {
        queries.each::<Avx512, LANES>(rows, put);
    }
    // SAFETY: as above.
    unsafe { with_avx512(queries, rows, put) }
}

/// A panel is unpacked from here on.
const MANY: usize = 8;

#[derive(Clone, Copy)]
struct Avx512;

impl Arithmetic for Avx512 {
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
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
fn four<const M: usize>(tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let low = _mm512_set1_epi16(15);
    let squares = tile.codes.as_chunks::<{ Bits::Four.square() }>().0;
    products::<M, _, 1>(tile, x, squares, |square| {
        let mut steps = [low; STEPS];
        for (half, words) in square.as_chunks::<HALF>().0.iter().enumerate() {
            let words = load(words);
            steps[4 * half] = _mm512_and_si512(words, low);
            steps[4 * half + 1] = _mm512_and_si512(_mm512_srli_epi16::<4>(words), low);
            steps[4 * half + 2] = _mm512_and_si512(_mm512_srli_epi16::<8>(words), low);
            steps[4 * half + 3] = _mm512_srli_epi16::<12>(words);
        }
        steps
    })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
fn bytes<const M: usize, const S: usize>(tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let squares = tile.codes.as_chunks::<{ Bits::Eight.square() }>().0;
    products::<M, _, S>(tile, x, squares, |square| {
        let mut steps = [_mm512_setzero_si512(); STEPS];
        for (step, bytes) in steps.iter_mut().zip(square.as_chunks::<WIDE>().0) {
            *step = _mm512_cvtepi8_epi16(load_half(bytes));
        }
        steps
    })
}

/// The products of a tile of `S` scales a group whose squares `codes` brings into a register for each step of columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
fn products<const M: usize, const BYTES: usize, const S: usize>(
    tile: Tile<'_>,
    x: [Row<'_>; M],
    squares: &[[u8; BYTES]],
    codes: impl Fn(&[u8; BYTES]) -> [__m512i; STEPS],
) -> [[f32; ROWS]; M] {
    let (tile, x) = (
        tile.of_length::<S>(squares.len()),
        of_length(x, squares.len()),
    );
    // Each row has two lanes.
    let twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    let mut sums = [_mm512_setzero_ps(); M];
    for (group, square) in squares.iter().enumerate() {
        let codes = codes(square);
        for share in 0..S {
            let scales = Avx2::load(&tile.scales[group * S + share]);
            let scales = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(scales));
            for m in 0..M {
                let mut whole = [_mm512_setzero_si512(); 2];
                for step in share * (STEPS / S)..(share + 1) * (STEPS / S) {
                    let x = word(x[m].codes[group].as_chunks().0[step]);
                    let sums = &mut whole[step % 2];
                    *sums = _mm512_dpwssd_epi32(*sums, codes[step], _mm512_set1_epi64(x));
                }
                let whole = _mm512_cvtepi32_ps(_mm512_add_epi32(whole[0], whole[1]));
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(x[m].scales[group]));
                sums[m] = _mm512_fmadd_ps(whole, scale, sums[m]);
            }
        }
    }
    let mut out = [[0.0; ROWS]; M];
    for m in 0..M {
        let mut lanes = [0.0; LANES];
        Avx512::store(sums[m], &mut lanes);
        let offset = offsets(tile, x[m]);
        for row in 0..ROWS {
            out[m][row] = lanes[2 * row] + lanes[2 * row + 1] + offset[row];
        }
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; HALF]) -> __m512i {
    const { assert!(HALF == size_of::<__m512i>()) };
    // SAFETY: 64 bytes are there, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx")]
fn load_half(bytes: &[u8; WIDE]) -> __m256i {
    const { assert!(WIDE == size_of::<__m256i>()) };
    // SAFETY: 32 bytes are there, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

impl Reals<LANES> for Avx512 {
    type Real = __m512;

    #[inline(always)]
    fn splat(number: f32) -> __m512 {
        // SAFETY: as all below: reached through `product` and `nearest` alone.
        unsafe { _mm512_set1_ps(number) }
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> __m512 {
        // SAFETY: 64 bytes are there, and the load asks for no alignment.
        unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
    }

    #[inline(always)]
    fn store(numbers: __m512, to: &mut [f32; LANES]) {
        // SAFETY: 64 bytes are there, and the store asks for no alignment.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), numbers) }
    }

    #[inline(always)]
    fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
}

impl Lanes<LANES> for Avx512 {
    type Whole = __m512i;

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
    fn zeros() -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn codes(codes: &[u32; LANES]) -> __m512i {
        // SAFETY: 64 bytes are there, and the load asks for no alignment.
        unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn pair(x: &[i16; 2]) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_set1_epi32(pair(*x)) }
    }

    #[inline(always)]
    fn dot(sums: __m512i, codes: __m512i, x: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_dpwssd_epi32(sums, codes, x) }
    }

    #[inline(always)]
    fn real(sums: __m512i) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi32_ps(sums) }
    }
}
