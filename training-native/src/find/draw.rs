//! Copies of photos with a box and a name on each thing that was found; the photos themselves are never written to.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jpeg_encoder::{ColorType, Encoder};
use namelens_engine::image::{Filter, Rgb8, resize};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::labels::Labels;
use super::search::Found;
use super::walk::PhotoFile;
use crate::plots::{COLOURS, use_font};

/// Longest side of a copy, pixels.
const MOST_SIDE: f64 = 2048.0;
const QUALITY: u8 = 88;
/// What names of copies end with.
const ENDING: &str = "boxes.jpg";

/// Writes copies into a folder.
#[derive(Debug)]
pub struct Copies {
    folder: PathBuf,
    written: HashSet<PathBuf>,
    /// Where the photos really are.
    photos: HashSet<PathBuf>,
    labels: Labels,
}

impl Copies {
    /// Copies of some of `photos` in this folder, which is made where it is not there; things are written as `labels` says.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn into(folder: &Path, photos: &[PhotoFile], labels: Labels) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            written: HashSet::new(),
            photos: photos.iter().map(|photo| photo.real.clone()).collect(),
            labels,
        })
    }

    /// Writes the copy of a photo: `2024/IMG_1.png` becomes `FOLDER/2024/IMG_1.png.boxes.jpg`.
    ///
    /// # Errors
    /// When the file cannot be written, or is one of the photos.
    pub fn draw(&mut self, file: &PhotoFile, photo: &Rgb8, found: &[Found]) -> Result<PathBuf> {
        let path = self.path(&file.inside);
        if path
            .canonicalize()
            .is_ok_and(|real| self.photos.contains(&real))
        {
            bail!(
                "{} is a photo; name another folder with --draw",
                path.display()
            );
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let copy = drawn(photo, found, &self.labels)?;
        let mut bytes = Vec::new();
        // At most 2,048 pixels a side.
        Encoder::new(&mut bytes, QUALITY).encode(
            &copy.pixels,
            copy.width as u16,
            copy.height as u16,
            ColorType::Rgb,
        )?;
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        self.written.insert(path.clone());
        Ok(path)
    }

    /// Where a copy goes; photos of two folders may have one name.
    fn path(&self, inside: &Path) -> PathBuf {
        let inside: PathBuf = inside
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .collect();
        let name = inside.file_name().map(|name| name.to_os_string());
        let name = name.unwrap_or_else(|| "photo".into());
        let numbered = |number: usize| {
            let mut name = name.clone();
            match number {
                1 => name.push(format!(".{ENDING}")),
                _ => name.push(format!(" ({number}).{ENDING}")),
            }
            self.folder.join(inside.with_file_name(name))
        };
        let mut number = 1;
        while self.written.contains(&numbered(number)) {
            number += 1;
        }
        numbered(number)
    }
}

/// The photo, not larger than a screen, with boxes and names.
fn drawn(photo: &Rgb8, found: &[Found], labels: &Labels) -> Result<Rgb8> {
    use_font();
    let longest = f64::from(photo.width.max(photo.height));
    let scale = (MOST_SIDE / longest).min(1.0);
    let side = |own: u32| (f64::from(own) * scale).round().max(1.0) as u32;
    let size = (side(photo.width), side(photo.height));
    let mut pixels = match scale < 1.0 {
        true => resize(photo, size.0, size.1, Filter::Bicubic)?.pixels,
        false => photo.pixels.clone(),
    };
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        for (found, colour) in found.iter().zip(COLOURS.into_iter().cycle()) {
            for &box_ in found.box_.iter().chain(&found.more_boxes) {
                label(&area, size, box_, &text(found, labels), colour)?;
            }
        }
        area.present()?;
    }
    Ok(Rgb8::new(size.0, size.1, pixels)?)
}

