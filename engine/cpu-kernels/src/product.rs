//! The product: which instruction set, and which rows together.

use core::mem::MaybeUninit;

use crate::ROWS;
use crate::activations::Activations;
use crate::level::{Kind, Level};
use crate::packed::Bits;
use crate::packed_rows::PackedRows;
use crate::portable::Portable;
use crate::tile::{Arithmetic, TOKENS};

/// Room for a result.
pub(crate) type Room = MaybeUninit<f32>;

/// `y = x wᵀ`: x `[M, K]`, w of N rows and K columns, a matrix or some rows of one -> y `[M, N]`, at the best level.
///
/// All of `y` is a number afterwards; what was there before is not read.
///
/// # Panics
/// When the shapes disagree.
pub fn product<'a>(w: impl Into<PackedRows<'a>>, x: &Activations, y: &mut [MaybeUninit<f32>]) {
    product_into(Level::best(), w.into(), x, y);
}

/// [`product`] at a level of one's choice, in the place of other numbers.
///
/// # Panics
/// When the shapes disagree.
pub fn product_at<'a>(level: Level, w: impl Into<PackedRows<'a>>, x: &Activations, y: &mut [f32]) {
    #[allow(unsafe_code, reason = "numbers seen as room for numbers")]
    // SAFETY: both lie alike in memory, and a product writes nothing but numbers there.
    let y = unsafe { &mut *(core::ptr::from_mut(y) as *mut [Room]) };
    product_into(level, w.into(), x, y);
}

fn product_into(level: Level, w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    assert_eq!(
        w.cols(),
        x.cols(),
        "product: columns of weights and activations"
    );
    assert_eq!(y.len(), x.rows() * w.rows(), "product: results");
    match level.0 {
        Kind::Portable => all(Portable, w, x, y),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => crate::simd_x86::product(w, x, y),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => crate::simd_x86_wide::product(w, x, y),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Kind::Simd128 => crate::simd_wasm::product(w, x, y),
    }
}

/// Every tile of weights with every row of activations. Weights are the outer loop of a few activations, whose codes the
/// nearest cache holds; of many activations each tile of weights stays there instead.
#[inline(always)]
pub(crate) fn all<A: Arithmetic + Copy>(by: A, w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    for tile in 0..w.rows().div_ceil(ROWS) {
        let mut first = 0;
        while first + TOKENS <= x.rows() {
            some::<A, TOKENS>(by, w, tile, x, first, y);
            first += TOKENS;
        }
        match x.rows() - first {
            3 => some::<A, 3>(by, w, tile, x, first, y),
            2 => some::<A, 2>(by, w, tile, x, first, y),
            1 => some::<A, 1>(by, w, tile, x, first, y),
            _ => {}
        }
    }
}

#[inline(always)]
fn some<A: Arithmetic, const M: usize>(
    by: A,
    w: PackedRows<'_>,
    tile: usize,
    x: &Activations,
    first: usize,
    y: &mut [Room],
) {
    let rows = core::array::from_fn(|m| x.row(first + m));
    let found = match w.bits() {
        Bits::Four => by.four::<M>(w.tile(tile), rows),
        Bits::Six => by.six::<M>(w.tile(tile), rows),
        Bits::Eight => by.eight::<M>(w.tile(tile), rows),
    };
    put(w, tile, first, &found, y);
}

/// Writes what a tile of weights gave with the rows of activations from `first` on to its place.
#[inline(always)]
pub(crate) fn put(
    w: PackedRows<'_>,
    tile: usize,
    first: usize,
    found: &[[f32; ROWS]],
    y: &mut [Room],
) {
    let at = tile * ROWS;
    let count = ROWS.min(w.rows() - at);
    for (m, found) in found.iter().enumerate() {
        y[(first + m) * w.rows() + at..][..count].write_copy_of_slice(&found[..count]);
    }
}
