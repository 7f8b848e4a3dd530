//! Similarities of windows to references on the CPU: embeddings of a few windows at a time in the cache, then a product.

use macerator::{Scalar, Simd, WithSimd};

use super::flex_packed::Packed;
use super::flex_pointwise::Pointwise;
use super::flex_vector::{load, positive, store};

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
                    true => embed::<S, true>(self.sums, self.columns, corners, out),
                    false => embed::<S, false>(self.sums, self.columns, corners, out),
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

/// The unit embedding of a window; with `ROOT` that of its square roots.
#[inline(always)]
fn embed<S: Simd, const ROOT: bool>(
    sums: &[f32],
    columns: usize,
    &[left, top, right, bottom]: &[usize; 4],
    out: &mut [f32],
) {
    let (width, lanes) = (out.len(), <f32 as Scalar>::lanes::<S>());
    let at = |column: usize, row: usize| &sums[(row * columns + column) * width..][..width];
    let (a, b) = (at(right, bottom), at(left, top));
    let (c, d) = (at(right, top), at(left, bottom));
    let whole = width / lanes * lanes;
    let mut totals = 0.0f32.splat::<S>();
    for at in (0..whole).step_by(lanes) {
        let mut value = load::<S>(&a[at..]) + load::<S>(&b[at..]);
        value = value - load::<S>(&c[at..]) - load::<S>(&d[at..]);
        if ROOT {
            // The squares of the roots are the numbers themselves.
            value = positive::<S>(value);
            totals += value;
        } else {
            totals = value.mul_add(value, totals);
        }
        store::<S>(&mut out[at..], value);
    }
    let mut total = totals.reduce_add();
    for at in whole..width {
        let value = a[at] + b[at] - c[at] - d[at];
        let value = if ROOT && value <= 0.0 { 0.0 } else { value };
        total += if ROOT { value } else { value * value };
        out[at] = value;
    }
    let total = if total > 1e-18 { total } else { 1e-18 };
    let scale = if ROOT {
        1.0 / total
    } else {
        1.0 / total.sqrt()
    };
    let scales = scale.splat::<S>();
    for at in (0..whole).step_by(lanes) {
        let value = load::<S>(&out[at..]) * scales;
        store::<S>(&mut out[at..], if ROOT { value.sqrt() } else { value });
    }
    for value in &mut out[whole..] {
        *value *= scale;
        if ROOT {
            *value = value.sqrt();
        }
    }
}
