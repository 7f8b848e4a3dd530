//! What every decoder keeps to: sizes and memory, the photo's orientation, and how a refusal is worded.

use std::fmt::Display;

use image::metadata::Orientation;

use crate::{Error, Result};

/// Longest side accepted, in pixels; beyond it lie decompression bombs and panoramas nobody tiles.
const MAX_SIDE: u32 = 16_384;
/// Most pixels accepted; 100 MP are 300 MB of RGB.
const MAX_PIXELS: u64 = 100_000_000;
/// Most memory a decoder may ask for.
pub(super) const MAX_ALLOC: u64 = 512 << 20;

/// How to turn the photo; a damaged EXIF block costs that, not the photo.
pub(super) fn exif_orientation(exif: Option<&[u8]>) -> Orientation {
    let told = exif.and_then(Orientation::from_exif_chunk);
    told.unwrap_or(Orientation::NoTransforms)
}

/// Refuses a photo that is empty or too large, before anything of its size is allocated.
pub(super) fn check_size(width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(refused(format!(
            "{width} x {height} pixels: the photo is empty; export it again"
        )));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(refused(format!(
            "{width} x {height} pixels is too large; scale it below {MAX_SIDE} a side and {MAX_PIXELS} in all"
        )));
    }
    Ok(())
}

/// A file of which something is missing or wrong.
pub(super) fn broken(detail: impl Display) -> Error {
    refused(format!(
        "cut off or corrupt ({detail}); download or export it again"
    ))
}

/// A file that stops before its end.
pub(super) fn cut_off() -> Error {
    broken("the file stops before its end")
}

/// A sound file of a kind that is not decoded.
pub(super) fn unsupported(kind: &str) -> Error {
    refused(format!(
        "{kind} is not supported; save it again as an ordinary JPEG or PNG"
    ))
}

pub(super) fn refused(problem: String) -> Error {
    Error::Image { problem }
}
