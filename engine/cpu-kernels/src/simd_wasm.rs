//! The loops for WebAssembly with 128-bit SIMD: eight products of 16 bits an instruction (`i32x4.dot_i16x8_s`).
#![allow(unsafe_code, reason = "loads and stores of vectors")]

use core::arch::wasm32::{
    f32x4_add, f32x4_convert_i32x4, f32x4_mul, f32x4_splat, i16x8_extend_high_i8x16,
    i16x8_extend_low_i8x16, i32x4_add, i32x4_dot_i16x8, i32x4_shuffle, i32x4_splat, u16x8_shr,
    u16x8_splat, v128, v128_and, v128_load, v128_load32_splat, v128_load64_splat, v128_store,
};

use crate::ROWS;
use crate::activations::{Activations, Row, of_length};
use crate::lanes::{Lanes, PAIRS, Reals};
#[cfg(feature = "std")]
use crate::nearest::Queries;
use crate::packed::{Bits, HALF, STEP, STEPS, WIDE};
use crate::packed_rows::{PackedRows, Tile};
use crate::panel::Panel;
use crate::panel_wasm;
use crate::product::{Room, put};

/// Lanes of a register.
const LANES: usize = 4;
/// Registers of two rows each that make a tile.
const PARTS: usize = ROWS / 2;
/// Steps of columns in codes of eight bits that are worked on together.
const EIGHT: usize = 1;
/// A panel is unpacked from here on.
const MANY: usize = 4;

/// 128-bit SIMD.
#[derive(Debug, Clone, Copy)]
struct Simd128;

/// The product with 128-bit SIMD.
///
/// A few rows of activations pass one after the other: codes and sums of more do not fit the 16 registers. Each loop is a function of
/// its own: compilers of WebAssembly that met them all in one kept few of their numbers in registers.
pub(crate) fn product(w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    if x.rows() >= MANY {
        return panel_wasm::product::<Simd128>(w, x, y);
    }
    for at in 0..w.rows().div_ceil(ROWS) {
        for row in 0..x.rows() {
            let found = match w.bits() {
                Bits::Four => four(w.tile(at), x.row(row)),
                Bits::Six => bytes::<2>(w.tile(at), x.row(row)),
                Bits::Eight => bytes::<1>(w.tile(at), x.row(row)),
            };
            put(w, at, row, &[found], y);
        }
    }
}

/// The cosines with 128-bit SIMD.
#[cfg(feature = "std")]
pub(crate) fn cosines(queries: &Queries<'_>, rows: &[f32], put: impl FnMut(usize, usize, f32)) {
    queries.each::<Simd128, LANES>(rows, put);
}

#[inline(never)]
fn four(tile: Tile<'_>, x: Row<'_>) -> [f32; ROWS] {
    let low = u16x8_splat(15);
    products::<HALF, 4, 1>(tile, x, |words, step| {
        let words: [v128; PARTS] = [0, 1, 2, 3].map(|part| load_at(words, 16 * part));
        match step {
            0 => words.map(|words| v128_and(words, low)),
            1 => words.map(|words| v128_and(u16x8_shr(words, 4), low)),
            2 => words.map(|words| v128_and(u16x8_shr(words, 8), low)),
            _ => words.map(|words| u16x8_shr(words, 12)),
        }
    })
}

#[inline(never)]
fn bytes<const S: usize>(tile: Tile<'_>, x: Row<'_>) -> [f32; ROWS] {
    products::<{ EIGHT * WIDE }, EIGHT, S>(tile, x, |bytes, step| {
        let [a, b] = [0, 16].map(|at| load_at(bytes, WIDE * step + at));
        [
            i16x8_extend_low_i8x16(a),
            i16x8_extend_high_i8x16(a),
            i16x8_extend_low_i8x16(b),
            i16x8_extend_high_i8x16(b),
        ]
    })
}

