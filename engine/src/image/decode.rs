//! JPEG, PNG and WebP bytes to upright RGB, refusing what is broken or too large before allocating.

use std::fmt::Display;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgba};

use super::container::{check_png, check_webp};
use super::{Rgb8, jpeg};
use crate::{Error, Result};

/// Longest side accepted, in pixels; beyond it lie decompression bombs and panoramas nobody tiles.
const MAX_SIDE: u32 = 16_384;
/// Most pixels accepted; 100 MP are 300 MB of RGB.
const MAX_PIXELS: u64 = 100_000_000;
/// Most memory a decoder may ask for.
pub(super) const MAX_ALLOC: u64 = 512 << 20;

/// Decodes a photo: format told by content, EXIF orientation applied, alpha laid over white,
/// 16-bit, grey and CMYK converted to 8-bit RGB, the first frame of an animation.
///
/// # Errors
/// [`Error::Image`] when the bytes are not JPEG, PNG or WebP, are cut off or corrupt, or the photo
/// is larger than 16,384 pixels a side or 100 million pixels.
pub fn decode(bytes: &[u8]) -> Result<Rgb8> {
    let format = image::guess_format(bytes).ok();
    let (mut image, orientation) = match format {
        Some(ImageFormat::Jpeg) => {
            let (picture, orientation) = jpeg::decode(bytes)?;
            (DynamicImage::ImageRgb8(picture), orientation)
        }
        Some(format @ ImageFormat::Png) => {
            let exif = check_png(bytes)?;
            let (picture, _) = with_image_crate(bytes, format)?;
            (picture, exif_orientation(exif))
        }
        Some(format @ ImageFormat::WebP) => {
            check_webp(bytes)?;
            with_image_crate(bytes, format)?
        }
        Some(other) => {
            return Err(refused(format!(
                "{other:?} is not supported; convert it to JPEG, PNG or WebP"
            )));
        }
        None => {
            return Err(refused(
                "the bytes are not a JPEG, PNG or WebP; is this the right file?".into(),
            ));
        }
    };
    image.apply_orientation(orientation);
    let rgb = if image.color().has_alpha() {
        over_white(image)
    } else {
        image.into_rgb8()
    };
    let (width, height) = rgb.dimensions();
    Rgb8::new(width, height, rgb.into_raw())
}

/// Decodes PNG and WebP, which the `image` crate does right as long as nothing is missing.
fn with_image_crate(bytes: &[u8], format: ImageFormat) -> Result<(DynamicImage, Orientation)> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(problem)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(problem)?;
    Ok((image, orientation))
}

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

/// Transparent pictures are drawn for white pages.
fn over_white(image: DynamicImage) -> image::RgbImage {
    let rgba = image.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut rgb = image::RgbImage::new(width, height);
    for (out, &Rgba([r, g, b, a])) in rgb.pixels_mut().zip(rgba.pixels()) {
        let a = u32::from(a);
        // Rounded to nearest; the sum is at most 255 * 255 + 127, so the quotient fits a byte.
        let blend = |c: u8| ((u32::from(c) * a + 255 * (255 - a) + 127) / 255) as u8;
        out.0 = [blend(r), blend(g), blend(b)];
    }
    rgb
}

fn problem(error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => {
            refused("decoding needs too much memory; scale the photo down".into())
        }
        ImageError::Unsupported(e) => {
            refused(format!("{e}; save it again as an ordinary JPEG or PNG"))
        }
        other => broken(other),
    }
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
