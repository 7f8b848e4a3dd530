//! A JPEG file to RGB as Pillow shows it: first checked down to its last coded block, then decoded.
//!
//! JPEG decoders are made for viewers, who would rather see half a photo: what is missing is filled with grey. A model would
//! caption the grey. So [`inspect`] reads the whole file before the decoder does:
//! markers and headers, then in `scan` and `blocks` every Huffman code. Only what is there to the end goes on.

mod bits;
mod blocks;
mod frame;
mod inspect;
mod scan;
mod tables;

use image::RgbImage;
use image::metadata::Orientation;
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

use self::inspect::{Inspected, inspect};
use super::limits::{broken, exif_orientation};
use crate::Result;

/// Decodes a JPEG; the picture is not turned yet.
///
/// # Errors
/// [`crate::Error::Image`] when any coded block is missing, when the file is corrupt, too large, or of a kind we do not decode.
pub(super) fn decode(bytes: &[u8]) -> Result<(RgbImage, Orientation)> {
    let inspected = inspect(bytes)?;
    let (width, height) = (inspected.frame.width, inspected.frame.height);
    let mut decoder = Decoder::new(bytes);
    decoder.set_color_transform(color_transform(&inspected));
    let samples = decoder.decode().map_err(broken)?;
    let format = decoder.info().map(|info| info.pixel_format);
    let rgb = match format {
        Some(PixelFormat::RGB24) => samples,
        Some(PixelFormat::L8) => samples.iter().flat_map(|&grey| [grey; 3]).collect(),
        Some(PixelFormat::CMYK32) => samples.chunks_exact(4).flat_map(ink_to_rgb).collect(),
        // 16-bit grey is lossless JPEG, refused by `inspect`.
        Some(PixelFormat::L16) | None => return Err(broken("its samples are not 8 bits")),
    };
    let picture = RgbImage::from_raw(width as u32, height as u32, rgb)
        .ok_or_else(|| broken("the decoded picture is of another size"))?;
    Ok((picture, exif_orientation(inspected.exif)))
}

/// What the components stand for, by the rules of libjpeg, which Pillow and the browsers follow: JFIF first, then Adobe's
/// marker, then the components' ids. The decoder's own guess asks the ids first and is wrong where they disagree.
fn color_transform(inspected: &Inspected<'_>) -> ColorTransform {
    let ids: Vec<u8> = inspected.frame.components.iter().map(|c| c.id).collect();
    match (ids.as_slice(), inspected.jfif, inspected.adobe) {
        ([_], ..) => ColorTransform::Grayscale,
        ([_, _, _], false, Some(0)) | ([b'R', b'G', b'B'], false, None) => ColorTransform::RGB,
        ([_, _, _], ..) => ColorTransform::YCbCr,
        (_, _, Some(0) | None) => ColorTransform::CMYK,
        _ => ColorTransform::YCCK,
    }
}

/// Adobe stores inks inverted and everybody followed; the decoder has turned them to 0 for no ink. No profile is applied.
fn ink_to_rgb(inks: &[u8]) -> [u8; 3] {
    let paper = 255 - u32::from(inks[3]);
    [0, 1, 2].map(|c| {
        let product = (255 - u32::from(inks[c])) * paper;
        // At most 255 * 255, so the rounded quotient fits a byte.
        ((product + 127) / 255) as u8
    })
}
