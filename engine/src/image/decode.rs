//! JPEG, PNG and WebP bytes to upright RGB, refusing what is broken or too large before allocating.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgba};

use super::container::{check_png, check_webp};
use super::limits::{MAX_ALLOC, broken, check_size, exif_orientation, refused};
use super::other_kind::other_kind;
use super::{Rgb8, jpeg};
use crate::{Error, Result};

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
        other => return Err(unread(bytes, other)),
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

/// The error of bytes that are another kind of picture, or none.
fn unread(bytes: &[u8], format: Option<ImageFormat>) -> Error {
    let kind = other_kind(bytes).map(str::to_owned);
    refused(match kind.or_else(|| Some(format!("{:?}", format?))) {
        Some(kind) => {
            format!("{kind} is not supported; convert the photo to JPEG, PNG or WebP")
        }
        None => "the bytes are not a JPEG, PNG or WebP; is this the right file?".into(),
    })
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_another_kind_is_called_by_its_name() {
        let cases: [(&[u8], &str); 7] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC is not supported"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC is not supported"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF is not supported"),
            (b"II*\0\x08\0\0\0", "TIFF is not supported"),
            (b"\xff\x0a\xfa\x1f", "JPEG XL is not supported"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "are not a JPEG"),
            (b"no picture", "are not a JPEG"),
        ];
        for (bytes, told) in cases {
            let error = decode(bytes).unwrap_err();
            assert_eq!(error.code(), "image");
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