/// The products of a tile of `S` scales a group; `codes` brings each of the `EACH` steps of columns that lie in `BYTES` of codes into four
/// registers of two rows each.
#[inline(always)]
fn products<const BYTES: usize, const EACH: usize, const S: usize>(
    tile: Tile<'_>,
    x: Row<'_>,
    codes: impl Fn(&[u8; BYTES], usize) -> [v128; PARTS],
) -> [f32; ROWS] {
    let groups = tile.scales.len() / S;
    let tile = tile.of_length::<S>(groups);
    let parts = tile.codes.as_chunks::<BYTES>().0;
    let x_parts = x.codes.as_flattened().as_chunks::<STEP>().0;
    let x_parts = x_parts.as_chunks::<EACH>().0;
    let [x] = of_length([x], groups);
    // Not known to the compiler: it would put all parts together and order them so that the registers do not suffice.
    let times = core::hint::black_box(STEPS / EACH / S);
    let mut sums = [f32x4_splat(0.0); 2];
    for (share, scales) in tile.scales.iter().enumerate() {
        let mut whole = [i32x4_splat(0); PARTS];
        let first = share * (STEPS / EACH / S);
        let x_parts = &x_parts[first..][..times];
        for (part, x) in parts[first..][..times].iter().zip(x_parts) {
            for step in 0..EACH {
                let codes = codes(part, step);
                let x = step_of(x, step);
                for (whole, codes) in whole.iter_mut().zip(codes) {
                    *whole = i32x4_add(*whole, i32x4_dot_i16x8(codes, x));
                }
            }
        }
        let scale = f32x4_splat(x.scales[share / S]);
        let scales = scales.as_chunks().0;
        let whole = whole.as_chunks::<2>().0;
        for half in 0..2 {
            let scale = f32x4_mul(Simd128::load(&scales[half]), scale);
            let share = f32x4_mul(f32x4_convert_i32x4(rows(whole[half])), scale);
            sums[half] = f32x4_add(sums[half], share);
        }
    }
    for (leasts, &x) in tile.leasts.iter().zip(x.sums) {
        let leasts = leasts.as_chunks().0;
        for half in 0..2 {
            let share = f32x4_mul(Simd128::load(&leasts[half]), f32x4_splat(x));
            sums[half] = f32x4_add(sums[half], share);
        }
    }
    let mut out = [0.0; ROWS];
    for (sums, out) in sums.into_iter().zip(out.as_chunks_mut().0) {
        Simd128::store(sums, out);
    }
    out
}

/// A sum for each of four rows, which have two lanes each.
#[inline(always)]
fn rows([a, b]: [v128; 2]) -> v128 {
    i32x4_add(
        i32x4_shuffle::<0, 2, 4, 6>(a, b),
        i32x4_shuffle::<1, 3, 5, 7>(a, b),
    )
}

/// The activations of one step of columns, once for each of two rows.
#[inline(always)]
fn step_of<const EACH: usize>(x: &[[i16; STEP]; EACH], step: usize) -> v128 {
    assert!(step < EACH, "constants");
    // SAFETY: eight bytes are there, and loads of WebAssembly ask for no alignment.
    unsafe { v128_load64_splat(x.as_ptr().add(step).cast()) }
}

impl Reals<LANES> for Simd128 {
    type Real = v128;

