//! Looking for known things in a photo by feature maps: windows against templates, rivals weighed, boxes found, a closer look
//! where the first one is unsure.

use burn::tensor::{Device, Tensor};

use super::feature_box::{self, Contrast};
use super::feature_encoder::FeatureEncoder;
use super::feature_map::{Map, cells};
use super::likeness::{Comparer, Likeness};
use super::look::{Distance, Look};
use super::look_store;
use super::reference_features::{ReferenceFeatures, crop};
use super::similarity_scale::SimilarityScale;
use crate::Result;
use crate::concepts::{FlatIndex, Library};
use crate::host::{Host, breathe};
use crate::image::Rgb8;

/// A photo that is decoded when somebody looks at it.
pub(super) type Shown<'p> = &'p dyn Fn() -> Result<&'p Rgb8>;

/// Least similarity of what is looked at at all.
const CONSIDERED: f32 = 0.5;
/// Most things whose boxes are looked for; more are never in one photo.
const MOST: usize = 48;
/// A thing nobody knows is taken to be this similar: the rival of what has no other.
const STRANGER: f32 = 0.55;
/// Most that a rival changes a score, either way.
const MOST_MARGIN: f32 = 0.15;
/// Boxes that share more than this of the smaller one are of one thing.
pub(super) const SAME_PLACE: f32 = 0.5;
/// Below this sum of score and margin nothing is found for sure, and the photo is looked at more closely; from the other one on a
/// thing may be there.
const SURE: f32 = 0.75;
const UNSURE: f32 = 0.55;
/// Rivals this close to each other are told apart by a crop.
const TIE: f32 = 0.03;

/// A thing that may be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Id of the concept.
    pub concept: String,
    /// Similarity of its best window.
    pub score: f32,
    /// How far it is ahead of the best rival for its place.
    pub margin: f32,
    /// Where it is, if it is there.
    pub box_: [f32; 4],
    /// How sure the encoder is that it is there, by its calibration; `None` where it has none.
    pub confidence: Option<f32>,
    features: ReferenceFeatures,
}

#[cfg(test)]
impl Sighting {
    /// One that nothing but its concept, confidence and place is known of.
    pub(super) fn of(concept: &str, confidence: f32, box_: [f32; 4]) -> Self {
        let none = Vec::new;
        Self {
            concept: concept.into(),
            score: confidence,
            margin: 0.0,
            box_,
            confidence: Some(confidence),
            features: ReferenceFeatures {
                large: none(),
                small: none(),
                crop: none(),
                inside: none(),
                outside: none(),
                fine_inside: none(),
                fine_outside: none(),
            },
        }
    }
}

/// What searches photos by feature maps.
#[derive(Debug)]
pub(super) struct FeatureSearch<'a> {
    pub(super) encoder: &'a FeatureEncoder,
    pub(super) comparer: &'a Comparer,
    /// How its similarities are brought to those of the constants here; as they are where it is absent.
    pub(super) scale: Option<SimilarityScale>,
    /// Whether every photo is looked at more closely.
    pub(super) thorough: bool,
}

impl FeatureSearch<'_> {
    /// A look at a photo; one that is `kept` is made of the bytes it is kept as.
    ///
    /// # Errors
    /// When the photo cannot be resized, the device fails or the caller cancels.
    pub(super) async fn look(
        &self,
        photo: &Rgb8,
        distance: Distance,
        kept: bool,
        host: &dyn Host,
    ) -> Result<Look> {
        let encoder = self.encoder;
        let size = encoder.size(photo, distance.area());
        let maps = encoder.maps(photo, size, host).await?;
        breathe(host).await?;
        let fine = cells(&maps.fine);
        Ok(match kept {
            true => look_store::kept(&maps.coarse, &fine, distance, encoder.device()),
            false => Look::of(&maps.coarse, fine, distance, encoder.device()),
        })
    }

    /// The things of a library, by one of its indexes, that may be in a photo, best first; of `wanted` rows of the index (ascending) whatever they score.
    /// `looks` has the first look, and keeps the closer one. `photo` is asked for only where it is looked at again.
    ///
    /// # Errors
    /// When the photo cannot be had, the device fails or the caller cancels.
    pub(super) async fn search(
        &self,
        photo: Shown<'_>,
        looks: &mut Vec<Look>,
        things: (&Library, &FlatIndex),
        wanted: &[usize],
        host: &dyn Host,
    ) -> Result<Vec<Sighting>> {
        let mut found = match looks.first() {
            Some(look) => self.sightings(look, things, wanted).await?,
            None => return Ok(Vec::new()),
        };
        weigh(&mut found);
        if self.thorough || needs_closer_look(&found) {
            if looks.len() == 1 {
                let kept = !looks[0].packed.is_empty();
                looks.push(self.look(photo()?, Distance::Near, kept, host).await?);
            }
            for closer in self.sightings(&looks[1], things, wanted).await? {
                match found
                    .iter_mut()
                    .find(|known| known.concept == closer.concept)
                {
                    Some(known) if known.score >= closer.score => {}
                    Some(known) => *known = closer,
                    None => found.push(closer),
                }
            }
            weigh(&mut found);
        }
        self.break_tie(photo, &mut found, host).await?;
        found.sort_by(|a, b| (b.score + b.margin).total_cmp(&(a.score + a.margin)));
        Ok(found)
    }

    /// What one look shows, with boxes.
    async fn sightings(
        &self,
        look: &Look,
        (library, index): (&Library, &FlatIndex),
        wanted: &[usize],
    ) -> Result<Vec<Sighting>> {
        let score = |rows| match self.scale {
            Some(scale) => scale.of_all(look.scores(rows)),
            None => look.scores(rows),
        };
        let device = look.device();
        let queries: (&dyn Fn(Tensor<2>) -> Tensor<2>, usize, &Device) =
            (&score, look.count(), &device);
        let likeness = self
            .comparer
            .compare(queries, index, CONSIDERED, wanted)
            .await?;
        let mut best: Vec<(f32, bool, usize, usize)> = Vec::new();
        for concept in library.list() {
            let rows = index.rows_of(&concept.id);
            let asked = wanted.iter().any(|row| rows.contains(row));
            let seen = best_window(&likeness, rows);
            if let Some((score, row, window)) = seen.filter(|seen| asked || seen.0 >= CONSIDERED) {
                best.push((score, asked, row, window));
            }
        }
        best.sort_by(|a, b| b.1.cmp(&a.1).then(b.0.total_cmp(&a.0)));
        let asked = best.iter().filter(|seen| seen.1).count();
        best.truncate(MOST.max(asked));
        let fine = look.fine.channels;
        Ok(best
            .into_iter()
            .filter_map(|(score, _, row, window)| {
                let row = &index.rows()[row];
                let reference = library.get(&row.concept)?.references.get(row.reference)?;
                let packed = reference.embeddings_of(index.encoder())?;
                let features = ReferenceFeatures::unpack(packed, fine)?;
                Some(Sighting {
                    concept: row.concept.clone(),
                    score,
                    margin: 0.0,
                    box_: place(look, window, &features),
                    confidence: None,
                    features,
                })
            })
            .collect())
    }

    /// Tells look-alikes apart that claim one place and are about as similar: by a crop of the place.
    async fn break_tie(
        &self,
        photo: Shown<'_>,
        found: &mut [Sighting],
        host: &dyn Host,
    ) -> Result<()> {
        let sum = |sighting: &Sighting| sighting.score + sighting.margin;
        let Some(first) = found.iter().max_by(|a, b| sum(a).total_cmp(&sum(b))) else {
            return Ok(());
        };
        let (top, box_) = (first.score, first.box_);
        let close = |sighting: &Sighting, by: f32| {
            top - sighting.score < by && overlap(&box_, &sighting.box_) > SAME_PLACE
        };
        if found.iter().filter(|sighting| close(sighting, TIE)).count() < 2 {
            return Ok(());
        }
        let seen = crop(self.encoder, photo()?, box_, false, host).await?;
        for sighting in found
            .iter_mut()
            .filter(|sighting| close(sighting, 2.0 * TIE))
        {
            let own = sighting.features.crop.iter().zip(&seen).map(|(a, b)| a * b);
            let own = own.sum::<f32>();
            let own = self.scale.map_or(own, |scale| scale.of(own));
            sighting.score = (sighting.score + own) / 2.0;
        }
        weigh(found);
        Ok(())
    }
}

