//! The loops without special instructions: what every processor can do, and what the others are compared with.

use crate::activations::Row;
use crate::packed::{Bits, Tile, read};
use crate::tile::Arithmetic;
use crate::{COLUMNS, ROWS};

/// Plain Rust.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Arithmetic for Portable {
    fn four<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        products(Bits::Four, tile, x)
    }

    fn eight<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        products(Bits::Eight, tile, x)
    }
}

#[inline(always)]
fn products<const M: usize>(bits: Bits, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let mut sums = [[0.0; ROWS]; M];
    for (group, square) in tile.codes.chunks_exact(bits.square()).enumerate() {
        let codes: [[i8; COLUMNS]; ROWS] = core::array::from_fn(|lane| read(bits, square, lane));
        for (x, sums) in x.iter().zip(&mut sums) {
            for (lane, codes) in codes.iter().enumerate() {
                let terms = codes.iter().zip(&x.codes[group]);
                let whole: i32 = terms
                    .map(|(&code, &x)| i32::from(code) * i32::from(x))
                    .sum();
                let scale = tile.scales[group][lane] * x.scales[group];
                sums[lane] += whole as f32 * scale;
                if let Some(least) = tile.leasts.get(group) {
                    sums[lane] += least[lane] * x.sums[group];
                }
            }
        }
    }
    sums
}
