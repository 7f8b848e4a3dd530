//! The exponential of what is not positive, in a form that compilers vectorise.

/// `e^x` for x <= 0 within 2 units in the last place; below the smallest normal result, 0.
///
/// Cephes' expf (Moshier): a power of two by the exponent's bits times a polynomial on ±ln 2 / 2.
#[cfg(feature = "cpu")]
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

/// `2^x` for x <= 0 within 2 units in the last place; below 2^-125, 0.
///
/// Shorter than [`exp`], which must bring a multiple of ln 2 to 0: whoever scales numbers anyway scales them by log2 e as well.
/// The polynomial has the least largest relative error on ±1/2 of those of sixth degree that are 1 at 0; its terms are summed in
/// pairs, because processors wait for each sum of a chain.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    const LOWEST: f32 = -125.0;
    let value = power(if x < LOWEST { LOWEST } else { x });
    if x < LOWEST { 0.0 } else { value }
}

/// `2^x / (1 + 2^x)`, the sigmoid of `x ln 2`; below 2^-125, 0.
#[cfg(feature = "cpu")]
#[inline(always)]
pub(crate) fn sigmoid2(x: f32) -> f32 {
    const MOST: f32 = 125.0;
    let clamped = if x < -MOST { -MOST } else { x };
    let clamped = if clamped > MOST { MOST } else { clamped };
    let value = 1.0 / (1.0 + power(-clamped));
    if x < -MOST { 0.0 } else { value }
}

/// `2^x` for x from -125 to 125.
#[inline(always)]
fn power(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let raised = x + ROUND;
    let rest = x - (raised - ROUND);
    let square = rest * rest;
    let first = fused(rest, 0.240_226_53, std::f32::consts::LN_2);
    let second = fused(rest, 9.617_693e-3, 5.550_310_4e-2);
    let third = fused(rest, 1.559_467_7e-4, 1.340_664_4e-3);
    let sum = fused(fused(third, square, second), square, first);
    let small = fused(sum, rest, 1.0);
    let exponent = raised
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    small * f32::from_bits(exponent << 23)
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

#[cfg(all(test, feature = "cpu"))]
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

    #[test]
    fn exp2_is_the_power_of_two() {
        for i in 0..12500 {
            let x = -(i as f32) / 100.0;
            let wanted = f64::from(x).exp2();
            let error = (f64::from(exp2(x)) - wanted).abs() / wanted;
            // Two units in the last place.
            assert!(error < 2.4e-7, "exp2({x}): off by {error:e}");
        }
        assert_eq!(exp2(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp2(-1e30), 0.0);
        assert_eq!(exp2(0.0), 1.0);
        assert!(exp2(f32::NAN).is_nan());
    }

    #[test]
    fn sigmoid2_is_the_share_of_a_power_of_two() {
        for i in -12_500..12_500 {
            let x = i as f32 / 100.0;
            let wanted = 1.0 / (1.0 + f64::from(-x).exp2());
            let error = (f64::from(sigmoid2(x)) - wanted).abs() / wanted;
            // That of the power, of a sum and of a division.
            assert!(error < 4e-7, "sigmoid2({x}): off by {error:e}");
        }
        assert_eq!(sigmoid2(f32::NEG_INFINITY), 0.0);
        assert_eq!(sigmoid2(1e30), 1.0);
        assert!(sigmoid2(f32::NAN).is_nan());
    }
}
