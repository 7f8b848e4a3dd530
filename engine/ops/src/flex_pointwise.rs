//! Products of the CPU's convolutions: `act(x wᵀ + bias + residual)`, tile by tile in registers.
//!
//! A pointwise convolution in `[H, W, C]` order is a product of a tall matrix (one row a pixel) and a small one.
//! The small one is packed, so that what a tile reads of it lies in a row.

use macerator::{Scalar, Simd, Vector, WithSimd};

use super::flex::simd;
use super::flex_packed::Packed;
use super::flex_vector::{clamp, load, store};
use crate::threads;

/// Rows of a tile. Its sums, two registers a row, leave enough of the 15 registers of a browser to what is read;
/// with 5 rows they do not, and it takes twice as long. With more registers, more rows are no faster either.
const TILE: usize = 4;
/// Rows that are multiplied by one panel before the next one is read.
const BLOCK: usize = 8 * TILE;
/// Products that are worth more threads than one.
const SHARE: usize = 1 << 20;
/// Numbers of the widest register, twice.
const WIDEST: usize = 32;

/// `out = act(x wᵀ + bias + residual)` for any number of rows; rows do not depend on each other.
pub(super) struct Pointwise<'a> {
    pub(super) weights: &'a Packed,
    /// Whether the result is held in 0 to 6.
    pub(super) clamp: bool,
    /// `[M, K]`.
    pub(super) x: &'a [f32],
    /// `[M, N]`.
    pub(super) residual: Option<&'a [f32]>,
    /// `[M, N]`.
    pub(super) out: &'a mut [f32],
}

impl Pointwise<'_> {
    /// Runs it, its rows shared out among the threads.
    pub(super) fn run(self) {
        let (depth, columns) = (self.weights.depth(), self.weights.columns());
        if !threads::is_worth(self.x.len() * columns, SHARE) {
            return simd(self);
        }
        let each = threads::share_of(self.x.len() / depth, BLOCK);
        let mut residual = self.residual.map(|all| all.chunks(each * columns));
        let rows = self.x.chunks(each * depth);
        let shares = rows.zip(self.out.chunks_mut(each * columns));
        let shares = shares.map(|(x, out)| (x, residual.as_mut().and_then(Iterator::next), out));
        threads::each(shares.collect(), |(x, residual, out)| {
            simd(Pointwise {
                weights: self.weights,
                clamp: self.clamp,
                x,
                residual,
                out,
            });
        });
    }
}

impl WithSimd for Pointwise<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let depth = self.weights.depth();
        let mut product = Product {
            weights: self.weights,
            clamp: self.clamp,
            x: self.x,
            stride: depth,
            segments: Segments {
                count: 1,
                length: depth,
                stride: 0,
            },
            residual: self.residual,
            out: self.out,
        };
        product.run::<S>();
    }
}

/// Where the numbers of a sum lie: `count` runs of `length`, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Segments {
    pub(super) count: usize,
    pub(super) length: usize,
    pub(super) stride: usize,
}

/// [`Pointwise`] of rows that may overlap and consist of several segments.
pub(super) struct Product<'a> {
    pub(super) weights: &'a Packed,
    pub(super) clamp: bool,
    pub(super) x: &'a [f32],
    /// From a row to the next.
    pub(super) stride: usize,
    pub(super) segments: Segments,
    pub(super) residual: Option<&'a [f32]>,
    pub(super) out: &'a mut [f32],
}

