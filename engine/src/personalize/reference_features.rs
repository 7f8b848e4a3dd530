//! What an encoder of maps makes of a reference: templates to find the thing with, and what its inside and outside are like.

use super::feature_encoder::FeatureEncoder;
use super::feature_map::{Map, cells, unit};
use super::map_windows::{coverage, weighted};
use crate::Result;
use crate::host::Host;
use crate::image::Rgb8;

/// Longer sides, pixels, at which the thing is looked at in its surroundings: things of a photo come in all sizes, and features
/// are not the same at every size.
const SIDES: [f64; 4] = [96.0, 128.0, 192.0, 256.0];
/// How much larger than the thing its surroundings are.
const SURROUNDINGS: f64 = 1.5;
/// Side of a crop that shows nothing but the thing, pixels.
const CROP: f64 = 224.0;
/// Pixels of a whole photo.
pub(super) const AREA: f64 = 448.0 * 448.0;

/// What is known of a thing from one photo of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReferenceFeatures {
    /// Unit templates for things that are large in a photo, and for small ones: what windows are compared with.
    pub(super) large: Vec<f32>,
    pub(super) small: Vec<f32>,
    /// The unit embedding of a crop that shows nothing but the thing.
    pub(super) crop: Vec<f32>,
    /// Unit features of cells inside the box and outside, on the coarse map and on the fine one.
    pub(super) inside: Vec<f32>,
    pub(super) outside: Vec<f32>,
    pub(super) fine_inside: Vec<f32>,
    pub(super) fine_outside: Vec<f32>,
}

impl ReferenceFeatures {
    /// How many rows of [`Self::pack`] windows are compared with.
    pub(super) const SEARCHED: usize = 1;

    /// Looks at the thing inside `box_` of a photo.
    ///
    /// # Errors
    /// When the photo cannot be resized, the device fails or the caller cancels.
    pub(super) async fn of(
        encoder: &FeatureEncoder,
        photo: &Rgb8,
        box_: [f32; 4],
        host: &dyn Host,
    ) -> Result<Self> {
        let maps = encoder.maps(photo, encoder.size(photo, AREA), host).await?;
        let [inside, outside] = inside_and_outside(&cells(&maps.coarse), box_);
        let [fine_inside, fine_outside] = inside_and_outside(&cells(&maps.fine), box_);
        let mut sizes = Vec::with_capacity(SIDES.len());
        for side in SIDES {
            sizes.push(in_surroundings(encoder, photo, box_, side, host).await?);
        }
        let plain = crop(encoder, photo, box_, false, host).await?;
        let mirrored = crop(encoder, photo, box_, true, host).await?;
        Ok(Self {
            large: joined(&[(2.0, &plain), (1.0, &sizes[2]), (1.0, &sizes[3])]),
            small: joined(&[(1.0, &sizes[0]), (1.0, &sizes[1]), (1.0, &sizes[2])]),
            crop: joined(&[(1.0, &plain), (1.0, &mirrored)]),
            inside,
            outside,
            fine_inside,
            fine_outside,
        })
    }

    /// As the library keeps it: unit embeddings of one length, of which only the first is compared with windows. A fine map as
    /// wide as the coarse one takes a row more.
    pub(super) fn pack(&self) -> Vec<Vec<f32>> {
        let width = 2 * self.large.len();
        let row = |parts: &[&[f32]]| {
            let mut row = parts.concat();
            row.resize(width, 0.0);
            unit(&mut row);
            row
        };
        let mut rows = vec![
            row(&[&self.large, &self.small]),
            row(&[&self.inside, &self.outside]),
        ];
        match fits_one_row(self.large.len(), self.fine_inside.len()) {
            true => rows.push(row(&[&self.crop, &self.fine_inside, &self.fine_outside])),
            // Outside a box that fills the photo there is nothing, and a row must have a length.
            false => rows.extend([
                row(&[&self.crop, &self.fine_outside]),
                row(&[&self.fine_inside]),
            ]),
        }
        rows
    }

