//! Several of one thing: a box that spans two is parted, and other windows that are about as like it get a box of their own.
//!
//! The mean of features over two of a thing is that over one, so windows cannot count. Crops can: a thing is more like its reference
//! than a part of it is, and than two of it in one crop.

use super::feature_box::{Contrast, Place};
use super::feature_encoder::FeatureEncoder;
use super::feature_place::{Shown, contrasts, place};
use super::feature_sighting::{Sighting, overlap, weigh};
use super::look::Look;
use super::reference_features::crop;
use super::similarity_scale::SimilarityScale;
use crate::Result;
use crate::host::Host;

/// How much less like the thing than its best window another one may be, and its crop than that of the first.
const ALIKE: f32 = 0.12;
/// Windows that share more than this of the smaller one see one thing.
const ONE_WINDOW: f32 = 0.25;
/// Most places of one thing beside the first.
const MOST: usize = 4;
/// A valley between two things is at most this high, as a share of the lower of them.
const VALLEY: f64 = 0.6;
/// Least side of a part of a box, half cells.
const LEAST: usize = 3;

/// What looks closer at things that were found.
pub(super) struct Instances<'a, 'p> {
    /// The encoder, and how its similarities are brought to those of the constants here.
    pub(super) encoder: (&'a FeatureEncoder, Option<SimilarityScale>),
    pub(super) photo: Shown<'p>,
    pub(super) looks: &'a [Look],
    pub(super) host: &'a dyn Host,
}

impl Instances<'_, '_> {
    /// Adds a sighting for every other place of what was found; `least` is the sum of score and margin from which on it was.
    ///
    /// # Errors
    /// When the photo cannot be had, the device fails or the caller cancels.
    pub(super) async fn add(&self, found: &mut Vec<Sighting>, least: f32) -> Result<()> {
        let known = found.len();
        for at in 0..known {
            if found[at].sum() < least {
                continue;
            }
            if let Some(second) = self.parted(&mut found[at]).await? {
                found.push(second);
            }
            let more = self.elsewhere(&found[at]).await?;
            found.extend(more);
        }
        if found.len() > known {
            weigh(found);
        }
        Ok(())
    }

    /// Parts a box that spans two things: the sighting keeps one, the other is returned.
    async fn parted(&self, sighting: &mut Sighting) -> Result<Option<Sighting>> {
        let look = &self.looks[sighting.look];
        let (coarse, _) = contrasts(look, &sighting.features);
        let Some([first, second]) = valley(&coarse, sighting.box_) else {
            return Ok(None);
        };
        let boxes = [(first, second), (second, first)]
            .map(|(own, other)| place(look, own, &[other], &sighting.features));
        let whole = self.likeness(sighting, sighting.box_).await?;
        let mut parts = [(0.0, boxes[0]), (0.0, boxes[1])];
        for part in &mut parts {
            part.0 = self.likeness(sighting, part.1).await?;
        }
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let [(better, first), (other, second)] = parts;
        if other <= whole || better - other > ALIKE {
            return Ok(None);
        }
        sighting.box_ = first;
        Ok(Some(another(sighting, sighting.score, second)))
    }

    /// What was seen elsewhere, if its crop is about as like the thing.
    async fn elsewhere(&self, sighting: &Sighting) -> Result<Vec<Sighting>> {
        let look = &self.looks[sighting.look];
        let mut more: Vec<Sighting> = Vec::new();
        if sighting.elsewhere.is_empty() {
            return Ok(more);
        }
        let own = self.likeness(sighting, sighting.box_).await?;
        for &(score, window) in &sighting.elsewhere {
            let window = look.half_cells(window);
            let box_ = place(
                look,
                window,
                &[look.half_cells(sighting.window)],
                &sighting.features,
            );
            let taken = more.iter().map(|other| &other.box_).chain([&sighting.box_]);
            if taken
                .into_iter()
                .any(|other| overlap(other, &box_) > ONE_WINDOW)
            {
                continue;
            }
            let whole = self.likeness(sighting, union(sighting.box_, box_)).await?;
            let other = self.likeness(sighting, box_).await?;
            if other > own - ALIKE && other.min(own) > whole {
                more.push(another(sighting, f32::midpoint(score, other), box_));
            }
        }
        Ok(more)
    }

