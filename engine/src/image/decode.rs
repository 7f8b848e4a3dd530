//! JPEG, PNG and WebP bytes to upright RGB, refusing what is broken or too large before allocating.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgba};

use super::Rgb8;
use crate::{Error, Result};

/// Longest side accepted, in pixels; beyond it lie decompression bombs and panoramas nobody tiles.
const MAX_SIDE: u32 = 16_384;
/// Most pixels accepted; 100 MP are 300 MB of RGB.
const MAX_PIXELS: u64 = 100_000_000;
/// Most memory a decoder may ask for.
const MAX_ALLOC: u64 = 512 << 20;

/// Decodes a photo: format told by content, EXIF orientation applied, alpha laid over white,
/// 16-bit, grey and CMYK converted to 8-bit RGB, the first frame of an animation.
///
/// # Errors
/// [`Error::Image`] when the bytes are not JPEG, PNG or WebP, are cut off or corrupt, or the photo
/// is larger than 16,384 pixels a side or 100 million pixels.
pub fn decode(bytes: &[u8]) -> Result<Rgb8> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| broken(&e.into()))?;
    match reader.format() {
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) => {}
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
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| broken(&e))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(refused(format!(
            "{width} x {height} pixels: the photo is empty"
        )));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(refused(format!(
            "{width} x {height} pixels is too large; scale it below {MAX_SIDE} a side and {MAX_PIXELS} in all"
        )));
    }
    // A damaged EXIF block costs the orientation, not the photo.
    let orientation = decoder
        .orientation()
        .unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| broken(&e))?;
    image.apply_orientation(orientation);
    let rgb = if image.color().has_alpha() {
        over_white(image)
    } else {
        image.into_rgb8()
    };
    let (width, height) = rgb.dimensions();
    Rgb8::new(width, height, rgb.into_raw())
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

fn broken(error: &ImageError) -> Error {
    let problem = match error {
        ImageError::Limits(_) => "decoding needs too much memory; scale the photo down".into(),
        ImageError::Unsupported(e) => format!("{e}; save it again as an ordinary JPEG or PNG"),
        other => format!("cut off or corrupt ({other}); download or export it again"),
    };
    refused(problem)
}

fn refused(problem: String) -> Error {
    Error::Image { problem }
}
