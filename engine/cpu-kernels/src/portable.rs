//! The loops without special instructions: what every processor can do, and what the others are compared with.

use crate::activations::Row;
use crate::lanes::Reals;
use crate::packed::{Bits, read};
use crate::packed_rows::Tile;
use crate::tile::Arithmetic;
use crate::{COLUMNS, ROWS};

/// Plain Rust.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Arithmetic for Portable {
    fn four<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        products(Bits::Four, tile, x)
    }

    fn six<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        products(Bits::Six, tile, x)
    }

    fn eight<const M: usize>(self, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
        products(Bits::Eight, tile, x)
    }
}

#[inline(always)]
fn products<const M: usize>(bits: Bits, tile: Tile<'_>, x: [Row<'_>; M]) -> [[f32; ROWS]; M] {
    let scales = bits.scales();
    let mut sums = [[0.0; ROWS]; M];
    for (group, square) in tile.codes.chunks_exact(bits.square()).enumerate() {
        let codes: [[i8; COLUMNS]; ROWS] = core::array::from_fn(|lane| read(bits, square, lane));
        for (x, sums) in x.iter().zip(&mut sums) {
            for (lane, codes) in codes.iter().enumerate() {
                let each = COLUMNS / scales;
                let shares = codes
                    .chunks_exact(each)
                    .zip(x.codes[group].chunks_exact(each));
                for (share, (codes, x_codes)) in shares.enumerate() {
                    let terms = codes.iter().zip(x_codes);
                    let whole: i32 = terms
                        .map(|(&code, &x)| i32::from(code) * i32::from(x))
                        .sum();
                    let scale = tile.scales[group * scales + share][lane] * x.scales[group];
                    sums[lane] += whole as f32 * scale;
                }
                if let Some(least) = tile.leasts.get(group) {
                    sums[lane] += least[lane] * x.sums[group];
                }
            }
        }
    }
    sums
}

/// Lanes that the compiler may make registers of.
pub(crate) const LANES: usize = 4;

impl Reals<LANES> for Portable {
    type Real = [f32; LANES];

    #[inline(always)]
    fn splat(number: f32) -> Self::Real {
        [number; LANES]
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> Self::Real {
        *numbers
    }

    #[inline(always)]
    fn store(numbers: Self::Real, to: &mut [f32; LANES]) {
        *to = numbers;
    }

    #[inline(always)]
    fn add(a: Self::Real, b: Self::Real) -> Self::Real {
        core::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn mul(a: Self::Real, b: Self::Real) -> Self::Real {
        core::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn mul_add(a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real {
        core::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
}
