//! Contact sheets: many photos in one picture with their boxes, to look at what a model will see.

use tiny_skia::{IntSize, Pixmap};

use crate::render::Rgb;
use crate::sample::{SampleOptions, sample};

/// A rectangle of 8-bit RGB pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `width * height * 3` bytes, row-major.
    pub pixels: Vec<u8>,
}

impl Sheet {
    /// The sheet as a PNG file; `None` when it has no area.
    pub fn png(&self) -> Option<Vec<u8>> {
        let rgba = self
            .pixels
            .chunks_exact(3)
            .flat_map(|p| [p[0], p[1], p[2], 255])
            .collect();
        let pixmap = Pixmap::from_vec(rgba, IntSize::from_wh(self.width, self.height)?)?;
        pixmap.encode_png().ok()
    }
}

/// Photos of the samples `seed`, `seed + 1`, ... with the boxes of their things outlined:
/// white for a concept, black for a thing nobody named.
pub fn sheet(seed: u64, options: &SampleOptions, rows: usize, columns: usize, tile: u32) -> Sheet {
    let options = SampleOptions {
        side: tile,
        ..options.clone()
    };
    let tiles: Vec<Rgb> = (0..rows * columns)
        .map(|index| {
            let drawn = sample(seed.wrapping_add(index as u64), &options);
            let mut photo = drawn.photo;
            for thing in &drawn.things {
                outline(
                    &mut photo,
                    thing.box_px,
                    if thing.concept.is_some() { 255 } else { 0 },
                );
            }
            photo
        })
        .collect();
    montage(&tiles, columns)
}

/// Lays photos of one size out in rows.
pub fn montage(tiles: &[Rgb], columns: usize) -> Sheet {
    let tile = tiles.first().map_or(0, |first| first.size) as usize;
    let columns = columns.max(1);
    let (width, height) = (tile * columns, tile * tiles.len().div_ceil(columns));
    let mut pixels = vec![255; width * height * 3];
    for (index, photo) in tiles.iter().enumerate() {
        let (x, y) = (index % columns * tile, index / columns * tile);
        for (row, line) in photo.pixels.chunks_exact(tile * 3).take(tile).enumerate() {
            let start = ((y + row) * width + x) * 3;
            pixels[start..start + tile * 3].copy_from_slice(line);
        }
    }
    Sheet {
        width: width as u32,
        height: height as u32,
        pixels,
    }
}

/// Draws a one-pixel frame just inside a box given in shares of the side.
fn outline(photo: &mut Rgb, shares: [f32; 4], level: u8) {
    let side = photo.size as usize;
    let [x0, y0, x1, y1] = shares.map(|v| ((v * side as f32) as usize).min(side));
    let (x1, y1) = (x1.saturating_sub(1).max(x0), y1.saturating_sub(1).max(y0));
    let mut dot = |x: usize, y: usize| {
        if let Some(pixel) = photo
            .pixels
            .get_mut((y * side + x) * 3..(y * side + x) * 3 + 3)
        {
            pixel.fill(level);
        }
    };
    for x in x0..=x1 {
        dot(x, y0);
        dot(x, y1);
    }
    for y in y0..=y1 {
        dot(x0, y);
        dot(x1, y);
    }
}
