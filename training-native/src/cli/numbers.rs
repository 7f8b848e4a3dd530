//! Numbers of options, with what is wrong with them in words.

/// A share from 0 to 1.
///
/// # Errors
/// When it is not one.
pub(super) fn share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

/// A count of one or more.
///
/// # Errors
/// When it is not one.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

/// A finite number above 0.
///
/// # Errors
/// When it is not one.
pub(super) fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        _ => Err("must be a finite number above 0".into()),
    }
}
