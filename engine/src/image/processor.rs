//! The SmolVLM (Idefics3) image processor: which frames a photo becomes, and their normalised pixels.

use super::config::Config;
use super::{Filter, Rgb8, resize};
use crate::{Error, Result};

/// The reference processor never works above this, whatever the configuration says.
const MAX_WORKING_SIDE: u32 = 4096;
/// Largest `size` a configuration may ask for; it is brought down to `MAX_WORKING_SIDE` afterwards.
const MAX_EDGE: u32 = 16_384;
/// Smallest tile; below it a photo would become more frames than any model takes.
const MIN_TILE: u32 = 8;

/// How photos are prepared for one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    do_resize: bool,
    longest_edge: u32,
    tile: u32,
    do_image_splitting: bool,
    filter: Filter,
    /// Normalised value of each byte, a table a channel.
    levels: Box<[[f32; 256]; 3]>,
}

/// The frames of one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Processed {
    /// Each `3 * side * side` floats, channel-major (CHW); tiles row by row, the whole photo last.
    pub frames: Vec<Vec<f32>>,
    /// Width and height of every frame.
    pub side: usize,
    /// Rows of tiles; 0 when the photo was not split.
    pub rows: usize,
    /// Columns of tiles; 0 when the photo was not split.
    pub cols: usize,
}

impl ImageProcessor {
    /// Reads a `preprocessor_config.json`, or a `processor_config.json` that holds one under
    /// `image_processor`; `file` names it in errors. Absent keys take Idefics3's defaults.
    ///
    /// `do_pad` is not read: every frame of one photo has the same size, so there is nothing to pad.
    ///
    /// # Errors
    /// [`Error::Config`] with the key that cannot be used.
    pub fn from_json(file: &str, json: &str) -> Result<Self> {
        let config = Config::parse(file, json)?;
        let tile = config.longest_edge("max_image_size", MAX_WORKING_SIDE, 364)?;
        if tile < MIN_TILE {
            return Err(config.fail(
                "max_image_size",
                format!("a tile needs at least {MIN_TILE} pixels a side"),
            ));
        }
        let factor = if config.bool("do_rescale", true)? {
            config.number("rescale_factor", 1.0 / 255.0)?
        } else {
            1.0
        };
        let normalize = config.bool("do_normalize", true)?;
        let mean = if normalize {
            config.channels("image_mean", [0.5; 3])?
        } else {
            [0.0; 3]
        };
        let std = if normalize {
            config.channels("image_std", [0.5; 3])?
        } else {
            [1.0; 3]
        };
        if std.contains(&0.0) {
            return Err(config.fail("image_std", "must not be zero".into()));
        }
        Ok(Self {
            do_resize: config.bool("do_resize", true)?,
            longest_edge: config.longest_edge("size", MAX_EDGE, 4 * 364)?,
            tile,
            do_image_splitting: config.bool("do_image_splitting", true)?,
            filter: config.filter("resample")?,
            levels: levels(factor, mean, std),
        })
    }

    /// The same processor with splitting into tiles on or off, as a caller may choose a photo at a time.
    pub fn with_image_splitting(mut self, split: bool) -> Self {
        self.do_image_splitting = split;
        self
    }

    /// Width and height of every frame.
    pub fn side(&self) -> usize {
        self.tile as usize
    }

