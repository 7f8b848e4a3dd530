//! Numbers of options, with what is wrong with them in words.

use std::str::FromStr;

/// A share from 0 to 1.
///
/// # Errors
/// When it is not one.
pub(super) fn share<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    match text.parse() {
        Ok(share) if (T::from(0)..=T::from(1)).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

/// A side of a picture in pixels, at most 4,096, or a number of pictures along one.
///
/// # Errors
/// When it is not one.
pub(super) fn side(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(side) if (1..=4096).contains(&side) => Ok(side),
        _ => Err("must be a whole number from 1 to 4096".into()),
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

/// A finite number, 0 or above.
///
/// # Errors
/// When it is not one.
pub(super) fn zero_or_more(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(number) if number >= 0.0 && f32::is_finite(number) => Ok(number),
        _ => Err("must be a finite number, 0 or above".into()),
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