fn text(found: &Found, labels: &Labels) -> String {
    let label = labels.label(&found.name);
    match found.confidence {
        Some(confidence) => format!("{label} {:.0} %", (confidence * 100.0).min(99.0)),
        None => label.to_owned(),
    }
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// A frame around a box, and its text on a strip of the same colour: above the frame, or inside where there is no room.
fn label(
    area: &Area<'_>,
    (width, height): (u32, u32),
    box_: [f32; 4],
    text: &str,
    colour: RGBColor,
) -> Result<()> {
    let at = |share: f32, side: u32| (share * (side - 1) as f32).round() as i32;
    let [left, top] = [at(box_[0], width), at(box_[1], height)];
    let [right, bottom] = [at(box_[2], width), at(box_[3], height)];
    let longest = width.max(height) as i32;
    for inset in 0..(longest / 300).max(2) {
        let frame = [(left + inset, top + inset), (right - inset, bottom - inset)];
        if frame[0].0 < frame[1].0 && frame[0].1 < frame[1].1 {
            area.draw(&Rectangle::new(frame, colour.stroke_width(1)))?;
        }
    }
    let size = (longest / 42).clamp(12, 40);
    let anchor = Pos::new(HPos::Left, VPos::Top);
    let style = ("sans-serif", size).into_text_style(area).pos(anchor);
    let style = style.color(&WHITE);
    let (text_width, _) = area.estimate_text_size(text, &style)?;
    let strip = size + size / 3;
    let strip_top = if top >= strip { top - strip } else { top };
    let room = (width as i32 - text_width as i32 - size / 2).max(0);
    let strip_left = left.min(room);
    let ends = [
        (strip_left, strip_top),
        (strip_left + text_width as i32 + size / 2, strip_top + strip),
    ];
    area.draw(&Rectangle::new(ends, colour.filled()))?;
    let start = (strip_left + size / 4, strip_top + size / 6);
    area.draw_text(text, &style, start)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32) -> Rgb8 {
        Rgb8::new(width, height, vec![127; (width * height * 3) as usize]).unwrap()
    }

    fn found(name: &str, box_: [f32; 4]) -> Found {
        Found {
            name: name.into(),
            id: name.into(),
            confidence: Some(0.9),
            score: 0.8,
            box_: Some(box_),
            more_boxes: Vec::new(),
        }
    }

    fn colour_at(photo: &Rgb8, x: u32, y: u32) -> [u8; 3] {
        let at = ((y * photo.width + x) * 3) as usize;
        photo.pixels[at..at + 3].try_into().unwrap()
    }

    #[test]
    fn a_frame_is_where_the_thing_is() {
        let mochi = found("Mochi", [0.25, 0.5, 0.75, 0.9]);
        let copy = drawn(&grey(400, 200), &[mochi], &Labels::default()).unwrap();
        let blue = [COLOURS[0].0, COLOURS[0].1, COLOURS[0].2];
        assert_eq!(colour_at(&copy, 100, 150), blue);
        assert_eq!(colour_at(&copy, 299, 150), blue);
        assert_eq!(colour_at(&copy, 200, 150), [127; 3]);
        assert_eq!(colour_at(&copy, 200, 179), blue);
        // Thin letters are nowhere wholly white.
        let is_light = |x: &u32, y| colour_at(&copy, *x, y)[0] > 150;
        let light = |y: u32| (0..400).filter(|x| is_light(x, y)).count();
        let letters: usize = (80..100).map(light).sum();
        assert!(letters > 10, "no name above the frame: {letters}");
    }

    #[test]
    fn any_shape_and_any_name_can_be_drawn() {
        let long = "x".repeat(64);
        for (width, height) in [(1, 1), (1, 10_000), (10_000, 1), (3000, 40)] {
            for name in ["Mochi", "もち 🐈", "", long.as_str()] {
                let labels = Labels::of([name].into_iter());
                for box_ in [[0.0, 0.0, 1.0, 1.0], [0.99, 0.99, 1.0, 1.0], [0.5; 4]] {
                    let copy = drawn(&grey(width, height), &[found(name, box_)], &labels).unwrap();
                    assert!(copy.width.max(copy.height) <= 2048);
                }
            }
        }
    }

    #[test]
    fn a_name_that_the_font_lacks_is_drawn_as_its_number() {
        let labels = Labels::of(["もち", "Bo"].into_iter());
        let copy = |name: &str, labels: &Labels| {
            drawn(
                &grey(300, 200),
                &[found(name, [0.2, 0.4, 0.8, 0.9])],
                labels,
            )
            .unwrap()
        };
        assert_eq!(
            copy("もち", &labels).pixels,
            copy("#1", &Labels::default()).pixels
        );
        assert_eq!(
            copy("Bo", &labels).pixels,
            copy("Bo", &Labels::default()).pixels
        );
        assert_ne!(
            copy("もち", &labels).pixels,
            copy("もち", &Labels::default()).pixels
        );
    }

    #[test]
    fn copies_never_meet_a_photo_or_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let photo = |real: &Path| PhotoFile {
            path: "album/../a.png".into(),
            real: real.to_owned(),
            inside: "album/../a.png".into(),
        };
        let drawn = folder.path().join("drawn");
        let photos = ["/one", "/two"].map(|real| photo(Path::new(real)));
        let mut copies = Copies::into(&drawn, &photos, Labels::default()).unwrap();
        let whole = [found("Mochi", [0.0, 0.0, 1.0, 1.0])];
        let first = copies.draw(&photos[0], &grey(20, 20), &whole).unwrap();
        let second = copies.draw(&photos[1], &grey(20, 20), &whole).unwrap();
        assert_ne!(first, second);
        assert!(first.ends_with("drawn/album/a.png.boxes.jpg"), "{first:?}");
        // In the next run, where that copy was taken for a photo.
        let taken = photo(&first.canonicalize().unwrap());
        let mut copies = Copies::into(&drawn, &[taken], Labels::default()).unwrap();
        let before = std::fs::read(&first).unwrap();
        let error = copies.draw(&photos[0], &grey(9, 9), &whole).unwrap_err();
        assert!(error.to_string().contains("is a photo"), "{error}");
        assert_eq!(std::fs::read(&first).unwrap(), before);
        assert_eq!(image_size(&before), (20, 20));
    }

    fn image_size(jpeg: &[u8]) -> (u32, u32) {
        let photo = namelens_engine::image::decode(jpeg).unwrap();
        (photo.width, photo.height)
    }
}
