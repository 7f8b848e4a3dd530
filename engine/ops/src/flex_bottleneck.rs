//! Inverted bottlenecks on the CPU, strip by strip: what a photo is expanded to stays in the cache and is never held whole.

use super::flex::simd;
use super::flex_depthwise::{Depthwise, Sizes};
use super::flex_packed::Packed;
use super::flex_pointwise::Pointwise;
use crate::threads;

/// Bytes of expanded rows that are in the works at a time: half of what processors have as their second cache, at least.
const STRIP: usize = 512 << 10;
/// Numbers in and out that are worth more threads than one.
const SHARE: usize = 1 << 14;

/// An expansion, a depthwise convolution and a projection of one image `[H, W, C]`.
pub(super) struct Bottleneck<'a> {
    /// `None` where the input is as wide as the inner maps.
    pub(super) expand: Option<&'a Packed>,
    /// Of the depthwise convolution.
    pub(super) sizes: Sizes,
    /// `[kernel * kernel, C]`.
    pub(super) weights: &'a [f32],
    /// `[C]`.
    pub(super) bias: &'a [f32],
    pub(super) project: &'a Packed,
    /// Whether the input is added to the output.
    pub(super) residual: bool,
    /// `[H, W, in]`.
    pub(super) x: &'a [f32],
    /// `[H', W', out]`.
    pub(super) out: &'a mut [f32],
}

impl Bottleneck<'_> {
    /// Output rows of a strip.
    fn rows(&self) -> usize {
        let row = self.sizes.input[1] * self.bias.len() * size_of::<f32>();
        let fit = (STRIP / row.max(1)).saturating_sub(self.sizes.kernel - 1);
        (fit / self.sizes.stride).clamp(1, self.sizes.output[0].max(1))
    }

    /// The input rows that output rows from `first` to `end` read, and how many rows of zeros lie before them.
    fn read_by(&self, first: usize, end: usize) -> (std::ops::Range<usize>, usize) {
        let Sizes {
            input,
            padding,
            kernel,
            stride,
            ..
        } = self.sizes;
        let top = first * stride;
        let bottom = ((end - 1) * stride + kernel).saturating_sub(padding[0]);
        let start = top.saturating_sub(padding[0]).min(input[0]);
        let zeros = padding[0].saturating_sub(top);
        (start..bottom.min(input[0]).max(start), zeros)
    }

    /// Runs it, its output rows shared out among the threads.
    pub(super) fn run(mut self) {
        let out = std::mem::take(&mut self.out);
        let height = self.sizes.output[0];
        let row = self.sizes.output[1] * self.project.columns();
        // Shares overlap by some rows of the expansion, which are computed twice.
        let each = match threads::is_worth(self.x.len() + out.len(), SHARE) {
            true => threads::share_of(height, 2 * self.sizes.kernel),
            false => height.max(1),
        };
        let shares = out.chunks_mut((each * row).max(1)).enumerate();
        threads::each(shares.collect(), |(at, out)| self.rows_from(at * each, out));
    }

    /// Writes output rows from `start` on. The loops are dispatched one by one: inlined into one function, a browser's compiler runs
    /// out of registers.
    fn rows_from(&self, start: usize, out: &mut [f32]) {
        let (step, inner) = (self.rows(), self.bias.len());
        let columns = self.sizes.output[1];
        let width = self.sizes.input[1];
        let channels = self.x.len() / (self.sizes.input[0] * width).max(1);
        let outputs = self.project.columns();
        let height = start + out.len() / (columns * outputs).max(1);
        let row = width * inner;
        let most = (step - 1) * self.sizes.stride + self.sizes.kernel;
        let mut expanded = vec![0.0; most * row * usize::from(self.expand.is_some())];
        let mut known = 0..0usize;
        let mut convolved = vec![0.0; step * columns * inner];
        for (strip, out) in out.chunks_mut(step * columns * outputs).enumerate() {
            let first = start + strip * step;
            let end = (first + step).min(height);
            let (rows, zeros) = self.read_by(first, end);
            let x = match self.expand {
                None => &self.x[rows.start * row..rows.end * row],
                Some(weights) => {
                    // Strips overlap by some rows, which are not computed twice.
                    let kept = known.end.saturating_sub(rows.start);
                    let from = known.len() - kept;
                    expanded.copy_within(from * row..known.len() * row, 0);
                    let new = (rows.start + kept) * width * channels;
                    simd(Pointwise {
                        weights,
                        clamp: true,
                        x: &self.x[new..rows.end * width * channels],
                        residual: None,
                        out: &mut expanded[kept * row..rows.len() * row],
                    });
                    known = rows.clone();
                    &expanded[..rows.len() * row]
                }
            };
            let convolved = &mut convolved[..(end - first) * columns * inner];
            let sizes = Sizes {
                input: [rows.len(), width],
                output: [end - first, columns],
                padding: [zeros, self.sizes.padding[1]],
                ..self.sizes
            };
            simd(Depthwise {
                sizes,
                x,
                weights: self.weights,
                bias: self.bias,
                out: convolved,
            });
            let residual = &self.x[first * columns * outputs * usize::from(self.residual)..];
            simd(Pointwise {
                weights: self.project,
                clamp: false,
                x: convolved,
                residual: self.residual.then(|| &residual[..out.len()]),
                out,
            });
        }
    }
}
