//! Resizing that equals Pillow (before version 13) bit for bit, because vision towers were trained on it.
//!
//! The horizontal pass comes first: the other order differs by up to 28 levels.

use super::Rgb8;
pub use crate::ops::resample::Filter;
use crate::ops::resample::{horizontal, vertical};
use crate::{Error, Result};

/// Most pixels of a result, and of the picture between the passes; no processor asks for more.
const MAX_PIXELS: u64 = 1 << 27;

/// Resizes to `width` x `height`, equal to Pillow's `Image.resize` on an RGB image.
///
/// # Errors
/// [`Error::Image`] when the target has an empty side, or it or the picture between the two passes
/// has over 134 million pixels, or `photo` is inconsistent.
pub fn resize(photo: &Rgb8, width: u32, height: u32, filter: Filter) -> Result<Rgb8> {
    photo.check()?;
    let area = |height: u32| u64::from(width) * u64::from(height);
    if area(height) == 0 || area(height.max(photo.height)) > MAX_PIXELS {
        return Err(Error::Image {
            problem: format!(
                "cannot resize {} x {} to {width} x {height} pixels; crop or scale the photo first",
                photo.width, photo.height
            ),
        });
    }
    // Pillow skips a pass that would not change the size, so rounding happens only where it resamples.
    let wide =
        (width != photo.width).then(|| horizontal(&photo.pixels, photo.width, width, filter));
    let pixels = match height == photo.height {
        true => wide.unwrap_or_else(|| photo.pixels.clone()),
        false => {
            let source = wide.as_ref().unwrap_or(&photo.pixels);
            vertical(source, width, height, filter)
        }
    };
    Ok(Rgb8 {
        width,
        height,
        pixels,
    })
}
