//! Looking for known things in a photo by feature maps: windows against templates, rivals weighed, boxes found, a closer look
//! where the first one is unsure.

use burn::tensor::{Device, Tensor};

use super::feature_confirm::confirm;
use super::feature_encoder::FeatureEncoder;
use super::feature_instances::{Instances, elsewhere};
use super::feature_map::cells;
use super::feature_place::{Shown, place};
use super::feature_sighting::{Sighting, weigh};
use super::likeness::{Comparer, Likeness};
use super::look::{Distance, Look};
use super::look_store;
use super::reference_features::ReferenceFeatures;
use super::similarity_scale::SimilarityScale;
use crate::Result;
use crate::concepts::{FlatIndex, Library};
use crate::host::{Host, breathe};
use crate::image::Rgb8;

/// Least similarity of what is looked at at all.
const CONSIDERED: f32 = 0.5;
/// Most things whose boxes are looked for; more are never in one photo.
const MOST: usize = 48;
/// Below this sum of score and margin nothing is found for sure, and the photo is looked at more closely; from the other one on a
/// thing may be there. What may be small is given the benefit of the doubt: windows of few cells see much that is beside it.
const SURE: f32 = 0.75;
const UNSURE: f32 = 0.55;
const UNSURE_IF_SMALL: f32 = 0.3;
/// Windows of fewer cells a side show what may be small.
const SMALL: f64 = 6.1;

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
            Some(look) => self.sightings((0, look), things, wanted).await?,
            None => return Ok(Vec::new()),
        };
        weigh(&mut found);
        let closely = self.thorough || needs_closer_look(&found, &looks[0]);
        if closely {
            if looks.len() == 1 {
                let kept = !looks[0].packed.is_empty();
                looks.push(self.look(photo()?, Distance::Near, kept, host).await?);
            }
            for closer in self.sightings((1, &looks[1]), things, wanted).await? {
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
        let encoder = (self.encoder, self.scale);
        confirm(encoder, photo, &mut found, closely, host).await?;
        let instances = Instances {
            encoder,
            photo,
            looks,
            host,
        };
        instances.add(&mut found, SURE).await?;
        found.sort_by(|a, b| b.sum().total_cmp(&a.sum()));
        Ok(found)
    }

    /// What one look shows, with boxes.
    async fn sightings(
        &self,
        (number, look): (usize, &Look),
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
                let scores = likeness.best_of(index.rows_of(&row.concept))?;
                Some(Sighting {
                    concept: row.concept.clone(),
                    score,
                    margin: 0.0,
                    box_: place(look, look.half_cells(window), &[], &features),
                    confidence: None,
                    features,
                    look: number,
                    window,
                    // The last score is that of the photo as a whole.
                    elsewhere: elsewhere(&scores[..scores.len() - 1], window, &look.windows),
                })
            })
            .collect())
    }
}

/// Whether nothing is there for sure, or something may be.
fn needs_closer_look(found: &[Sighting], look: &Look) -> bool {
    let is_small = |sighting: &Sighting| {
        let [left, top, right, bottom] = look.cells[sighting.window];
        (((right - left) * (bottom - top)) as f64).sqrt() < SMALL
    };
    let is_unsure = |sighting: &Sighting| {
        let sum = sighting.sum();
        sum < SURE && (sum > UNSURE || sum > UNSURE_IF_SMALL && is_small(sighting))
    };
    found.iter().all(|sighting| sighting.sum() < SURE) || found.iter().any(is_unsure)
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
