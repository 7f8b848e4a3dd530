//! Many rows of activations: a few rows of weights are unpacked to 16 bits once, and stay in the cache while all activations pass.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::activations::{Activations, Row, of_length};
use crate::lanes::{Lanes, PAIRS};
use crate::packed::{Bits, HALF, STEP, WIDE};
use crate::packed_rows::PackedRows;
use crate::product::Room;
use crate::{COLUMNS, ROWS};

/// A pair of columns of `V * W` rows: for each row both codes, as 16 bits.
pub(crate) type Pair<const W: usize, const V: usize> = [[u32; W]; V];

/// `V * W` rows of weights, by groups of columns.
pub(crate) struct Panel<const W: usize, const V: usize> {
    pub(crate) codes: Vec<[Pair<W, V>; PAIRS]>,
    pub(crate) scales: Vec<[[f32; W]; V]>,
    /// Empty where there are no offsets.
    pub(crate) leasts: Vec<[[f32; W]; V]>,
}

impl<const W: usize, const V: usize> Panel<W, V> {
    /// Tiles of a panel.
    const TILES: usize = V * W / ROWS;

    fn new(w: PackedRows<'_>) -> Self {
        let groups = w.cols() / COLUMNS;
        let leasts = if w.has_offsets() { groups } else { 0 };
        Self {
            codes: vec![[[[0; W]; V]; PAIRS]; groups],
            scales: vec![[[0.0; W]; V]; groups * w.bits().scales()],
            leasts: vec![[[0.0; W]; V]; leasts],
        }
    }

    /// Takes over the rows from tile `first` on; rows behind the last keep what stood there and are not read.
    #[inline(always)]
    fn unpack<L: Lanes<W>>(&mut self, w: PackedRows<'_>, first: usize) {
        let count = (w.rows().div_ceil(ROWS) - first).min(Self::TILES);
        for at in 0..count {
            let tile = w.tile(first + at);
            let place = at * ROWS..(at + 1) * ROWS;
            let squares = tile.codes.chunks_exact(w.bits().square());
            for (square, pairs) in squares.zip(&mut self.codes) {
                unpack::<L, W, V>(w.bits(), square, pairs, place.clone());
            }
            for (from, scales) in tile.scales.iter().zip(&mut self.scales) {
                scales.as_flattened_mut()[place.clone()].copy_from_slice(from);
            }
            for (from, leasts) in tile.leasts.iter().zip(&mut self.leasts) {
                leasts.as_flattened_mut()[place.clone()].copy_from_slice(from);
            }
        }
    }
}

/// Writes a square's codes to its pairs of columns, in the place of its rows.
#[inline(always)]
fn unpack<L: Lanes<W>, const W: usize, const V: usize>(
    bits: Bits,
    square: &[u8],
    pairs: &mut [Pair<W, V>; PAIRS],
    place: Range<usize>,
) {
    let put = |to: &mut Pair<W, V>, codes: &[u32; ROWS]| {
        to.as_flattened_mut()[place.clone()].copy_from_slice(codes);
    };
    match bits {
        Bits::Four => {
            let pairs = pairs.as_chunks_mut::<{ PAIRS / 2 }>().0;
            for (words, pairs) in square.as_chunks::<HALF>().0.iter().zip(pairs) {
                for (to, codes) in pairs.iter_mut().zip(&L::four(words)) {
                    put(to, codes);
                }
            }
        }
        Bits::Six | Bits::Eight => {
            let pairs = pairs.as_chunks_mut::<{ STEP / 2 }>().0;
            for (bytes, pairs) in square.as_chunks::<WIDE>().0.iter().zip(pairs) {
                for (to, codes) in pairs.iter_mut().zip(&L::eight(bytes)) {
                    put(to, codes);
                }
            }
        }
    }
}

/// The product with a matrix of `S` scales a group, by panels of `V * W` rows and tiles of `T` rows of activations, whose sums fit the
/// registers.
#[inline(always)]
pub(crate) fn product<
    L: Lanes<W>,
    const W: usize,
    const V: usize,
    const T: usize,
    const S: usize,
