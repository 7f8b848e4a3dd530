//! Before a thing is named: where in its photo it seems to be, what it looks like, and whether the photo will do.

use serde::Serialize;

use super::engine::Engine;
use super::retriever::Word;
use crate::Result;
use crate::concepts::check_box;
use crate::concepts::retrieval::Mode;
use crate::host::Host;
use crate::image::{Rgb8, decode};
use crate::{Error, concepts};

/// Words that are told.
const WORDS: usize = 5;
/// Sides shorter than this show too little, pixels.
const SMALL: f32 = 64.0;
/// Mean brightness below which a photo is dark, 0 to 255.
const DARK: f32 = 40.0;
/// Standard deviation of brightness below which nothing can be seen in it.
const FLAT: f32 = 6.0;
/// Confidence from which the thing is taken for one that is known already.
const KNOWN: f32 = 0.5;

/// What a reference photo shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Enrolment {
    /// Left, top, right and bottom of the thing, as fractions: what the caller gave, or what stands out.
    #[serde(rename = "box")]
    pub box_: [f32; 4],
    /// What it looks like, likeliest first.
    pub words: Vec<Word>,
    /// What is wrong with the photo, worst first; it can be used all the same.
    pub warnings: Vec<Warning>,
}

/// Why a reference may be a poor one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "lowercase")]
pub enum Warning {
    /// It is of one colour.
    Flat,
    /// It is dark.
    Dark,
    /// The thing has few pixels.
    Small {
        /// Its shorter side.
        pixels: u32,
    },
    /// It looks like a thing that has a name already.
    Known {
        /// Id of that thing.
        id: String,
        /// Its name.
        name: String,
    },
}

impl Engine {
    /// Looks at a photo of a thing that is about to be named. `box_` is where the thing is; where it is not given, what stands
    /// out from its surroundings is taken. Without a retriever that knows photos there are no words, and the box is the whole.
    ///
    /// # Errors
    /// When the photo cannot be read, the box leaves it or has no area, the device fails or the caller cancels.
    pub async fn enrolment(
        &self,
        photo: &[u8],
        box_: Option<[f32; 4]>,
        host: &dyn Host,
    ) -> Result<Enrolment> {
        if let Some(problem) = box_.as_ref().and_then(|box_| check_box(box_).err()) {
            return Err(Error::Option {
                option: "box".into(),
                problem,
            });
        }
        let photo = decode(photo)?;
        let Some(retriever) = self.retriever() else {
            let box_ = box_.unwrap_or(WHOLE);
            return Ok(Enrolment {
                box_,
                words: Vec::new(),
                warnings: of_pixels(&photo.share(box_)),
            });
        };
        let mut scan = None;
        let box_ = match box_ {
            Some(box_) => box_,
            None => retriever.salient_box(&photo, &mut scan, host).await?,
        };
        let mut warnings = of_pixels(&photo.share(box_));
        if !self.library.is_empty() && !warnings.contains(&Warning::Flat) {
            let library = &self.library;
            let found = retriever
                .search(&photo, &mut scan, "", library, Mode::Auto, host)
                .await?;
            let same = found.into_iter().find(|found| {
                let sure = found
                    .confidence
                    .is_some_and(|confidence| confidence >= KNOWN);
                let there = |seen: [f32; 4]| concepts::regions::iou(&seen, &box_) > 0.3;
                sure && found.box_.is_some_and(there)
            });
            warnings.extend(same.map(|found| Warning::Known {
                id: found.id,
                name: found.name,
            }));
        }
        Ok(Enrolment {
            words: retriever.words(&photo, box_, WORDS, host).await?,
            box_,
            warnings,
        })
    }
}

/// The box of a whole photo.
const WHOLE: [f32; 4] = [0.0, 0.0, 1.0, 1.0];

/// What can be told from the pixels of the thing.
fn of_pixels(part: &Rgb8) -> Vec<Warning> {
    let count = (part.pixels.len() / 3).max(1) as f32;
    // Rec. 601, as JPEG has it.
    let brightness = |pixel: &[u8; 3]| {
        let [red, green, blue] = pixel.map(f32::from);
        0.299 * red + 0.587 * green + 0.114 * blue
    };
    let pixels = part.pixels.as_chunks::<3>().0;
    let mean = pixels.iter().map(brightness).sum::<f32>() / count;
    let square = |pixel: &[u8; 3]| (brightness(pixel) - mean).powi(2);
    let deviation = (pixels.iter().map(square).sum::<f32>() / count).sqrt();
    let mut warnings = Vec::new();
    if deviation < FLAT {
        warnings.push(Warning::Flat);
    }
    if mean < DARK {
        warnings.push(Warning::Dark);
    }
    let shorter = part.width.min(part.height);
    if (shorter as f32) < SMALL {
        warnings.push(Warning::Small { pixels: shorter });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(side: u32, value: impl Fn(usize) -> u8) -> Rgb8 {
        Rgb8 {
            width: side,
            height: side,
            pixels: (0..side as usize * side as usize * 3).map(value).collect(),
        }
    }

    #[test]
    fn poor_photos_are_told_by_their_pixels() {
        assert_eq!(of_pixels(&photo(100, |i| (i * 7919 % 251) as u8)), []);
        assert_eq!(of_pixels(&photo(100, |_| 128)), [Warning::Flat]);
        assert_eq!(
            of_pixels(&photo(100, |i| (i * 31 % 60) as u8)),
            [Warning::Dark]
        );
        let small = of_pixels(&photo(20, |i| (i * 7919 % 251) as u8));
        assert_eq!(small, [Warning::Small { pixels: 20 }]);
    }
}