    #[inline(always)]
    fn splat(number: f32) -> v128 {
        f32x4_splat(number)
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> v128 {
        // SAFETY: 16 bytes are there, and loads of WebAssembly ask for no alignment.
        unsafe { v128_load(numbers.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(numbers: v128, to: &mut [f32; LANES]) {
        // SAFETY: 16 bytes are there, and stores of WebAssembly ask for no alignment.
        unsafe { v128_store(to.as_mut_ptr().cast(), numbers) }
    }

    #[inline(always)]
    fn add(a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn mul(a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }

    #[inline(always)]
    fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
}

impl Lanes<LANES> for Simd128 {
    type Whole = v128;

    #[inline(always)]
    fn four(words: &[u8; HALF]) -> [[u32; ROWS]; PAIRS / 2] {
        let low = u16x8_splat(15);
        let mut out = [[0; ROWS]; PAIRS / 2];
        for (half, words) in words.as_chunks::<32>().0.iter().enumerate() {
            for (at, words) in apart(words).into_iter().enumerate() {
                let mut put = |pair: usize, codes| {
                    store(&mut out[2 * pair + at].as_chunks_mut().0[half], codes);
                };
                put(0, v128_and(words, low));
                put(1, v128_and(u16x8_shr(words, 4), low));
                put(2, v128_and(u16x8_shr(words, 8), low));
                put(3, u16x8_shr(words, 12));
            }
        }
        out
    }

    #[inline(always)]
    fn eight(bytes: &[u8; WIDE]) -> [[u32; ROWS]; STEP / 2] {
        let mut out = [[0; ROWS]; STEP / 2];
        for (half, bytes) in bytes.as_chunks::<16>().0.iter().enumerate() {
            let bytes = load(bytes);
            let (a, b) = (
                i16x8_extend_low_i8x16(bytes),
                i16x8_extend_high_i8x16(bytes),
            );
            store(
                &mut out[0].as_chunks_mut().0[half],
                i32x4_shuffle::<0, 2, 4, 6>(a, b),
            );
            store(
                &mut out[1].as_chunks_mut().0[half],
                i32x4_shuffle::<1, 3, 5, 7>(a, b),
            );
        }
        out
    }

    #[inline(always)]
    fn zeros() -> v128 {
        i32x4_splat(0)
    }

    #[inline(always)]
    fn codes(codes: &[u32; LANES]) -> v128 {
        // SAFETY: 16 bytes are there, and loads of WebAssembly ask for no alignment.
        unsafe { v128_load(codes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn pair(x: &[i16; 2]) -> v128 {
        // SAFETY: four bytes are there, and loads of WebAssembly ask for no alignment.
        unsafe { v128_load32_splat(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot(sums: v128, codes: v128, x: v128) -> v128 {
        i32x4_add(sums, i32x4_dot_i16x8(codes, x))
    }

    #[inline(always)]
    fn real(sums: v128) -> v128 {
        f32x4_convert_i32x4(sums)
    }

    #[inline(always)]
    fn sums<const V: usize, const T: usize, const S: usize>(
        panel: &Panel<LANES, V>,
        x: [Row<'_>; T],
    ) -> [[v128; V]; T] {
        panel_wasm::sums::<Self, LANES, V, T, S>(panel, x)
    }
}

/// First pairs and second pairs of columns of four rows, of which the words hold both.
#[inline(always)]
fn apart(words: &[u8; 32]) -> [v128; 2] {
    let words = words.as_chunks::<16>().0;
    let [a, b] = [load(&words[0]), load(&words[1])];
    [
        i32x4_shuffle::<0, 2, 4, 6>(a, b),
        i32x4_shuffle::<1, 3, 5, 7>(a, b),
    ]
}

/// 16 bytes from `at` on. By a pointer, because compilers make an index a sum of its own, and this a part of the load.
#[inline(always)]
fn load_at<const BYTES: usize>(bytes: &[u8; BYTES], at: usize) -> v128 {
    assert!(at + 16 <= BYTES, "constants");
    // SAFETY: asserted.
    unsafe { v128_load(bytes.as_ptr().add(at).cast()) }
}

#[inline(always)]
fn load(bytes: &[u8; 16]) -> v128 {
    // SAFETY: 16 bytes are there, and loads of WebAssembly ask for no alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn store(to: &mut [u32; LANES], codes: v128) {
    // SAFETY: 16 bytes are there, and stores of WebAssembly ask for no alignment.
    unsafe { v128_store(to.as_mut_ptr().cast(), codes) }
}
