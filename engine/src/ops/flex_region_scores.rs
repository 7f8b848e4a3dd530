//! Similarities of windows to references on the CPU: embeddings of a few windows at a time in the cache, then a product.

use macerator::{Simd, WithSimd};

use super::flex_packed::Packed;
use super::flex_pointwise::Pointwise;

/// Windows whose embeddings are in scratch at a time.
const WINDOWS: usize = 32;

/// See [`super::region_scores`]; scores `[W, N]`.
pub(super) struct RegionScores<'a> {
    /// `[cells, width]`, `columns` cells a row.
    pub(super) sums: &'a [f32],
    pub(super) columns: usize,
    pub(super) width: usize,
    /// Four a window: left, top, right and bottom.
    pub(super) corners: &'a [usize],
    /// `[2 N, width]`, the one for large things first.
    pub(super) templates: &'a [f32],
    /// A share a window.
    pub(super) large: &'a [f32],
    /// Whether square roots are compared.
    pub(super) root: bool,
    pub(super) scores: &'a mut [f32],
}

impl WithSimd for RegionScores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let rows = self.templates.len() / self.width.max(1);
        let packed = Packed::new(self.templates, &vec![0.0; rows], rows, self.width);
        let mut embeddings = vec![0.0; WINDOWS * self.width];
        let mut products = vec![0.0; WINDOWS * rows];
        let corners = self.corners.as_chunks::<4>().0;
        let blocks = corners.chunks(WINDOWS).zip(self.large.chunks(WINDOWS));
        for ((corners, large), scores) in blocks.zip(self.scores.chunks_mut(WINDOWS * rows / 2)) {
            let filled = &mut embeddings[..corners.len() * self.width];
            for (corners, out) in corners.iter().zip(filled.chunks_exact_mut(self.width)) {
                match self.root {
                    true => embed(self.sums, self.columns, corners, out, |v| v.max(0.0).sqrt()),
                    false => embed(self.sums, self.columns, corners, out, |v| v),
                }
            }
            let products = &mut products[..corners.len() * rows];
            Pointwise {
                weights: &packed,
                clamp: false,
                x: filled,
                residual: None,
                out: products,
            }
            .with_simd::<S>();
            let pairs = products.as_chunks::<2>().0.chunks(rows / 2);
            for ((pairs, large), scores) in pairs.zip(large).zip(scores.chunks_mut(rows / 2)) {
                for ([of_large, of_small], score) in pairs.iter().zip(scores) {
                    *score = large * of_large + (1.0 - large) * of_small;
                }
            }
        }
    }
}

/// The unit embedding of a window.
#[inline(always)]
fn embed(
    sums: &[f32],
    columns: usize,
    &[left, top, right, bottom]: &[usize; 4],
    out: &mut [f32],
    value: impl Fn(f32) -> f32,
) {
    let width = out.len();
    let at = |column: usize, row: usize| &sums[(row * columns + column) * width..][..width];
    let (a, b) = (at(right, bottom), at(left, top));
    let (c, d) = (at(right, top), at(left, bottom));
    // Several sums, because one would wait for itself at every step.
    let mut totals = [0.0f32; 8];
    for (at, out) in out.iter_mut().enumerate() {
        *out = value(a[at] + b[at] - c[at] - d[at]);
        totals[at % 8] += *out * *out;
    }
    let scale = 1.0 / totals.iter().sum::<f32>().max(1e-18).sqrt();
    out.iter_mut().for_each(|value| *value *= scale);
}
