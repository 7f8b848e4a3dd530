//! Softmax and its slope over rows of scores, vectorised, for the CPU's attention.

use super::exp::{exp2, fused};

/// Rows of scratch are padded to this many columns: two registers of the widest processors.
pub(super) const STRIP: usize = 32;

/// Softmax of `scale` times the first `seen` scores; the rest becomes zero. The slice holds whole strips.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32], seen: usize, scale: f32) {
    let inverse = exponentials(scores, seen, scale);
    for score in scores.iter_mut() {
        *score *= inverse;
    }
}

/// [`softmax`] but for its last step: what is returned is yet to be multiplied with.
#[inline(always)]
pub(super) fn exponentials(scores: &mut [f32], seen: usize, scale: f32) -> f32 {
    let scale = scale * std::f32::consts::LOG2_E;
    scores[seen..].fill(f32::NEG_INFINITY);
    let mut most = [f32::NEG_INFINITY; STRIP];
    for strip in scores.chunks_exact(STRIP) {
        for (most, score) in most.iter_mut().zip(strip) {
            *most = if *score > *most { *score } else { *most };
        }
    }
    let most = most.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)) * scale;
    let mut sums = [0.0f32; STRIP];
    for strip in scores.chunks_exact_mut(STRIP) {
        for (sum, score) in sums.iter_mut().zip(strip) {
            *score = exp2(fused(*score, scale, -most));
            *sum += *score;
        }
    }
    1.0 / sums.iter().sum::<f32>()
}

/// Slopes of probabilities to slopes of scores: `p (dp - Σ p dp) scale`.
#[cfg(feature = "train")]
#[inline(always)]
pub(super) fn soften(p: &[f32], slopes: &mut [f32], scale: f32) {
    let mut sums = [0.0f32; STRIP];
    for (p, slopes) in p.chunks_exact(STRIP).zip(slopes.chunks_exact(STRIP)) {
        for (sum, (p, slope)) in sums.iter_mut().zip(p.iter().zip(slopes)) {
            *sum = fused(*p, *slope, *sum);
        }
    }
    let mean = sums.iter().sum::<f32>();
    for (p, slope) in p.iter().zip(slopes) {
        *slope = p * (*slope - mean) * scale;
    }
}
