//! What is done to photos to see what recognition stands: mirrored, darkened, compressed, turned; several put into one.

use anyhow::{Context, Result};
use image::{RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};
use namelens_engine::image::{Filter, Rgb8, decode, resize};

/// What may have been done to a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Plain,
    /// Left and right exchanged.
    Mirrored,
    /// Two fifths of its brightness.
    Dark,
    /// JPEG of quality 30.
    Compressed,
    /// Turned by 15 degrees, what leaves the frame cut off.
    Turned,
}

impl Variant {
    /// All of them, the plain one first.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Mirrored,
        Self::Dark,
        Self::Compressed,
        Self::Turned,
    ];

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "as it is",
            Self::Mirrored => "mirrored",
            Self::Dark => "darkened to 0.4",
            Self::Compressed => "JPEG 30",
            Self::Turned => "turned by 15 degrees",
        }
    }

    /// The photo so changed, and where the box is then.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn apply(self, photo: &Rgb8, box_: [f32; 4]) -> Result<(Rgb8, [f32; 4])> {
        Ok(match self {
            Self::Plain => (photo.clone(), box_),
            Self::Mirrored => {
                let mirrored = [1.0 - box_[2], box_[1], 1.0 - box_[0], box_[3]];
                (photo.mirrored(), mirrored)
            }
            Self::Dark => {
                let darker = |v: &u8| (f32::from(*v) * 0.4) as u8;
                let pixels = photo.pixels.iter().map(darker).collect();
                (Rgb8 { pixels, ..*photo }, box_)
            }
            Self::Compressed => {
                let mut bytes = Vec::new();
                let (width, height) = (u16::try_from(photo.width)?, u16::try_from(photo.height)?);
                let encoder = Encoder::new(&mut bytes, 30);
                encoder.encode(&photo.pixels, width, height, ColorType::Rgb)?;
                (decode(&bytes)?, box_)
            }
            Self::Turned => turned(photo, box_, 15f32.to_radians()),
        })
    }
}

/// Turns a photo about its middle, counter-clockwise; what comes from outside is black. The box is that around the turned one's
/// middle, as wide and high as an ellipse in it becomes.
fn turned(photo: &Rgb8, box_: [f32; 4], angle: f32) -> (Rgb8, [f32; 4]) {
    let (width, height) = (photo.width as f32, photo.height as f32);
    let (sin, cos) = angle.sin_cos();
    let mut pixels = vec![0; photo.pixels.len()];
    for (at, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let x = (at as u32 % photo.width) as f32 + 0.5 - width / 2.0;
        let y = (at as u32 / photo.width) as f32 + 0.5 - height / 2.0;
        let from = [
            x * cos - y * sin + width / 2.0,
            x * sin + y * cos + height / 2.0,
        ];
        if from[0] >= 0.0 && from[1] >= 0.0 && from[0] < width && from[1] < height {
            let source = (from[1] as usize * photo.width as usize + from[0] as usize) * 3;
            pixel.copy_from_slice(&photo.pixels[source..source + 3]);
        }
    }
    let [left, top, right, bottom] = box_;
    let (x, y) = (
        (left + right - 1.0) / 2.0 * width,
        (top + bottom - 1.0) / 2.0 * height,
    );
    let (half_width, half_height) = ((right - left) / 2.0 * width, (bottom - top) / 2.0 * height);
    let middle = [x * cos + y * sin, y * cos - x * sin];
    let wide = (half_width * cos).hypot(half_height * sin);
    let high = (half_width * sin).hypot(half_height * cos);
    let edge = |v: f32, side: f32| (v / side + 0.5).clamp(0.0, 1.0);
    let box_ = [
        edge(middle[0] - wide, width),
        edge(middle[1] - high, height),
        edge(middle[0] + wide, width),
        edge(middle[1] + high, height),
    ];
    (Rgb8 { pixels, ..*photo }, box_)
}

