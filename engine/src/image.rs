//! Photo bytes to the pixels a vision tower reads.
//!
//! [`decode`] turns a JPEG, PNG or WebP into upright [`Rgb8`]; [`resize`] matches Pillow to the bit;
//! [`ImageProcessor`] cuts and normalises as the checkpoint's `preprocessor_config.json` says.

mod config;
mod decode;
mod processor;
mod prompt;
mod resize;

pub use decode::decode;
pub use processor::{ImageProcessor, Processed};
pub use prompt::{ImageTokens, image_prompt};
pub use resize::{Filter, resize};

use crate::{Error, Result};

/// An upright photo: 8-bit sRGB, rows from the top, three bytes a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Rgb8 {
    /// Wraps raw pixels.
    ///
    /// # Errors
    /// When a side is zero or `pixels` is not `width * height * 3` bytes.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self> {
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 || expected != pixels.len() as u64 {
            return Err(Error::Image {
                problem: format!(
                    "{width} x {height} pixels of RGB are {expected} bytes, {} were given; pass one byte a channel and no empty side",
                    pixels.len()
                ),
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }
}

#[cfg(test)]
mod tests;