    /// What [`Self::pack`] made of it, for an encoder whose fine map has `fine` channels; `None` for anything else.
    pub(super) fn unpack(rows: &[Vec<f32>], fine: usize) -> Option<Self> {
        let width = rows.first()?.len() / 2;
        if rows.iter().any(|row| row.len() != 2 * width) || fine > width {
            return None;
        }
        let part = |row: &[f32], from: usize, length: usize| {
            let mut part = row[from..from + length].to_vec();
            unit(&mut part);
            part
        };
        let (templates, cells, crop, fine_inside, fine_outside) =
            match (rows, fits_one_row(width, fine)) {
                ([templates, cells, rest], true) => {
                    let inside = part(rest, width, fine);
                    (
                        templates,
                        cells,
                        rest,
                        inside,
                        part(rest, width + fine, fine),
                    )
                }
                ([templates, cells, rest, last], false) => {
                    let outside = part(rest, width, fine);
                    (templates, cells, rest, part(last, 0, fine), outside)
                }
                _ => return None,
            };
        Some(Self {
            large: part(templates, 0, width),
            small: part(templates, width, width),
            inside: part(cells, 0, width),
            outside: part(cells, width, width),
            crop: part(crop, 0, width),
            fine_inside,
            fine_outside,
        })
    }
}

/// Whether two vectors of the fine map have a place beside one of the coarse map.
fn fits_one_row(width: usize, fine: usize) -> bool {
    2 * fine <= width
}

/// The unit embedding of what a box shows, cropped and brought to a square.
///
/// # Errors
/// As [`ReferenceFeatures::of`].
pub(super) async fn crop(
    encoder: &FeatureEncoder,
    photo: &Rgb8,
    box_: [f32; 4],
    mirror: bool,
    host: &dyn Host,
) -> Result<Vec<f32>> {
    let part = photo.share(box_);
    let part = if mirror { part.mirrored() } else { part };
    let side = encoder.whole_cells(CROP);
    let map = encoder.maps(&part, [side; 2], host).await?.coarse;
    let mut mean = weighted(&map, &vec![1.0; map.rows * map.columns]);
    map.normalisation.apply(&mut mean);
    Ok(mean)
}

/// The unit embedding of the thing where its longer side has `side` pixels, seen as it is and mirrored.
async fn in_surroundings(
    encoder: &FeatureEncoder,
    photo: &Rgb8,
    box_: [f32; 4],
    side: f64,
    host: &dyn Host,
) -> Result<Vec<f32>> {
    let (part, inside) = surroundings(photo, box_);
    let whole = encoder.whole_cells(side * SURROUNDINGS) as f64;
    let square = SURROUNDINGS * longest(photo, box_);
    let size = [part.width, part.height].map(|own| {
        // What the photo's border cut off is missing from the square.
        encoder.whole_cells(whole * f64::from(own) / square.max(1.0))
    });
    let mut sum = vec![0.0; encoder.width()];
    for mirror in [false, true] {
        let (part, inside) = match mirror {
            false => (part.clone(), inside),
            true => (
                part.mirrored(),
                [1.0 - inside[2], inside[1], 1.0 - inside[0], inside[3]],
            ),
        };
        let map = encoder.maps(&part, size, host).await?.coarse;
        let mut mean = weighted(&map, &coverage(inside, map.columns, map.rows));
        map.normalisation.apply(&mut mean);
        sum.iter_mut().zip(mean).for_each(|(sum, v)| *sum += v);
    }
    unit(&mut sum);
    Ok(sum)
}

/// Longer side of a box, pixels.
fn longest(photo: &Rgb8, box_: [f32; 4]) -> f64 {
    let width = f64::from(box_[2] - box_[0]) * f64::from(photo.width);
    width.max(f64::from(box_[3] - box_[1]) * f64::from(photo.height))
}

