//! Softmax and its slope over rows of scores, vectorised, for the CPU's attention.

/// Rows of scratch are padded to this many columns: two registers of the widest processors.
pub(super) const STRIP: usize = 32;
/// Softmax of `scale` times the first `seen` scores; the rest becomes zero. The slice holds whole strips.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32], seen: usize, scale: f32) {
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
            *score = exp(fused(*score, scale, -most));
            *sum += *score;
        }
    }
    let inverse = 1.0 / sums.iter().sum::<f32>();
    for score in scores.iter_mut() {
        *score *= inverse;
    }
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

/// `e^x` for x <= 0 within 2 units in the last place; below the smallest normal result, 0.
///
/// Cephes' expf (Moshier): a power of two by the exponent's bits times a polynomial on ±ln 2 / 2.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    // Adding and taking away 1.5 * 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < LOWEST { LOWEST } else { x };
    let raised = fused(clamped, std::f32::consts::LOG2_E, ROUND);
    let power = raised - ROUND;
    let rest = fused(power, -0.693_359_4, clamped);
    let rest = fused(power, 2.121_944_4e-4, rest);
    let mut sum = 1.987_569_1e-4f32;
    for term in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        sum = fused(sum, rest, term);
    }
    let small = fused(sum, rest * rest, rest) + 1.0;
    // The whole number is in the last bits already; a conversion would not be vectorised.
    let exponent = raised
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    let value = small * f32::from_bits(exponent << 23);
    if x < LOWEST { 0.0 } else { value }
}

/// `a b + c`, rounded once where the processor does that; WebAssembly would call a function for it.
#[inline(always)]
pub(super) fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_family = "wasm") {
        a * b + c
    } else {
        a.mul_add(b, c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential() {
        for i in 0..8700 {
            let x = -(i as f32) / 100.0;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) - wanted).abs() / wanted;
            // Two units in the last place.
            assert!(error < 2.4e-7, "exp({x}): off by {error:e}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }
}
