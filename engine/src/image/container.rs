//! Whether a PNG or WebP file is there to its end: its chunks are counted, none is read.
//!
//! The decoders stop where the pixels do, and some fill what is missing; a photo that lost its end may also have lost the
//! EXIF block that turns it upright.

use super::limits::{broken, cut_off};
use crate::Result;

/// Walks a PNG to its `IEND` chunk, what lies behind it is nobody's; its EXIF block, which the decoder misses when it comes
/// after the pixels.
///
/// # Errors
/// When the file stops before it.
pub(super) fn check_png(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let mut exif = None;
    // Behind the signature: length, name, data and checksum of each chunk.
    let mut rest = bytes.get(8..).ok_or_else(cut_off)?;
    loop {
        let (&length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let length = u32::from_be_bytes(length) as usize;
        let chunk = after.get(..length.saturating_add(8));
        match chunk.ok_or_else(cut_off)?.first_chunk::<4>() {
            Some(b"IEND") => return Ok(exif),
            Some(b"eXIf") => exif = exif.or(Some(&after[4..length + 4])),
            _ => {}
        }
        rest = &after[length + 8..];
    }
}

/// Walks a WebP to the end that its RIFF header tells.
///
/// # Errors
/// When the file or its last chunk stops before it.
pub(super) fn check_webp(bytes: &[u8]) -> Result<()> {
    let size = bytes.get(4..).and_then(<[u8]>::first_chunk::<4>);
    let size = u32::from_le_bytes(*size.ok_or_else(cut_off)?) as usize;
    let inside = bytes.get(8..).and_then(|rest| rest.get(..size));
    // The name of the format, then chunks of a name, a length and an even number of bytes.
    let mut rest = inside.ok_or_else(cut_off)?.get(4..).unwrap_or(&[]);
    while let Some(header) = rest.first_chunk::<8>() {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if rest.len() - 8 < length {
            return Err(broken("its last chunk stops before its end"));
        }
        // Some writers leave out the byte that makes the last chunk even.
        rest = rest.get(8 + length + length % 2..).unwrap_or(&[]);
    }
    Ok(())
}
