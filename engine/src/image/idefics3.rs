//! Photos for SmolVLM (Idefics3): resized to whole tiles, cut, and the whole photo squashed to one more.

use super::config::Config;
use super::normalize::Levels;
use super::{Filter, Processed, Rgb8, resize};
use crate::{Error, Result};

/// The reference processor never works above this, whatever the configuration says.
const MAX_WORKING_SIDE: u32 = 4096;
/// Largest `size` a configuration may ask for; it is brought down to `MAX_WORKING_SIDE` afterwards.
const MAX_EDGE: u32 = 16_384;
/// Smallest tile; below it a photo would become more frames than any model takes.
const MIN_TILE: u32 = 8;

/// How photos are cut for one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Idefics3 {
    do_resize: bool,
    longest_edge: u32,
    filter: Filter,
    /// Width and height of every frame.
    pub(super) tile: u32,
    pub(super) do_image_splitting: bool,
}

impl Idefics3 {
    /// Reads `do_resize`, `size`, `max_image_size`, `do_image_splitting` and `resample`.
    ///
    /// `do_pad` is not read: every frame of one photo has the same size, so there is nothing to pad.
    pub(super) fn from_config(config: &Config<'_>) -> Result<Self> {
        let tile = config.longest_edge("max_image_size", MAX_WORKING_SIDE)?;
        if tile < MIN_TILE {
            return Err(config.fail(
                "max_image_size",
                format!("a tile needs at least {MIN_TILE} pixels a side"),
            ));
        }
        Ok(Self {
            do_resize: config.bool("do_resize")?,
            longest_edge: config.longest_edge("size", MAX_EDGE)?,
            filter: config.filter("resample")?,
            tile,
            do_image_splitting: config.bool("do_image_splitting")?,
        })
    }

    pub(super) fn process(&self, photo: &Rgb8, levels: &Levels) -> Result<Processed> {
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
        if !self.do_image_splitting {
            let whole = resize(&sized, self.tile, self.tile, self.filter)?;
            return Ok(Processed::one(levels.whole(&whole)));
        }

        let (width, height) = tiled_size(sized.width, sized.height, self.tile);
        let sized = resize(&sized, width, height, self.filter)?;
        let (rows, cols) = ((height / self.tile) as usize, (width / self.tile) as usize);
        if rows == 1 && cols == 1 {
            return Ok(Processed::one(levels.whole(&sized)));
        }
        let side = self.tile as usize;
        let mut frames = Vec::with_capacity(rows * cols + 1);
        for row in 0..rows {
            for col in 0..cols {
                frames.push(levels.part(&sized, row * side, col * side, side, side));
            }
        }
        let whole = resize(&sized, self.tile, self.tile, self.filter)?;
        frames.push(levels.whole(&whole));
        Ok(Processed { frames, rows, cols })
    }
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