/// A square around a box, as far as the photo reaches, and where the box is in it.
fn surroundings(photo: &Rgb8, box_: [f32; 4]) -> (Rgb8, [f32; 4]) {
    let square = SURROUNDINGS * longest(photo, box_);
    let along = |from: f32, to: f32, side: u32| {
        let (from, to) = (
            f64::from(from) * f64::from(side),
            f64::from(to) * f64::from(side),
        );
        let length = square.min(f64::from(side));
        let start = ((from + to - length) / 2.0).clamp(0.0, f64::from(side) - length);
        let share = |at: f64| ((at - start) / length) as f32;
        (
            [start.round() as i64, (start + length).round() as i64],
            [share(from), share(to)],
        )
    };
    let (x, inside_x) = along(box_[0], box_[2], photo.width);
    let (y, inside_y) = along(box_[1], box_[3], photo.height);
    let part = photo.part([x[0], y[0], x[1], y[1]]);
    (part, [inside_x[0], inside_y[0], inside_x[1], inside_y[1]])
}

/// Unit sums of the cells inside a box and outside it.
fn inside_and_outside(cells: &Map, box_: [f32; 4]) -> [Vec<f32>; 2] {
    let inside = coverage(box_, cells.columns, cells.rows);
    let outside: Vec<f32> = inside.iter().map(|share| 1.0 - share).collect();
    [inside, outside].map(|shares| {
        let mut sum = weighted(cells, &shares);
        // Outside a box that fills the photo there is nothing.
        unit(&mut sum);
        sum
    })
}

/// A unit sum of weighted vectors.
fn joined(parts: &[(f32, &Vec<f32>)]) -> Vec<f32> {
    let mut sum = vec![0.0; parts.first().map_or(0, |(_, part)| part.len())];
    for (weight, part) in parts {
        for (sum, value) in sum.iter_mut().zip(*part) {
            *sum += weight * value;
        }
    }
    unit(&mut sum);
    sum
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_again() {
        let vector = |seed: usize, length: usize| {
            let mut vector: Vec<f32> = (0..length)
                .map(|i| ((i * 37 + seed) % 17) as f32 + 0.5)
                .collect();
            unit(&mut vector);
            vector
        };
        for fine in [4, 6, 7, 12] {
            let features = ReferenceFeatures {
                large: vector(1, 12),
                small: vector(2, 12),
                crop: vector(3, 12),
                inside: vector(4, 12),
                outside: vec![0.0; 12],
                fine_inside: vector(5, fine),
                // Of a box that fills the photo.
                fine_outside: vec![0.0; fine],
            };
            let rows = features.pack();
            for row in &rows {
                let length: f32 = row.iter().map(|v| v * v).sum();
                assert!(row.len() == 24 && (length - 1.0).abs() < 1e-5);
            }
            let back = ReferenceFeatures::unpack(&rows, fine).unwrap();
            let close = |a: &[f32], b: &[f32]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
            };
            assert!(close(&back.large, &features.large) && close(&back.crop, &features.crop));
            assert!(close(&back.outside, &features.outside));
            assert!(close(&back.fine_inside, &features.fine_inside));
            assert!(close(&back.fine_outside, &features.fine_outside));
            assert_eq!(
                ReferenceFeatures::unpack(&rows[..rows.len() - 1], fine),
                None
            );
            assert_eq!(ReferenceFeatures::unpack(&rows, 13), None);
        }
    }

    #[test]
    fn surroundings_end_at_the_border_of_the_photo() {
        let photo = Rgb8 {
            width: 100,
            height: 60,
            pixels: vec![0; 18_000],
        };
        let (part, inside) = surroundings(&photo, [0.0, 0.5, 0.4, 1.0]);
        assert_eq!((part.width, part.height), (60, 60));
        assert!((inside[0]).abs() < 1e-6 && (inside[2] - 40.0 / 60.0).abs() < 1e-6);
        assert!((inside[1] - 0.5).abs() < 1e-6 && (inside[3] - 1.0).abs() < 1e-6);
    }
}
