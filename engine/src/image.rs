//! Photo bytes to the pixels a vision tower reads.
//!
//! [`decode`] turns a JPEG, PNG or WebP into upright [`Rgb8`]; [`resize`] matches Pillow to the bit;
//! [`ImageProcessor`] cuts and normalises as the checkpoint's `preprocessor_config.json` says:
//! `idefics3` into tiles, `qwen` and `naflex` in the photo's own shape, `fixed` to one square.

mod config;
mod container;
mod crop;
mod decode;
mod fixed;
mod frame;
mod gguf;
mod idefics3;
mod jpeg;
mod limits;
mod naflex;
mod normalize;
mod other_kind;
mod processor;
mod qwen;
mod resize;

pub use decode::decode;
pub use frame::{Frame, Processed};
pub use other_kind::{HEAD, other_kind};
pub use processor::ImageProcessor;
pub use resize::{Filter, resize};

pub use crate::text::{ImageMarkup, PhotoLayout};

use crate::{Error, Result};

/// Longest side of a frame that follows the photo's shape, in pixels.
const MAX_SIDE: u32 = 1 << 20;
/// Most pixels of a frame: twice what the largest known checkpoint asks for, 400 MB of floats.
const MAX_FRAME: f64 = (1u32 << 25) as f64;

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

    /// Whether the fields fit together; they are public.
    fn check(&self) -> Result<()> {
        let expected = u64::from(self.width) * u64::from(self.height) * 3;
        if expected == 0 || expected != self.pixels.len() as u64 {
            return Err(Error::Image {
                problem: "its pixels do not match its size; build it with `Rgb8::new`".into(),
            });
        }
        Ok(())
    }
}

/// Sides that were computed, as whole numbers, unless a frame of them would be too large.
fn check_area(width: f64, height: f64) -> Result<(u32, u32)> {
    let sides = 1.0..=f64::from(MAX_SIDE);
    if !sides.contains(&width) || !sides.contains(&height) || width * height > MAX_FRAME {
        return Err(Error::Image {
            problem: format!(
                "the model's processor makes it {width} x {height} pixels, which is too large; crop or scale it"
            ),
        });
    }
    Ok((width as u32, height as u32))
}

/// A photo that is not resized must hold whole patches.
fn check_unit(photo: &Rgb8, unit: u32) -> Result<()> {
    check_area(f64::from(photo.width), f64::from(photo.height))?;
    if photo.width.is_multiple_of(unit) && photo.height.is_multiple_of(unit) {
        return Ok(());
    }
    Err(Error::Image {
        problem: format!(
            "{} x {} are not multiples of {unit}, and the model's processor does not resize; scale it",
            photo.width, photo.height
        ),
    })
}

#[cfg(test)]
mod family_tests;
#[cfg(test)]
mod photo_tests;
#[cfg(test)]
mod tests;
