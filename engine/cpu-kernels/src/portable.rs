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
        let mut codes = [[0i32; COLUMNS]; ROWS];
        for (lane, codes) in codes.iter_mut().enumerate() {
            for (column, code) in codes.iter_mut().enumerate() {
                *code = i32::from(read(bits, square, lane, column));
            }
        }
        for (x, sums) in x.iter().zip(&mut sums) {
            for (lane, codes) in codes.iter().enumerate() {
                let terms = codes.iter().zip(&x.codes[group]);
                let whole: i32 = terms.map(|(code, &x)| code * i32::from(x)).sum();
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