/// Photos side by side on one canvas, each brought to an equal cell, and where their boxes are there: two beside each other,
/// four in a square.
///
/// # Errors
/// When a photo cannot be resized.
pub fn collage(photos: &[(&Rgb8, [f32; 4])], cell: u32) -> Result<(Rgb8, Vec<[f32; 4]>)> {
    let columns = 2;
    let rows = (photos.len() as u32).div_ceil(columns);
    let mut canvas = RgbImage::new(columns * cell, rows * cell);
    let mut boxes = Vec::new();
    for (at, (photo, box_)) in (0u32..).zip(photos) {
        let small = resize(photo, cell, cell, Filter::Bicubic)?;
        let (column, row) = (at % columns, at / columns);
        let (x, y) = (i64::from(column * cell), i64::from(row * cell));
        imageops::replace(&mut canvas, &to_image(&small)?, x, y);
        let along = |share: f32, cell_at: u32, cells: u32| (cell_at as f32 + share) / cells as f32;
        boxes.push([
            along(box_[0], column, columns),
            along(box_[1], row, rows),
            along(box_[2], column, columns),
            along(box_[3], row, rows),
        ]);
    }
    Ok((of_image(canvas)?, boxes))
}

/// A thing, cut out by its box and brought to a quarter of the longer side, put onto another photo; `at` says where, 0 to 1 across
/// and down.
///
/// # Errors
/// When it cannot be resized.
pub fn pasted(
    background: &Rgb8,
    photo: &Rgb8,
    box_: [f32; 4],
    at: [f32; 2],
) -> Result<(Rgb8, [f32; 4])> {
    let cut = photo.share(box_);
    let quarter = f64::from(background.width.max(background.height)) / 4.0;
    let scale = quarter / f64::from(cut.width.max(cut.height));
    let side = |side: u32, most: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
    let width = side(cut.width, background.width);
    let height = side(cut.height, background.height);
    let small = resize(&cut, width, height, Filter::Bicubic)?;
    let x = ((background.width - width) as f32 * at[0]) as u32;
    let y = ((background.height - height) as f32 * at[1]) as u32;
    let mut canvas = to_image(background)?;
    imageops::replace(&mut canvas, &to_image(&small)?, i64::from(x), i64::from(y));
    let (w, h) = (background.width as f32, background.height as f32);
    let box_ = [
        x as f32 / w,
        y as f32 / h,
        (x + width) as f32 / w,
        (y + height) as f32 / h,
    ];
    Ok((of_image(canvas)?, box_))
}

fn to_image(photo: &Rgb8) -> Result<RgbImage> {
    RgbImage::from_raw(photo.width, photo.height, photo.pixels.clone())
        .context("a photo whose pixels do not fill it")
}

fn of_image(image: RgbImage) -> Result<Rgb8> {
    let (width, height) = image.dimensions();
    Ok(Rgb8::new(width, height, image.into_raw())?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A white square on black.
    fn photo(box_: [f32; 4]) -> Rgb8 {
        let side = 200usize;
        let pixel = |at: usize| {
            let (x, y) = (
                (at % side) as f32 / side as f32,
                (at / side) as f32 / side as f32,
            );
            let inside = x >= box_[0] && x < box_[2] && y >= box_[1] && y < box_[3];
            [if inside { 255 } else { 0 }; 3]
        };
        Rgb8::new(200, 200, (0..side * side).flat_map(pixel).collect()).unwrap()
    }

    /// Share of the light of a photo that lies in a box.
    fn light_in(photo: &Rgb8, box_: [f32; 4]) -> f32 {
        let light = |photo: &Rgb8| photo.pixels.iter().map(|v| f32::from(*v)).sum::<f32>();
        light(&photo.share(box_)) / light(photo)
    }

    #[test]
    fn boxes_go_where_things_go() {
        let box_ = [0.2, 0.5, 0.4, 0.8];
        let plain = photo(box_);
        for variant in Variant::ALL {
            let (changed, box_) = variant.apply(&plain, box_).unwrap();
            let share = light_in(&changed, box_);
            assert!(share > 0.85, "{variant:?}: {share}");
        }
        let (two, boxes) = collage(&[(&plain, box_), (&plain, box_)], 100).unwrap();
        assert_eq!((two.width, two.height), (200, 100));
        assert!(
            boxes
                .iter()
                .all(|box_| (light_in(&two, *box_) - 0.5).abs() < 0.05)
        );
        let black = photo([0.0; 4]);
        let (pasted, place) = pasted(&black, &plain, box_, [0.5, 0.9]).unwrap();
        assert!(light_in(&pasted, place) > 0.95);
        assert!((place[3] - place[1] - 0.25).abs() < 0.01);
    }
}