    /// How like the thing a crop is.
    async fn likeness(&self, sighting: &Sighting, box_: [f32; 4]) -> Result<f32> {
        let (encoder, scale) = self.encoder;
        let seen = crop(encoder, (self.photo)()?, box_, false, self.host).await?;
        let pairs = sighting.features.crop.iter().zip(&seen);
        let likeness: f32 = pairs.map(|(a, b)| a * b).sum();
        Ok(scale.map_or(likeness, |scale| scale.of(likeness)))
    }
}

fn another(sighting: &Sighting, score: f32, box_: [f32; 4]) -> Sighting {
    Sighting {
        score,
        box_,
        elsewhere: Vec::new(),
        ..sighting.clone()
    }
}

/// The smallest box around two.
fn union(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}

/// Windows beside the best one, which is `first`, that are about as like the thing: similarity and number, best first.
pub(super) fn elsewhere(scores: &[f32], first: usize, windows: &[[f32; 4]]) -> Vec<(f32, usize)> {
    let least = scores[first] - ALIKE;
    let mut alike: Vec<(f32, usize)> = (scores.iter().copied().zip(0..))
        .filter(|(score, _)| *score >= least)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut kept: Vec<(f32, usize)> = vec![(scores[first], first)];
    for (score, window) in alike {
        let is_apart =
            |(_, other): &(f32, usize)| overlap(&windows[window], &windows[*other]) <= ONE_WINDOW;
        if kept.len() <= MOST && kept.iter().all(is_apart) {
            kept.push((score, window));
        }
    }
    kept.split_off(1)
}

/// The parts of a box on both sides of the deepest valley of a contrast across or down it, half cells; `None` where there is none.
fn valley(contrast: &Contrast, box_: [f32; 4]) -> Option<[Place; 2]> {
    let (columns, rows) = (contrast.columns, contrast.rows);
    let edge = |share: f32, cells: usize| ((share * cells as f32).round() as usize).min(cells);
    let [left, right] = [edge(box_[0], columns), edge(box_[2], columns)];
    let [top, bottom] = [edge(box_[1], rows), edge(box_[3], rows)];
    if right <= left || bottom <= top {
        return None;
    }
    let value = |row: usize, column: usize| f64::from(contrast.values[row * columns + column]);
    let across: Vec<f64> = (left..right)
        .map(|column| {
            (top..bottom).map(|row| value(row, column)).sum::<f64>() / (bottom - top) as f64
        })
        .collect();
    let down: Vec<f64> = (top..bottom)
        .map(|row| {
            (left..right).map(|column| value(row, column)).sum::<f64>() / (right - left) as f64
        })
        .collect();
    let floor = contrast
        .values
        .iter()
        .copied()
        .fold(f32::INFINITY, f32::min);
    let deepest = |profile: &[f64]| deepest(profile, f64::from(floor));
    let (x, y) = (deepest(&across), deepest(&down));
    let [left, top, right, bottom] = [left, top, right, bottom].map(|edge| edge as f64);
    match (x, y) {
        (Some((at, depth)), other) if other.is_none_or(|(_, other)| depth <= other) => {
            let x = left + at as f64;
            Some([[left, top, x, bottom], [x, top, right, bottom]])
        }
        (_, Some((at, _))) => {
            let y = top + at as f64;
            Some([[left, top, right, y], [left, y, right, bottom]])
        }
        _ => None,
    }
}

/// Where a profile is lowest between two peaks, and how low as a share of the lower peak, both above `floor`.
fn deepest(profile: &[f64], floor: f64) -> Option<(usize, f64)> {
    let peak = |part: &[f64]| part.iter().copied().fold(f64::MIN, f64::max) - floor;
    let mut best: Option<(usize, f64)> = None;
    for at in LEAST..profile.len().saturating_sub(LEAST) {
        let lower = peak(&profile[..at]).min(peak(&profile[at + 1..]));
        let depth = (profile[at] - floor) / lower.max(1e-6);
        if depth < VALLEY && best.is_none_or(|(_, known)| depth < known) {
            best = Some((at, depth));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_one_thing_are_one_place() {
        let window = |left: f32| [left, 0.2, left + 0.3, 0.6];
        let windows = [
            window(0.0),
            window(0.05),
            window(0.5),
            window(0.6),
            window(0.25),
        ];
        let found = elsewhere(&[0.9, 0.88, 0.8, 0.85, 0.7], 0, &windows);
        // The second sees what the first sees, the third what the fourth sees, the last is too unlike.
        assert_eq!(found, [(0.85, 3)]);
        assert_eq!(elsewhere(&[0.9, f32::NAN], 0, &windows[..2]), []);
    }

    #[test]
    fn a_box_is_parted_in_a_valley_and_nowhere_else() {
        let map = |inside: &dyn Fn(usize, usize) -> bool| Contrast {
            rows: 12,
            columns: 20,
            values: (0..240)
                .map(|at| if inside(at / 20, at % 20) { 0.5 } else { -0.2 })
                .collect(),
        };
        let whole = [0.0, 0.0, 1.0, 1.0];
        let two = map(&|row, column| (2..10).contains(&row) && !(9..11).contains(&column));
        let [first, second] = valley(&two, whole).expect("there is a gap");
        assert!((9.0..=11.0).contains(&first[2]) && second[0] == first[2]);
        let above = map(&|row, _| row != 6);
        let [first, second] = valley(&above, whole).expect("there is a gap");
        assert_eq!((first[3], second[1]), (6.0, 6.0));
        let one = map(&|row, column| (2..10).contains(&row) && (4..16).contains(&column));
        assert_eq!(valley(&one, [0.2, 0.2, 0.8, 0.8]), None);
        assert_eq!(valley(&one, [0.5, 0.5, 0.5, 0.5]), None);
    }
}
