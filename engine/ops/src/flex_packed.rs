//! Weights of the CPU's convolutions, in the order in which a product reads them.

use macerator::{Scalar, Simd, WithSimd};

use super::flex::simd;

/// Weights `[N, K]` and their bias, repacked for the registers of this processor.
#[derive(Debug)]
pub(super) struct Packed {
    /// `[panels][K][width]`, zero where a panel is wider than what is left. `width` is that of two registers,
    /// or of one in the last panel when the columns left fit it.
    panels: Vec<f32>,
    /// As long as the panels are wide.
    bias: Vec<f32>,
    columns: usize,
    depth: usize,
}

impl Packed {
    /// Packs weights `[columns, depth]` and a bias `[columns]`.
    pub(super) fn new(weights: &[f32], bias: &[f32], columns: usize, depth: usize) -> Self {
        assert_eq!(weights.len(), columns * depth);
        assert_eq!(bias.len(), columns);
        let lanes = simd(Lanes);
        let padded = columns.next_multiple_of(lanes);
        let mut panels = Vec::with_capacity(padded * depth);
        let mut first = 0;
        while first < padded {
            let width = (2 * lanes).min(padded - first);
            for at in 0..depth {
                panels.extend((first..first + width).map(|column| {
                    if column < columns {
                        weights[column * depth + at]
                    } else {
                        0.0
                    }
                }));
            }
            first += width;
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self {
            panels,
            bias,
            columns,
            depth,
        }
    }

    /// Columns of the product.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Length of the sums.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The panels, each with its first column and its bias.
    #[inline(always)]
    pub(super) fn panels<S: Simd>(&self) -> impl Iterator<Item = (usize, &[f32], &[f32])> {
        let width = 2 * <f32 as Scalar>::lanes::<S>();
        let panels = self.panels.chunks(width * self.depth);
        let bias = self.bias.chunks(width);
        (0..)
            .step_by(width)
            .zip(panels)
            .zip(bias)
            .map(|((at, panel), bias)| (at, panel, bias))
    }
}

/// Asks for the length of a register.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;
    #[inline(always)]
    fn with_simd<S: Simd>(self) -> usize {
        <f32 as Scalar>::lanes::<S>()
    }
}