>(
    w: PackedRows<'_>,
    x: &Activations,
    y: &mut [Room],
) {
    let mut panel = Panel::<W, V>::new(w);
    for first in (0..w.rows().div_ceil(ROWS)).step_by(Panel::<W, V>::TILES) {
        panel.unpack::<L>(w, first);
        let (first, rows) = (first * ROWS, w.rows());
        let mut at = 0;
        while at + T <= x.rows() {
            tile::<L, W, V, T, S>(&panel, x, at, first, rows, y);
            at += T;
        }
        while at + 2 <= x.rows() {
            tile::<L, W, V, 2, S>(&panel, x, at, first, rows, y);
            at += 2;
        }
        while at < x.rows() {
            tile::<L, W, V, 1, S>(&panel, x, at, first, rows, y);
            at += 1;
        }
    }
}

/// A panel times the `T` rows of activations from `at` on, to the rows from `first` on of the `rows` in `y`.
///
/// In WebAssembly each size is a function of its own, as all its loops are (`simd_wasm`).
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn tile<L: Lanes<W>, const W: usize, const V: usize, const T: usize, const S: usize>(
    panel: &Panel<W, V>,
    x: &Activations,
    at: usize,
    first: usize,
    rows: usize,
    y: &mut [Room],
) {
    let sums = L::sums::<V, T, S>(panel, core::array::from_fn(|t| x.row(at + t)));
    for t in 0..T {
        let y = &mut y[(at + t) * rows..][..rows][first..];
        // A copy of a length that is not known would be a call in WebAssembly.
        if let Some(y) = y.as_chunks_mut::<W>().0.first_chunk_mut::<V>() {
            for v in 0..V {
                y[v] = array::<L, W>(sums[t][v]).map(Room::new);
            }
            continue;
        }
        let mut out = [[0.0; W]; V];
        for v in 0..V {
            out[v] = array::<L, W>(sums[t][v]);
        }
        y.write_copy_of_slice(&out.as_flattened()[..y.len()]);
    }
}

#[inline(always)]
fn array<L: Lanes<W>, const W: usize>(numbers: L::Real) -> [f32; W] {
    let mut array = [0.0; W];
    L::store(numbers, &mut array);
    array
}

/// The sums of a panel's rows with `T` rows of activations.
#[inline(always)]
pub(crate) fn sums<L: Lanes<W>, const W: usize, const V: usize, const T: usize, const S: usize>(
    panel: &Panel<W, V>,
    x: [Row<'_>; T],
) -> [[L::Real; V]; T] {
    let x = of_length(x, panel.codes.len());
    let scales = &panel.scales.as_chunks::<S>().0[..panel.codes.len()];
    let mut sums = [[L::splat(0.0); V]; T];
    for (group, pairs) in panel.codes.iter().enumerate() {
        for (share, scales) in scales[group].iter().enumerate() {
            let mut whole = [[L::zeros(); V]; T];
            let first = share * (PAIRS / S);
            for (pair, codes) in pairs[first..][..PAIRS / S].iter().enumerate() {
                for v in 0..V {
                    let codes = L::codes(&codes[v]);
                    for t in 0..T {
                        let x = L::pair(&x[t].codes[group].as_chunks().0[first + pair]);
                        whole[t][v] = L::dot(whole[t][v], codes, x);
                    }
                }
            }
            for v in 0..V {
                let scale = L::load(&scales[v]);
                for t in 0..T {
                    let scale = L::mul(scale, L::splat(x[t].scales[group]));
                    sums[t][v] = L::mul_add(L::real(whole[t][v]), scale, sums[t][v]);
                }
            }
        }
        if let Some(leasts) = panel.leasts.get(group) {
            for v in 0..V {
                let least = L::load(&leasts[v]);
                for t in 0..T {
                    sums[t][v] = L::mul_add(least, L::splat(x[t].sums[group]), sums[t][v]);
                }
            }
        }
    }
    sums
}