    /// Resizes, cuts and normalises one photo.
    ///
    /// # Errors
    /// [`Error::Image`] when `photo` is inconsistent, or too large for a processor that does not resize.
    pub fn process(&self, photo: &Rgb8) -> Result<Processed> {
        let sized = if self.do_resize {
            let (width, height) = working_size(photo.width, photo.height, self.longest_edge);
            resize(photo, width, height, self.filter)?
        } else if photo.width.max(photo.height) > MAX_WORKING_SIDE {
            return Err(Error::Image {
                problem: format!(
                    "over {MAX_WORKING_SIDE} pixels a side, and the model's processor does not resize; scale it down"
                ),
            });
        } else {
            photo.clone()
        };
        let side = self.side();
        if !self.do_image_splitting {
            let whole = resize(&sized, self.tile, self.tile, self.filter)?;
            return Ok(Processed {
                frames: vec![self.frame(&whole, 0, 0)],
                side,
                rows: 0,
                cols: 0,
            });
        }

        let (width, height) = tiled_size(sized.width, sized.height, self.tile);
        let sized = resize(&sized, width, height, self.filter)?;
        let (rows, cols) = ((height / self.tile) as usize, (width / self.tile) as usize);
        if rows == 1 && cols == 1 {
            return Ok(Processed {
                frames: vec![self.frame(&sized, 0, 0)],
                side,
                rows: 0,
                cols: 0,
            });
        }
        let mut frames = Vec::with_capacity(rows * cols + 1);
        for row in 0..rows {
            for col in 0..cols {
                frames.push(self.frame(&sized, row * side, col * side));
            }
        }
        let whole = resize(&sized, self.tile, self.tile, self.filter)?;
        frames.push(self.frame(&whole, 0, 0));
        Ok(Processed {
            frames,
            side,
            rows,
            cols,
        })
    }

    /// The normalised tile whose upper left corner is (`top`, `left`).
    fn frame(&self, photo: &Rgb8, top: usize, left: usize) -> Vec<f32> {
        let side = self.side();
        let stride = photo.width as usize * 3;
        let mut frame = Vec::with_capacity(3 * side * side);
        for (channel, levels) in self.levels.iter().enumerate() {
            for row in photo.pixels.chunks_exact(stride).skip(top).take(side) {
                let pixels = row[left * 3..].chunks_exact(3).take(side);
                frame.extend(pixels.map(|pixel| levels[usize::from(pixel[channel])]));
            }
        }
        frame
    }
}

/// Normalised value of every byte, rounded where the reference rounds: rescaled in f64, stored as
/// f32, then normalised in f32.
fn levels(factor: f64, mean: [f64; 3], std: [f64; 3]) -> Box<[[f32; 256]; 3]> {
    let mut levels = Box::new([[0.0; 256]; 3]);
    for ((table, mean), std) in levels.iter_mut().zip(mean).zip(std) {
        for (byte, value) in (0u8..=255).zip(table.iter_mut()) {
            *value = ((f64::from(byte) * factor) as f32 - mean as f32) / std as f32;
        }
    }
    levels
}

/// First resize: the longest edge becomes `longest`, the other follows and is made even, and both
/// stay at or below the reference's 4,096. The casts truncate, as Python's `int` does.
fn working_size(width: u32, height: u32, longest: u32) -> (u32, u32) {
    let aspect = f64::from(width) / f64::from(height);
    let even = |side: f64| (side as u32).next_multiple_of(2).max(1);
    let (width, height) = if width >= height {
        (longest, even(f64::from(longest) / aspect))
    } else {
        (even(f64::from(longest) * aspect), longest)
    };
    let aspect = f64::from(width) / f64::from(height);
    let (width, height) = if width >= height && width > MAX_WORKING_SIDE {
        (
            MAX_WORKING_SIDE,
            (f64::from(MAX_WORKING_SIDE) / aspect) as u32,
        )
    } else if height > width && height > MAX_WORKING_SIDE {
        (
            (f64::from(MAX_WORKING_SIDE) * aspect) as u32,
            MAX_WORKING_SIDE,
        )
    } else {
        (width, height)
    };
    (width.max(1), height.max(1))
}

/// Second resize: both sides become multiples of the tile, the longest first.
fn tiled_size(width: u32, height: u32, tile: u32) -> (u32, u32) {
    let aspect = f64::from(width) / f64::from(height);
    let up = |side: u32| side.max(1).next_multiple_of(tile);
    if width >= height {
        let width = up(width);
        (width, up((f64::from(width) / aspect) as u32))
    } else {
        let height = up(height);
        (up((f64::from(height) * aspect) as u32), height)
    }
}
