//! Thresholds of retrieval, chosen on the validation split of the Playroom.

use anyhow::{Context, Result};
use namelens_engine::concepts::calibrate::{Calibration, calibrate};
use namelens_engine::host::Still;
use namelens_engine::image::Rgb8;
use namelens_engine::personalize::Engine;
use playroom::{Rgb, SampleOptions, Split};

use crate::metrics::answers::{Boxes, boxes};

/// The calibrated thresholds of windows and of whole photos.
#[derive(Debug, Clone, Copy)]
pub struct Calibrated {
    /// For the best window of a photo.
    pub window: Calibration,
    /// Where things are, by the best window.
    pub regions: Boxes,
    /// For the photo as a whole; the rates are those of the balanced threshold, which may be lower.
    pub whole: Calibration,
}

/// Compares concepts with photos that show them and photos that do not.
///
/// # Errors
/// When the model has no retriever, or a photo cannot be processed.
pub fn thresholds(engine: &Engine, photos: u64, seed: u64) -> Result<Calibrated> {
    let retriever = engine.retriever().context("the model has no retriever")?;
    let (mut there, mut absent) = (Scores::default(), Scores::default());
    let mut places = Vec::new();
    for index in 0..photos {
        let options = SampleOptions {
            split: Split::Val,
            present: 1..=4,
            noise: 2..=3,
            alone: false,
            strangers: 0,
            turns: 1,
            lookalike_rate: 0.15,
            side: 192,
            difficulty: 0.8,
        };
        let sample = playroom::sample(seed.wrapping_mul(0x9e37_79b9) ^ index, &options);
        let mut located = Vec::new();
        let scan = pollster::block_on(retriever.scan(&rgb8(&sample.photo)?, &Still))?;
        for (position, concept) in sample.concepts.iter().enumerate() {
            let embedded = pollster::block_on(retriever.embed_reference(
                &rgb8(&concept.image)?,
                None,
                &Still,
            ))?;
            // A dual encoder is alone, and makes one embedding.
            let reference: Vec<f32> = embedded
                .into_iter()
                .flat_map(|one| one.embeddings)
                .flatten()
                .collect();
            let best = scan.best_region(&reference).context("a scan has regions")?;
            let thing = sample.things.iter().find(|t| t.concept == Some(position));
            let scores = match thing {
                Some(thing) => {
                    located.push((Some(best.box_), thing.box_px));
                    &mut there
                }
                None => &mut absent,
            };
            scores.window.push(best.score);
            scores.whole.push(scan.whole_similarity(&reference));
        }
        places.push(located);
    }
    let mut whole = calibrate(&there.whole, &absent.whole)?;
    whole.threshold = whole.threshold.max(upper_tail(&mut absent.whole));
    Ok(Calibrated {
        window: calibrate(&there.window, &absent.window)?,
        regions: boxes(&places, seed),
        whole,
    })
}

/// What 98 % of the scores stay below. The whole photo is only asked when no window passed, so it
/// must be all but certain.
fn upper_tail(scores: &mut [f32]) -> f32 {
    scores.sort_by(f32::total_cmp);
    let at = (scores.len() * 98).div_ceil(100).max(1) - 1;
    scores.get(at).copied().unwrap_or(1.0)
}

#[derive(Default)]
struct Scores {
    window: Vec<f32>,
    whole: Vec<f32>,
}

/// A Playroom picture as the engine's photo.
///
/// # Errors
/// Never for pictures the Playroom drew.
pub fn rgb8(picture: &Rgb) -> Result<Rgb8> {
    Ok(Rgb8::new(
        picture.size,
        picture.size,
        picture.pixels.clone(),
    )?)
}