/// Whether nothing is there for sure, or something may be.
fn needs_closer_look(found: &[Sighting]) -> bool {
    let sums = || {
        found
            .iter()
            .map(|sighting| sighting.score + sighting.margin)
    };
    sums().all(|sum| sum < SURE) || sums().any(|sum| sum > UNSURE && sum < SURE)
}

/// The highest similarity of these rows to a window: similarity, row, window.
fn best_window(likeness: &Likeness, rows: std::ops::Range<usize>) -> Option<(f32, usize, usize)> {
    let mut best: Option<(f32, usize, usize)> = None;
    for (row, scores) in likeness.rows(rows) {
        // The last one is the photo as a whole.
        let windows = &scores[..scores.len().saturating_sub(1)];
        for (window, &score) in windows.iter().enumerate() {
            if best.is_none_or(|(known, ..)| score > known) {
                best = Some((score, row, window));
            }
        }
    }
    best
}

/// The box of a thing seen in a window.
fn place(look: &Look, window: usize, features: &ReferenceFeatures) -> [f32; 4] {
    let contrast = |map: &Map, inside: &[f32], outside: &[f32]| -> Vec<f32> {
        let difference: Vec<f32> = inside.iter().zip(outside).map(|(a, b)| a - b).collect();
        let cells = map.values.chunks_exact(map.channels.max(1));
        cells
            .map(|cell| cell.iter().zip(&difference).map(|(a, b)| a * b).sum())
            .collect()
    };
    let coarse = contrast(&look.coarse, &features.inside, &features.outside);
    let coarse = Contrast::doubled(look.coarse.rows, look.coarse.columns, &coarse);
    let fine = Contrast {
        rows: look.fine.rows,
        columns: look.fine.columns,
        values: contrast(&look.fine, &features.fine_inside, &features.fine_outside),
    };
    let window = look.cells[window].map(|edge| 2.0 * edge as f64);
    let [left, top, right, bottom] = feature_box::find(&coarse, Some(&fine), window);
    let (columns, rows) = (coarse.columns as f64, coarse.rows as f64);
    [left / columns, top / rows, right / columns, bottom / rows].map(|edge| edge as f32)
}

/// Sets the margins: how far each is ahead of its best rival, a stranger if there is no other.
fn weigh(found: &mut [Sighting]) {
    let margins: Vec<f32> = found
        .iter()
        .enumerate()
        .map(|(at, own)| {
            let rivals = found.iter().enumerate().filter(|(other, rival)| {
                *other != at && overlap(&own.box_, &rival.box_) > SAME_PLACE
            });
            let best = rivals
                .map(|(_, rival)| rival.score)
                .fold(STRANGER, f32::max);
            (own.score - best).clamp(-MOST_MARGIN, MOST_MARGIN)
        })
        .collect();
    for (sighting, margin) in found.iter_mut().zip(margins) {
        sighting.margin = margin;
    }
}

/// How much of the smaller box lies in the other one.
pub(super) fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |r: &[f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let shared = [
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ];
    area(&shared) / area(a).min(area(b)).max(1e-9)
}
