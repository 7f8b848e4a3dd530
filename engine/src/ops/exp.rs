//! The exponential of what is not positive, in a form that compilers vectorise.

/// `e^x` for x <= 0 within 2 units in the last place; below the smallest normal result, 0.
///
/// Cephes' expf (Moshier): a power of two by the exponent's bits times a polynomial on ±ln 2 / 2.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
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
pub(crate) fn fused(a: f32, b: f32, c: f32) -> f32 {
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
