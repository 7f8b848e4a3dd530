//! Photos for SigLIP, CLIP, BLIP and DINOv2: one resize, perhaps a crop of the middle.

use super::config::{Config, Size};
use super::normalize::Levels;
use super::{Filter, Frame, Processed, Rgb8, check_area, resize};
use crate::Result;

/// How photos are sized for one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fixed {
    /// Absent when photos keep their size.
    size: Option<Size>,
    filter: Filter,
    /// Height and width of the middle that is kept.
    crop: Option<(u32, u32)>,
}

impl Fixed {
    /// Reads `do_resize`, `size`, `resample`, `do_center_crop` and `crop_size`.
    pub(super) fn from_config(config: &Config<'_>) -> Result<Self> {
        // Whether a bare number as `size` means a square instead of the shortest edge is for the class to say.
        let size = config.size("size", config.bool("default_to_square")?)?;
        let crop = match config.bool("do_center_crop")? {
            false => None,
            true => match config.size("crop_size", true)? {
                Size::Exact { height, width } => Some((height, width)),
                Size::Shortest(_) => {
                    return Err(config.fail("crop_size", "needs `height` and `width`".into()));
                }
            },
        };
        Ok(Self {
            size: config.bool("do_resize")?.then_some(size),
            filter: config.filter("resample")?,
            crop,
        })
    }

    /// Width and height of every frame, when they are one number whatever the photo.
    pub(super) fn side(&self) -> Option<u32> {
        let (height, width) = match (self.crop, self.size) {
            (Some(crop), _) => crop,
            (None, Some(Size::Exact { height, width })) => (height, width),
            _ => return None,
        };
        (height == width).then_some(height)
    }

    /// A photo at another size than the configuration has, and without the crop.
    pub(super) fn whole(
        &self,
        photo: &Rgb8,
        [width, height]: [u32; 2],
        levels: &Levels,
    ) -> Result<Frame> {
        check_area(f64::from(width), f64::from(height))?;
        Ok(levels.whole(&resize(photo, width, height, self.filter)?))
    }

    pub(super) fn process(&self, photo: &Rgb8, levels: &Levels) -> Result<Processed> {
        let (width, height) = match self.size {
            None => check_area(f64::from(photo.width), f64::from(photo.height))?,
            Some(Size::Exact { height, width }) => (width, height),
            Some(Size::Shortest(edge)) => shortest(photo, edge)?,
        };
        let sized = resize(photo, width, height, self.filter)?;
        let Some((height, width)) = self.crop else {
            return Ok(Processed::one(levels.whole(&sized)));
        };
        Ok(Processed::one(levels.whole(&middle(&sized, height, width))))
    }
}

/// Width and height when the shortest edge becomes `edge`; the other is cut to whole pixels.
fn shortest(photo: &Rgb8, edge: u32) -> Result<(u32, u32)> {
    let (short, long) = (photo.width.min(photo.height), photo.width.max(photo.height));
    // The product first, as the reference has it: the order decides where the quotient is cut.
    let long = (u64::from(edge) * u64::from(long)) as f64 / f64::from(short);
    let (short, long) = check_area(f64::from(edge), long.trunc())?;
    Ok(if photo.width <= photo.height {
        (short, long)
    } else {
        (long, short)
    })
}

/// The middle `height` x `width` of a photo; black where the photo is smaller. An odd rest leaves
/// the larger margin below and to the right when cutting, above and to the left when filling up.
fn middle(photo: &Rgb8, height: u32, width: u32) -> Rgb8 {
    let offset = |whole: u32, part: u32| (i64::from(whole) - i64::from(part)).div_euclid(2);
    let (top, left) = (offset(photo.height, height), offset(photo.width, width));
    let stride = photo.width as usize * 3;
    let mut pixels = vec![0; height as usize * width as usize * 3];
    // The part of each row that both share.
    let from = left.max(0) as usize * 3;
    let to = left.min(0).unsigned_abs() as usize * 3;
    let shared = (photo.width.min(width) as usize) * 3;
    for (y, row) in pixels.chunks_exact_mut(width as usize * 3).enumerate() {
        let source = usize::try_from(y as i64 + top)
            .ok()
            .and_then(|y| photo.pixels.get(y * stride..(y + 1) * stride));
        if let Some(source) = source {
            row[to..to + shared].copy_from_slice(&source[from..from + shared]);
        }
    }
    Rgb8 {
        width,
        height,
        pixels,
    }
}
