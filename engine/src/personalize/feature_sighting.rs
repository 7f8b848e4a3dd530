//! A thing that may be in a photo, and how far it is ahead of its rivals for the place.

use super::reference_features::ReferenceFeatures;

/// A thing nobody knows is taken to be this similar: the rival of what has no other.
const STRANGER: f32 = 0.55;
/// Most that a rival changes a score, either way.
const MOST_MARGIN: f32 = 0.15;
/// Boxes that share more than this of the smaller one are of one thing.
pub(super) const SAME_PLACE: f32 = 0.5;

/// A thing that may be there. One of which there are several has a sighting a place.
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
    pub(super) features: ReferenceFeatures,
    /// Number of the look it was seen in.
    pub(super) look: usize,
    /// The window it was seen in.
    pub(super) window: usize,
    /// Other windows that are about as like it, none of which touches the first one much: similarity and number.
    pub(super) elsewhere: Vec<(f32, usize)>,
}

impl Sighting {
    /// What sightings are ranked by.
    pub(super) fn sum(&self) -> f32 {
        self.score + self.margin
    }
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
            look: 0,
            window: 0,
            elsewhere: Vec::new(),
        }
    }
}

/// Sets the margins: how far each is ahead of its best rival, a stranger if there is no other.
pub(super) fn weigh(found: &mut [Sighting]) {
    let margins: Vec<f32> = found
        .iter()
        .map(|own| {
            let rivals = found.iter().filter(|rival| {
                rival.concept != own.concept && overlap(&own.box_, &rival.box_) > SAME_PLACE
            });
            let best = rivals.map(|rival| rival.score).fold(STRANGER, f32::max);
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
