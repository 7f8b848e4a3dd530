//! Backgrounds: a canvas in photo coordinates (0 to 1 from the upper left) and the table of places.

use tiny_skia::{FillRule, Paint, Path, Pixmap, Stroke, Transform};

use super::pen::mix;
use super::{far, indoor, outdoor};
use crate::place::Place;
use crate::rng::Rng;

/// Where the floor meets the wall or the sky, as a share of the side.
pub(crate) const HORIZON: f32 = 0.42;

/// The photo while its background is painted.
pub(crate) struct Canvas<'a> {
    pixmap: &'a mut Pixmap,
    frame: Transform,
}

impl<'a> Canvas<'a> {
    pub(crate) fn new(pixmap: &'a mut Pixmap) -> Self {
        let frame = Transform::from_scale(pixmap.width() as f32, pixmap.height() as f32);
        Self { pixmap, frame }
    }

    /// Fills the rows from `y0` to `y1` with a gradient from top to bottom.
    pub(crate) fn wash(&mut self, y0: f32, y1: f32, top: [u8; 3], bottom: [u8; 3]) {
        let (width, height) = (self.pixmap.width() as usize, self.pixmap.height() as f32);
        let rows = (y0 * height).round() as usize..(y1 * height).round() as usize;
        let span = rows.len().max(1) as f32;
        let start = rows.start;
        let pixels = self.pixmap.data_mut();
        for row in rows {
            let [r, g, b] = mix(top, bottom, (row - start) as f32 / span);
            let line = &mut pixels[row * width * 4..(row + 1) * width * 4];
            for pixel in line.chunks_exact_mut(4) {
                pixel.copy_from_slice(&[r, g, b, 255]);
            }
        }
    }

    /// Fills a path with an opaque colour.
    pub(crate) fn fill(&mut self, colour: [u8; 3], path: Option<Path>) {
        self.glaze(colour, 255, path);
    }

    /// Fills a path with a transparent colour.
    pub(crate) fn glaze(&mut self, [r, g, b]: [u8; 3], alpha: u8, path: Option<Path>) {
        let mut paint = Paint::default();
        paint.set_color_rgba8(r, g, b, alpha);
        if let Some(path) = path {
            self.pixmap
                .fill_path(&path, &paint, FillRule::Winding, self.frame, None);
        }
    }

    /// Strokes a path; `width` is a share of the side.
    pub(crate) fn line(&mut self, [r, g, b]: [u8; 3], width: f32, path: Option<Path>) {
        let mut paint = Paint::default();
        paint.set_color_rgba8(r, g, b, 255);
        let stroke = Stroke {
            width,
            ..Stroke::default()
        };
        if let Some(path) = path {
            self.pixmap
                .stroke_path(&path, &paint, &stroke, self.frame, None);
        }
    }
}

/// Paints the place over the whole photo; `rng` moves its props about.
pub(crate) fn paint(canvas: &mut Canvas<'_>, place: Place, rng: &mut Rng) {
    let draw = match place {
        Place::Bedroom => indoor::bedroom,
        Place::Kitchen => indoor::kitchen,
        Place::Library => indoor::library,
        Place::Beach => outdoor::beach,
        Place::Forest => outdoor::forest,
        Place::Garden => outdoor::garden,
        Place::Snow => outdoor::snow,
        Place::Desert => outdoor::desert,
        Place::City => far::city,
        Place::Lake => far::lake,
        Place::Night => far::night,
        Place::Moon => far::moon,
    };
    draw(canvas, rng);
}
