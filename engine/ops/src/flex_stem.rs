//! The first convolution on the CPU, of three colours: a product whose rows overlap.

use macerator::{Simd, WithSimd};

use super::flex_depthwise::Sizes;
use super::flex_packed::Packed;
use super::flex_pointwise::{Product, Segments};

/// Colours of a pixel.
const COLOURS: usize = 3;

/// Convolution of an image of three colours, its result held in 0 to 6.
pub(super) struct Stem<'a> {
    pub(super) sizes: Sizes,
    /// `[H, W, 3]`.
    pub(super) x: &'a [f32],
    /// `[N, kernel * kernel * 3]`, colours innermost.
    pub(super) weights: &'a Packed,
    /// `[H', W', N]`.
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Stem<'_> {
    type Output = ();
    /// The pixels under a row of the kernel lie in a row, so this is a product whose rows overlap.
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Sizes {
            input: [height, width],
            output: [_, columns],
            padding: [top, left],
            kernel,
            stride,
        } = self.sizes;
        let padded = COLOURS * ((columns - 1) * stride + kernel).max(left + width);
        // The rows under the kernel, with their padding.
        let mut under = vec![0.0; kernel * padded];
        let out = self.out.chunks_exact_mut(columns * self.weights.columns());
        for (row, out) in out.enumerate() {
            for (at, under) in under.chunks_exact_mut(padded).enumerate() {
                let under = &mut under[COLOURS * left..][..COLOURS * width];
                match (row * stride + at).checked_sub(top) {
                    Some(y) if y < height => {
                        under.copy_from_slice(&self.x[y * COLOURS * width..][..COLOURS * width])
                    }
                    _ => under.fill(0.0),
                }
            }
            let mut product = Product {
                weights: self.weights,
                clamp: true,
                x: &under,
                stride: COLOURS * stride,
                segments: Segments {
                    count: kernel,
                    length: COLOURS * kernel,
                    stride: padded,
                },
                residual: None,
                out,
            };
            product.run::<S>();
        }
    }
}