impl Product<'_> {
    #[inline(always)]
    pub(super) fn run<S: Simd>(&mut self) {
        let weights = self.weights;
        assert_eq!(self.segments.count * self.segments.length, weights.depth());
        let rows = self.out.len() / weights.columns();
        for block in (0..rows).step_by(BLOCK) {
            let end = (block + BLOCK).min(rows);
            for (column, panel, bias) in weights.panels::<S>() {
                if bias.len() == <f32 as Scalar>::lanes::<S>() {
                    self.panel::<S, 1>(block, end, column, panel, bias);
                } else {
                    self.panel::<S, 2>(block, end, column, panel, bias);
                }
            }
        }
    }

    /// Rows from `row` to `end` times one panel. The last tile reaches back over rows already done.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(
        &mut self,
        mut row: usize,
        end: usize,
        column: usize,
        panel: &[f32],
        bias: &[f32],
    ) {
        while row < end {
            if end < TILE {
                self.tile::<S, 1, V>(row, column, panel, bias);
                row += 1;
            } else {
                self.tile::<S, TILE, V>(row.min(end - TILE), column, panel, bias);
                row += TILE;
            }
        }
    }

    /// `M` rows times one panel of `V` registers' width.
    #[allow(
        clippy::needless_range_loop,
        reason = "iterators over the sums move them to memory"
    )]
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        panel: &[f32],
        bias: &[f32],
    ) {
        let lanes = <f32 as Scalar>::lanes::<S>();
        let mut sums = [[0.0f32.splat::<S>(); V]; M];
        for v in 0..V {
            let start = load::<S>(&bias[v * lanes..]);
            for m in 0..M {
                sums[m][v] = start;
            }
        }
        let Segments {
            count,
            length,
            stride,
        } = self.segments;
        for (segment, panel) in (0..count).zip(panel.chunks_exact(length * V * lanes)) {
            let first = row * self.stride + segment * stride;
            let x = std::array::from_fn(|m| &self.x[first + m * self.stride..][..length]);
            accumulate::<S, M, V>(&mut sums, x, panel);
        }
        let columns = self.weights.columns();
        let first = row * columns + column;
        if column + V * lanes <= columns {
            self.finish::<S, M, V>(first, sums);
        } else {
            self.finish_part::<S, M, V>(first, columns - column, sums);
        }
    }

    /// Adds the residual, applies the activation and writes to `out`, from its element `first` on.
    #[allow(
        clippy::needless_range_loop,
        reason = "iterators over the sums move them to memory"
    )]
    #[inline(always)]
    fn finish<S: Simd, const M: usize, const V: usize>(
        &mut self,
        first: usize,
        mut sums: [[Vector<S, f32>; V]; M],
    ) {
        let lanes = <f32 as Scalar>::lanes::<S>();
        let columns = self.weights.columns();
        if let Some(residual) = self.residual {
            for m in 0..M {
                let residual = &residual[first + m * columns..][..V * lanes];
                for v in 0..V {
                    sums[m][v] += load::<S>(&residual[v * lanes..]);
                }
            }
        }
        if self.clamp {
            for m in 0..M {
                for v in 0..V {
                    sums[m][v] = clamp::<S>(sums[m][v]);
                }
            }
        }
        for m in 0..M {
            let out = &mut self.out[first + m * columns..][..V * lanes];
            for v in 0..V {
                store::<S>(&mut out[v * lanes..], sums[m][v]);
            }
        }
    }

    /// [`Self::finish`] of the last `width` columns, when they do not fill the registers.
    #[allow(
        clippy::needless_range_loop,
        reason = "iterators over the sums move them to memory"
    )]
    #[inline(always)]
    fn finish_part<S: Simd, const M: usize, const V: usize>(
        &mut self,
        first: usize,
        width: usize,
        sums: [[Vector<S, f32>; V]; M],
    ) {
        let lanes = <f32 as Scalar>::lanes::<S>();
        for m in 0..M {
            let mut values = [0.0; WIDEST];
            for v in 0..V {
                store::<S>(&mut values[v * lanes..], sums[m][v]);
            }
            let place = first + m * self.weights.columns();
            if let Some(residual) = self.residual {
                let values = values.iter_mut().zip(&residual[place..][..width]);
                values.for_each(|(value, add)| *value += add);
            }
            if self.clamp {
                values
                    .iter_mut()
                    .for_each(|value| *value = value.clamp(0.0, 6.0));
            }
            self.out[place..][..width].copy_from_slice(&values[..width]);
        }
    }
}

/// `sums += x wᵀ` for rows of equal length and a panel `[length, V registers]`.
///
/// Not unrolled: a browser's compiler takes the steps in the order it gets them, and ours mixes those of several
/// so that the registers do not suffice (half the speed).
#[allow(
    clippy::needless_range_loop,
    reason = "iterators over the sums move them to memory"
)]
#[inline(always)]
fn accumulate<S: Simd, const M: usize, const V: usize>(
    sums: &mut [[Vector<S, f32>; V]; M],
    x: [&[f32]; M],
    panel: &[f32],
) {
    let lanes = <f32 as Scalar>::lanes::<S>();
    let mut weights = [0.0f32.splat::<S>(); V];
    for (at, strip) in panel.chunks_exact(V * lanes).enumerate() {
        for v in 0..V {
            weights[v] = load::<S>(&strip[v * lanes..]);
        }
        for m in 0..M {
            let value = x[m][at].splat::<S>();
            for v in 0..V {
                sums[m][v] = value.mul_add(weights[v], sums[m][v]);
            }
        }
    }
}
