//! Photos for Qwen2-VL, Qwen2.5-VL and Qwen3-VL: sides rounded to whole visual tokens within a pixel budget.

use super::config::Config;
use super::normalize::Levels;
use super::{Filter, Processed, Rgb8, check_area, resize};
use crate::{Error, Result};

/// The reference refuses photos longer than this many times their width.
const MAX_ASPECT: f64 = 200.0;

/// How photos are sized for one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Qwen {
    do_resize: bool,
    filter: Filter,
    /// Pixels a side of one visual token: the patch times the patches merged a side.
    unit: u32,
    /// Fewest pixels of a frame.
    least: u64,
    /// Most pixels of a frame.
    most: u64,
}

impl Qwen {
    /// Reads `patch_size`, `merge_size` and the budget: `min_pixels` and `max_pixels`, or
    /// `size.shortest_edge` and `size.longest_edge`, which are areas here as well.
    pub(super) fn from_config(config: &Config<'_>) -> Result<Self> {
        let patch = config.side("patch_size")?;
        let merge = config.side("merge_size")?;
        let area = |key: &str, edge: &str| match config.count(key)? {
            Some(area) => Ok(area),
            None => config.size_part(edge),
        };
        let least = area("min_pixels", "shortest_edge")?;
        let most = area("max_pixels", "longest_edge")?;
        if least == 0 || most < least {
            return Err(config.fail(
                "size",
                format!("a budget of {least} to {most} pixels holds no photo"),
            ));
        }
        Ok(Self {
            do_resize: config.bool("do_resize")?,
            filter: config.filter("resample")?,
            unit: patch
                .checked_mul(merge)
                .filter(|unit| *unit <= super::MAX_SIDE)
                .ok_or_else(|| config.fail("merge_size", "makes visual tokens too large".into()))?,
            least,
            most,
        })
    }

    pub(super) fn unit(&self) -> u32 {
        self.unit
    }

    pub(super) fn process(&self, photo: &Rgb8, levels: &Levels) -> Result<Processed> {
        if !self.do_resize {
            super::check_unit(photo, self.unit)?;
            return Ok(Processed::one(levels.whole(photo)));
        }
        let (width, height) = self.size(photo.width, photo.height)?;
        let sized = resize(photo, width, height, self.filter)?;
        Ok(Processed::one(levels.whole(&sized)))
    }

    /// Width and height of the frame of a photo: the reference's `smart_resize`.
    pub(super) fn size(&self, width: u32, height: u32) -> Result<(u32, u32)> {
        let aspect = f64::from(width.max(height)) / f64::from(width.min(height));
        if aspect > MAX_ASPECT {
            return Err(Error::Image {
                problem: format!(
                    "{width} x {height} is more than {MAX_ASPECT} times longer than wide; crop it"
                ),
            });
        }
        let unit = f64::from(self.unit);
        let area = (u64::from(width) * u64::from(height)) as f64;
        // Python's `round`: halves go to the even neighbour.
        let round = |side: u32| (f64::from(side) / unit).round_ties_even() * unit;
        let rounded = round(width) * round(height);
        let (width, height) = if rounded > self.most as f64 {
            let beta = (area / self.most as f64).sqrt();
            let shrink = |side: u32| ((f64::from(side) / beta / unit).floor() * unit).max(unit);
            (shrink(width), shrink(height))
        } else if rounded < self.least as f64 {
            let beta = (self.least as f64 / area).sqrt();
            let grow = |side: u32| (f64::from(side) * beta / unit).ceil() * unit;
            (grow(width), grow(height))
        } else {
            (round(width), round(height))
        };
        check_area(width, height)
    }
}
