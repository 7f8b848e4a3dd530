//! A second opinion: the places where something may be, cropped and compared as crops.
//!
//! A window of a map sees its surroundings too, and a small thing in few cells; a crop of its box shows nothing else.

use super::feature_encoder::FeatureEncoder;
use super::feature_place::Shown;
use super::feature_sighting::{SAME_PLACE, Sighting, overlap, weigh};
use super::reference_features::crop;
use super::similarity_scale::SimilarityScale;
use crate::Result;
use crate::concepts::regions::iou;
use crate::host::Host;

/// Most places that are cropped after a closer look.
const MOST: usize = 3;
/// Sums of score and margin below this are not worth a crop.
const LEAST: f32 = 0.3;
/// Boxes that overlap by this much are cropped once.
const ONE_CROP: f32 = 0.6;
/// Rivals this close to each other are told apart by a crop, without a closer look too.
const TIE: f32 = 0.03;

/// Weighs in crops of the likeliest places: `closely` after a closer look, where a few are looked at; else only the best place, if
/// two claim it and are about as similar.
///
/// # Errors
/// When the photo cannot be had, the device fails or the caller cancels.
pub(super) async fn confirm(
    (encoder, scale): (&FeatureEncoder, Option<SimilarityScale>),
    photo: Shown<'_>,
    found: &mut [Sighting],
    closely: bool,
    host: &dyn Host,
) -> Result<()> {
    found.sort_by(|a, b| b.sum().total_cmp(&a.sum()));
    let places = match closely {
        true => likeliest(found),
        false => tied(found).into_iter().collect(),
    };
    if places.is_empty() {
        return Ok(());
    }
    let mut seen = vec![false; found.len()];
    for place in places {
        let shown = crop(encoder, photo()?, place, false, host).await?;
        for (sighting, seen) in found.iter_mut().zip(&mut seen) {
            if *seen || !claims(sighting, &place, closely) {
                continue;
            }
            let own = sighting.features.crop.iter().zip(&shown);
            let own: f32 = own.map(|(a, b)| a * b).sum();
            let own = scale.map_or(own, |scale| scale.of(own));
            sighting.score = (sighting.score + own) / 2.0;
            *seen = true;
        }
    }
    weigh(found);
    Ok(())
}

/// Whether a crop of `place` is one of this sighting. In a tie the boxes of look-alikes may differ more than one thing would.
fn claims(sighting: &Sighting, place: &[f32; 4], closely: bool) -> bool {
    match closely {
        true => iou(&sighting.box_, place) >= ONE_CROP,
        false => overlap(&sighting.box_, place) > SAME_PLACE,
    }
}

/// The boxes of the best sightings, those of one place once.
fn likeliest(found: &[Sighting]) -> Vec<[f32; 4]> {
    let mut places: Vec<[f32; 4]> = Vec::new();
    for sighting in found.iter().filter(|sighting| sighting.sum() > LEAST) {
        let is_new = places
            .iter()
            .all(|place| iou(place, &sighting.box_) < ONE_CROP);
        if is_new && places.len() < MOST {
            places.push(sighting.box_);
        }
    }
    places
}

/// The box of the best sighting, if another one claims its place and is about as similar.
fn tied(found: &[Sighting]) -> Option<[f32; 4]> {
    let first = found.first()?;
    let close = found.iter().filter(|sighting| {
        first.score - sighting.score < TIE && overlap(&first.box_, &sighting.box_) > SAME_PLACE
    });
    (close.count() > 1).then_some(first.box_)
}
