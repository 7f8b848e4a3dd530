//! Whether a photo will do as the reference of a thing, said in plain words: too small, dark, flat or blurred, much besides it
//! in the photo, or much like another thing.

use namelens_engine::concepts::Library;
use namelens_engine::image::{Filter, Rgb8, resize};

/// Fewer pixels than these along its longer side show no detail.
const LEAST_SIDE: f32 = 96.0;
/// Longer side, pixels, that the thing is brought to before its light and sharpness are measured.
const CROP_SIDE: f64 = 224.0;
/// Levels of brightness, of 255.
const DARK: f32 = 28.0;
const BRIGHT: f32 = 238.0;
const FLAT: f32 = 9.0;
/// Variance of the Laplacian at [`CROP_SIDE`]: sharp photos have hundreds, blurred ones a few.
const BLURRED: f32 = 14.0;
/// Things whose references are this similar are mistaken for each other: photos of one thing have 0.87 to 0.94, those of two
/// sneakers 0.72, of two corgis 0.66.
pub const ALIKE: f32 = 0.8;

/// What is wrong with a photo as a reference; the thing is inside `box_`, or all of it.
pub fn warnings(photo: &Rgb8, box_: Option<[f32; 4]>) -> Vec<String> {
    let mut out = Vec::new();
    let [left, top, right, bottom] = box_.unwrap_or([0.0, 0.0, 1.0, 1.0]);
    let (width, height) = (photo.width as f32, photo.height as f32);
    let longest = ((right - left) * width).max((bottom - top) * height);
    if longest < LEAST_SIDE {
        out.push(format!(
            "the thing is only {longest:.0} pixels large; a photo that shows it with 200 or more is recognised better"
        ));
    }
    let (grey, columns) = grey(photo, [left, top, right, bottom]);
    let count = grey.len().max(1) as f32;
    let mean = grey.iter().sum::<f32>() / count;
    let spread = (grey.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt();
    if spread < FLAT {
        out.push("there is hardly anything to see in it; is this the right place?".into());
    } else if mean < DARK {
        out.push("it is very dark; take one in better light".into());
    } else if mean > BRIGHT {
        out.push("it is very bright; take one in softer light".into());
    } else if longest >= LEAST_SIDE && sharpness(&grey, columns) < BLURRED {
        out.push("it is blurred; take a sharper one".into());
    }
    if box_.is_none() {
        out.push(
            "it is not said where in the photo the thing is, so all of it counts; if there is more in it, add a box: \
             NAME=PHOTO@left,top,right,bottom, from 0 to 1"
                .into(),
        );
    }
    out
}

/// The thing that is most like this one, if they will be mistaken for each other: its name and the similarity.
pub fn alike(library: &Library, id: &str) -> Option<(String, f32)> {
    let index = library.index();
    let dim = index.dim();
    if dim == 0 {
        return None;
    }
    let vectors: Vec<&[f32]> = index.vectors().chunks_exact(dim).collect();
    let own = index.rows_of(id);
    let others = (0..index.len()).filter(|row| !own.contains(row));
    let best = others
        .flat_map(|row| own.clone().map(move |own| (row, own)))
        .map(|(row, own)| (row, dot(vectors[row], vectors[own])))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    let other = library.get(&index.rows()[best.0].concept)?;
    (best.1 >= ALIKE).then(|| (other.name.clone(), best.1))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Brightness of what a box shows, at a size where blur can be told, and how many columns that has.
fn grey(photo: &Rgb8, [left, top, right, bottom]: [f32; 4]) -> (Vec<f32>, usize) {
    let at = |share: f32, side: u32| ((share * side as f32) as u32).min(side - 1);
    let (x, y) = (at(left, photo.width), at(top, photo.height));
    let width = (at(right, photo.width) + 1).saturating_sub(x).max(1);
    let height = (at(bottom, photo.height) + 1).saturating_sub(y).max(1);
    let stride = photo.width as usize * 3;
    let rows = photo.pixels.chunks_exact(stride).skip(y as usize);
    let (from, to) = (x as usize * 3, (x + width) as usize * 3);
    let pixels = rows.take(height as usize).flat_map(|row| &row[from..to]);
    let pixels: Vec<u8> = pixels.copied().collect();
    let scale = CROP_SIDE / f64::from(width.max(height));
    let side = |own: u32| (f64::from(own) * scale).round().max(1.0) as u32;
    let part = Rgb8::new(width, height, pixels);
    let part = part.and_then(|part| resize(&part, side(width), side(height), Filter::Bicubic));
    let Ok(part) = part else {
        return (Vec::new(), 1);
    };
    let level =
        |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
    (
        part.pixels.chunks_exact(3).map(level).collect(),
        part.width as usize,
    )
}

/// Variance of the Laplacian.
fn sharpness(grey: &[f32], columns: usize) -> f32 {
    let rows = grey.len() / columns.max(1);
    let at = |row: usize, column: usize| grey[row * columns + column];
    let mut values = Vec::new();
    for row in 1..rows.saturating_sub(1) {
        for column in 1..columns.saturating_sub(1) {
            let around = at(row - 1, column)
                + at(row + 1, column)
                + at(row, column - 1)
                + at(row, column + 1);
            values.push(4.0 * at(row, column) - around);
        }
    }
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A photo of waves so many pixels long, around a brightness.
    fn waves(side: u32, length: f32, around: f32, height: f32) -> Rgb8 {
        let level = |x: u32, y: u32| {
            let wave = (x as f32 / length).sin() * (y as f32 / length).cos();
            (around + height * wave).clamp(0.0, 255.0) as u8
        };
        let pixels = (0..side * side).flat_map(|at| [level(at % side, at / side); 3]);
        Rgb8::new(side, side, pixels.collect()).unwrap()
    }

    fn said(photo: &Rgb8, box_: Option<[f32; 4]>) -> String {
        warnings(photo, box_).join(" / ")
    }

    #[test]
    fn a_good_reference_is_not_complained_about() {
        let good = waves(400, 6.0, 120.0, 80.0);
        assert_eq!(said(&good, Some([0.1, 0.1, 0.9, 0.9])), "");
        assert!(said(&good, None).contains("add a box"));
    }

    #[test]
    fn poor_references_are_called_what_they_are() {
        let whole = Some([0.0, 0.0, 1.0, 1.0]);
        for (photo, box_, word) in [
            (
                waves(400, 6.0, 120.0, 80.0),
                Some([0.1, 0.1, 0.2, 0.2]),
                "40 pixels",
            ),
            (waves(60, 6.0, 120.0, 80.0), whole, "60 pixels"),
            (waves(400, 6.0, 14.0, 60.0), whole, "dark"),
            (waves(400, 6.0, 255.0, 60.0), whole, "bright"),
            (waves(400, 6.0, 120.0, 4.0), whole, "hardly anything"),
            (waves(400, 60.0, 120.0, 80.0), whole, "blurred"),
        ] {
            let said = said(&photo, box_);
            assert!(said.contains(word), "{word}: {said}");
        }
        // Of no size to speak of, it is still answered.
        for (width, height) in [(1, 1), (1, 10_000), (10_000, 1)] {
            let photo = Rgb8::new(width, height, vec![99; (width * height * 3) as usize]).unwrap();
            assert!(!warnings(&photo, None).is_empty());
        }
    }
}
