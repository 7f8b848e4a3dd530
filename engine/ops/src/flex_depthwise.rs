//! Convolution of neighbours on the CPU, channel by channel, on images `[H, W, C]`.

use std::ops::Range;

use macerator::{Scalar, Simd, WithSimd};

use super::flex_vector::{Vectors, clamp, load, store};

/// Output columns computed together, which share what they read.
const COLUMNS: usize = 4;

/// Sizes of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Rows and columns of the input.
    pub(super) input: [usize; 2],
    /// Rows and columns of the output.
    pub(super) output: [usize; 2],
    /// Rows and columns of zeros before the input; after it, what the output needs.
    pub(super) padding: [usize; 2],
    /// Side of the kernel.
    pub(super) kernel: usize,
    pub(super) stride: usize,
}

/// Depthwise convolution with a kernel of 3 or 5 and a stride of 1 or 2, its result held in 0 to 6.
pub(super) struct Depthwise<'a> {
    pub(super) sizes: Sizes,
    /// `[H, W, C]`.
    pub(super) x: &'a [f32],
    /// `[kernel * kernel, C]`.
    pub(super) weights: &'a [f32],
    /// `[C]`.
    pub(super) bias: &'a [f32],
    /// `[H', W', C]`.
    pub(super) out: &'a mut [f32],
}

impl Depthwise<'_> {
    /// Whether there are loops for this kernel and stride.
    pub(super) fn supports(kernel: usize, stride: usize) -> bool {
        matches!((kernel, stride), (3 | 5, 1 | 2))
    }
}

impl WithSimd for Depthwise<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        match (self.sizes.kernel, self.sizes.stride) {
            (3, 1) => self.run::<S, 3, 1>(),
            (3, 2) => self.run::<S, 3, 2>(),
            (5, 1) => self.run::<S, 5, 1>(),
            (5, 2) => self.run::<S, 5, 2>(),
            (kernel, stride) => unreachable!("`supports` was not asked for {kernel} by {stride}"),
        }
    }
}

impl Depthwise<'_> {
    #[inline(always)]
    fn run<S: Simd, const K: usize, const STRIDE: usize>(mut self) {
        let (columns, channels) = (self.sizes.output[1], self.bias.len());
        let lanes = <f32 as Scalar>::lanes::<S>();
        let out = std::mem::take(&mut self.out);
        for (row, out) in out.chunks_exact_mut(columns * channels).enumerate() {
            let window = Window::new(&self, row);
            if channels < lanes {
                (0..columns).for_each(|column| {
                    window.plain(column, &mut out[column * channels..][..channels])
                });
                continue;
            }
            let mut done = 0;
            while done < columns {
                if columns < COLUMNS {
                    window.columns::<S, K, STRIDE, 1, true>(done, out);
                    done += 1;
                    continue;
                }
                // The last ones reach back over columns already done.
                let first = done.min(columns - COLUMNS);
                if window.inside(first, COLUMNS) {
                    window.columns::<S, K, STRIDE, COLUMNS, false>(first, out);
                } else {
                    window.columns::<S, K, STRIDE, COLUMNS, true>(first, out);
                }
                done = first + COLUMNS;
            }
        }
    }
}

/// What an output row reads.
struct Window<'a> {
    sizes: Sizes,
    weights: &'a [f32],
    bias: &'a [f32],
    /// Input rows `[W, C]` under the rows of the kernel; empty where these lie beside the image.
    rows: [&'a [f32]; 5],
    /// Rows of the kernel that lie on the image.
    kernel: Range<usize>,
}

impl<'a> Window<'a> {
    #[inline(always)]
    fn new(of: &Depthwise<'a>, row: usize) -> Self {
        let sizes = of.sizes;
        let [height, width] = sizes.input;
        let top = row * sizes.stride;
        let first = sizes.padding[0].saturating_sub(top);
        let end = sizes.kernel.min(height + sizes.padding[0] - top);
        let length = width * of.bias.len();
        let mut rows = [&of.x[..0]; 5];
        for (at, row) in (first..end).zip(&mut rows[first..end]) {
            *row = &of.x[(top + at - sizes.padding[0]) * length..][..length];
        }
        Self {
            sizes,
            weights: of.weights,
            bias: of.bias,
            rows,
            kernel: first..end,
        }
    }

    /// Whether no output column of these reads padding.
    #[inline(always)]
    fn inside(&self, first: usize, count: usize) -> bool {
        let start = first * self.sizes.stride;
        let end = start + (count - 1) * self.sizes.stride + self.sizes.kernel;
        start >= self.sizes.padding[1] && end <= self.sizes.padding[1] + self.sizes.input[1]
    }

    /// `T` output columns from `first` on; `EDGE` if some of them read padding.
    #[inline(always)]
    fn columns<S: Simd, const K: usize, const STRIDE: usize, const T: usize, const EDGE: bool>(
        &self,
        first: usize,
        out: &mut [f32],
    ) {
        let lanes = <f32 as Scalar>::lanes::<S>();
        let channels = self.bias.len();
        let out = &mut out[first * channels..][..T * channels];
        let kernel = Vectors::new::<S>(self.weights);
        // Wraps where it lies before the image, and is then no column of it.
        let left = (first * STRIDE).wrapping_sub(self.sizes.padding[1]);
        for channel in (0..channels).step_by(lanes) {
            // The last ones reach back over channels already done.
            let channel = channel.min(channels - lanes);
            let mut sums = [load::<S>(&self.bias[channel..]); T];
            for at in self.kernel.clone() {
                let row = Vectors::new::<S>(self.rows[at]);
                let mut weights = [0.0f32.splat::<S>(); K];
                for (k, weight) in weights.iter_mut().enumerate() {
                    *weight = kernel.at::<S>((at * K + k) * channels + channel);
                }
                for step in 0..(T - 1) * STRIDE + K {
                    let column = left.wrapping_add(step);
                    if EDGE && column >= self.sizes.input[1] {
                        continue;
                    }
                    let value = row.at::<S>(column * channels + channel);
                    for (t, sum) in sums.iter_mut().enumerate() {
                        if step >= t * STRIDE && step < t * STRIDE + K {
                            *sum = value.mul_add(weights[step - t * STRIDE], *sum);
                        }
                    }
                }
            }
            for (t, sum) in sums.into_iter().enumerate() {
                store::<S>(&mut out[t * channels + channel..], clamp::<S>(sum));
            }
        }
    }

    /// One output column, for images of fewer channels than a register holds.
    fn plain(&self, column: usize, out: &mut [f32]) {
        let channels = out.len();
        out.copy_from_slice(self.bias);
        for row in self.kernel.clone() {
            for k in 0..self.sizes.kernel {
                let at = (column * self.sizes.stride + k).wrapping_sub(self.sizes.padding[1]);
                if at >= self.sizes.input[1] {
                    continue;
                }
                let values = &self.rows[row][at * channels..][..channels];
                let weights = &self.weights[(row * self.sizes.kernel + k) * channels..][..channels];
                for ((sum, value), weight) in out.iter_mut().zip(values).zip(weights) {
                    *sum += value * weight;
                }
            }
        }
        out.iter_mut()
            .for_each(|value| *value = value.clamp(0.0, 6.0));
    }
}
