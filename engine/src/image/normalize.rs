//! Bytes to the numbers a tower reads, rounded where the reference rounds.

use super::config::Config;
use super::{Frame, Rgb8};
use crate::Result;

/// Normalised value of every byte, a table a channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Levels(Box<[[f32; 256]; 3]>);

impl Levels {
    /// Reads `do_rescale`, `rescale_factor`, `do_normalize`, `image_mean` and `image_std`.
    pub(super) fn from_config(config: &Config<'_>) -> Result<Self> {
        let factor = if config.bool("do_rescale")? {
            config.number("rescale_factor")?
        } else {
            1.0
        };
        let (mean, std) = if config.bool("do_normalize")? {
            (
                config.channels("image_mean")?,
                config.channels("image_std")?,
            )
        } else {
            ([0.0; 3], [1.0; 3])
        };
        // In f32, where the division happens, a tiny number is zero as well.
        if std.iter().any(|&std| std as f32 == 0.0) {
            return Err(config.fail("image_std", "must not be zero".into()));
        }
        Ok(Self::new(factor, mean, std))
    }

    /// Rescaled in f64, stored as f32, then normalised in f32.
    fn new(factor: f64, mean: [f64; 3], std: [f64; 3]) -> Self {
        let mut levels = Box::new([[0.0; 256]; 3]);
        for ((table, mean), std) in levels.iter_mut().zip(mean).zip(std) {
            for (byte, value) in (0u8..=255).zip(table.iter_mut()) {
                *value = ((f64::from(byte) * factor) as f32 - mean as f32) / std as f32;
            }
        }
        Self(levels)
    }

    /// The whole photo, normalised.
    pub(super) fn whole(&self, photo: &Rgb8) -> Frame {
        self.part(photo, 0, 0, photo.height as usize, photo.width as usize)
    }

    /// The normalised `height` x `width` part whose upper left corner is (`top`, `left`); it lies
    /// inside the photo.
    pub(super) fn part(
        &self,
        photo: &Rgb8,
        top: usize,
        left: usize,
        height: usize,
        width: usize,
    ) -> Frame {
        let stride = photo.width as usize * 3;
        let mut pixels = Vec::with_capacity(3 * height * width);
        for (channel, levels) in self.0.iter().enumerate() {
            for row in photo.pixels.chunks_exact(stride).skip(top).take(height) {
                let part = row[left * 3..].chunks_exact(3).take(width);
                pixels.extend(part.map(|pixel| levels[usize::from(pixel[channel])]));
            }
        }
        Frame {
            pixels,
            height,
            width,
        }
    }
}
