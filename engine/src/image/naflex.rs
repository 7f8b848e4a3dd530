//! Photos for SigLIP2 NaFlex: the largest size of the photo's own shape within a budget of patches.

use super::config::Config;
use super::normalize::Levels;
use super::{Filter, MAX_SIDE, Processed, Rgb8, check_area, resize};
use crate::Result;

/// Where the reference's search for the scale stops.
const EPS: f64 = 1e-5;

/// How photos are sized for one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Naflex {
    do_resize: bool,
    filter: Filter,
    /// Pixels a side of one patch.
    patch: u32,
    /// Most patches of a frame.
    budget: u64,
}

impl Naflex {
    /// Reads `patch_size`, `max_num_patches`, `do_resize` and `resample`.
    pub(super) fn from_config(config: &Config<'_>) -> Result<Self> {
        let budget = config.count("max_num_patches")?.unwrap_or(0);
        if !(1..=u64::from(MAX_SIDE)).contains(&budget) {
            return Err(config.fail(
                "max_num_patches",
                format!("{budget} is not 1 to {MAX_SIDE}"),
            ));
        }
        Ok(Self {
            do_resize: config.bool("do_resize")?,
            filter: config.filter("resample")?,
            patch: config.side("patch_size")?,
            budget,
        })
    }

    pub(super) fn patch(&self) -> u32 {
        self.patch
    }

    pub(super) fn process(&self, photo: &Rgb8, levels: &Levels) -> Result<Processed> {
        if !self.do_resize {
            super::check_unit(photo, self.patch)?;
            return Ok(Processed::one(levels.whole(photo)));
        }
        let (width, height) = self.size(photo.width, photo.height)?;
        let sized = resize(photo, width, height, self.filter)?;
        Ok(Processed::one(levels.whole(&sized)))
    }

    /// Width and height of the frame of a photo: the reference's binary search over scales, step by
    /// step, because where it stops decides the size.
    pub(super) fn size(&self, width: u32, height: u32) -> Result<(u32, u32)> {
        let patch = f64::from(self.patch);
        let patches = |scale: f64, side: u32| (f64::from(side) * scale / patch).ceil().max(1.0);
        let (mut low, mut high) = (EPS / 10.0, 100.0);
        while high - low >= EPS {
            let scale = f64::midpoint(low, high);
            if patches(scale, height) * patches(scale, width) <= self.budget as f64 {
                low = scale;
            } else {
                high = scale;
            }
        }
        check_area(patches(low, width) * patch, patches(low, height) * patch)
    }
}
