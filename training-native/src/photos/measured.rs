//! What was measured: scores of things in photos, the figures made of them, and the calibration fitted to them.

use std::collections::BTreeMap;

use namelens_engine::concepts::regions::iou;
use namelens_engine::personalize::calibration::{Calibration, Lone};
use namelens_engine::personalize::retriever::Sighting;
use namelens_engine::personalize::similarity_scale::SimilarityScale;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::figures::{self, Judged};
use crate::metrics::bootstrap;
use crate::metrics::rates::Estimate;

/// Seed of intervals.
const SEED: u64 = 1;

/// What was measured of one thing in one photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Number of the thing.
    pub thing: usize,
    /// How many things were known.
    pub library: usize,
    /// Whether it is there.
    pub there: bool,
    /// See [`Sighting`].
    pub score: f32,
    /// See [`Sighting`].
    pub margin: f32,
    /// Overlap of its box with the true one, where it is there and somebody drew one.
    pub overlap: Option<f32>,
}

/// All that was measured under one condition.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Of photos with one thing: the number of that thing, and whether it came first.
    pub first: Vec<(usize, bool)>,
    /// Photos searched.
    pub photos: usize,
    /// Every thing in every photo.
    pub pairs: Vec<Pair>,
}

/// Figures of one condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was done.
    pub row: String,
    /// Photos searched.
    pub photos: usize,
    /// Share whose thing came first, where photos have one thing.
    pub top1: Option<f64>,
    /// Its 95 % interval, by drawing things: photos of one thing, and searches with other references, are right or wrong together.
    pub top1_interval: Option<[f64; 2]>,
    /// Area under the ROC curve of confidences.
    pub auc: f64,
    /// Found where 1 in 100 of what is not there is found, too.
    pub found_at_1_percent: f64,
    /// Found where 1 in 100 of what is not in single photos is found, too.
    pub found_at_single_threshold: f64,
    /// Found from the confidence on that gives precision .95.
    pub recall_at_precision_95: f64,
    /// Boxes that overlap by half, and their mean overlap, where somebody drew boxes.
    pub iou_half: Option<f64>,
    /// See above.
    pub iou_mean: Option<f64>,
    /// Expected calibration error.
    pub calibration_error: f64,
}

impl Measured {
    /// The medians of the similarities, if things are more like themselves than like others.
    pub fn scale(&self) -> Option<SimilarityScale> {
        let of = |there: bool| -> Vec<f32> {
            let pairs = self.pairs.iter().filter(|pair| pair.there == there);
            pairs.map(|pair| pair.score).collect()
        };
        SimilarityScale::measured(&of(false), &of(true))
    }

    /// The share whose thing came first with its 95 % interval over things, where photos have one thing.
    pub(super) fn top1(&self) -> Option<Estimate> {
        let mut by_thing: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for &(thing, is_first) in &self.first {
            let (right, asked) = by_thing.entry(thing).or_default();
            *right += usize::from(is_first);
            *asked += 1;
        }
        let items: Vec<(usize, usize)> = by_thing.into_values().collect();
        (!items.is_empty()).then(|| bootstrap::rate(&items, SEED))
    }

    /// Adds one photo: what was seen in it of a library of so many things, what is there and where, and a thing that counts as neither
    /// there nor absent.
    pub(super) fn add(
        &mut self,
        (library, seen): (usize, &[Sighting]),
        truth: &[(usize, Option<[f32; 4]>)],
        ignored: Option<usize>,
    ) {
        self.photos += 1;
        for (at, sighting) in seen.iter().enumerate() {
            // Of a thing that seems to be there several times, the best.
            if seen[..at]
                .iter()
                .any(|better| better.concept == sighting.concept)
            {
                continue;
            }
            // Ids are the numbers of the things.
            let Ok(thing) = sighting.concept.parse::<usize>() else {
                continue;
            };
            if ignored == Some(thing) {
                continue;
            }
            let own = truth.iter().find(|(there, _)| *there == thing);
            let box_ = own.and_then(|(_, box_)| *box_);
            self.pairs.push(Pair {
                thing,
                library,
                there: own.is_some(),
                score: sighting.score,
                margin: sighting.margin,
                overlap: box_.map(|box_| iou(&sighting.box_, &box_)),
            });
        }
    }
}

impl Pair {
    /// How sure a calibration makes it.
    pub fn confidence(&self, calibration: &Calibration) -> f32 {
        calibration.confidence(self.score, self.margin, self.library)
    }
}

/// The calibration fitted to what was measured with a library of all things and with lone ones; sizes between test it. Where nothing was
/// measured of lone things, they are like the others.
pub fn calibrated(pairs: &[Pair]) -> Calibration {
    let all = pairs.iter().map(|pair| pair.library).max().unwrap_or(0);
    let of_size = |size: usize| pairs.iter().filter(move |pair| pair.library == size);
    let of_many: Vec<([f64; 3], bool)> = of_size(all)
        .map(|pair| {
            (
                [f64::from(pair.score), f64::from(pair.margin), 1.0],
                pair.there,
            )
        })
        .collect();
    let of_lone: Vec<([f64; 2], bool)> = of_size(1)
        .map(|pair| ([f64::from(pair.score), 1.0], pair.there))
        .collect();
    let [score, margin, bias] = figures::fit_logistic(&of_many).map(|v| v as f32);
    let [lone_score, lone_bias] = match of_lone.as_slice() {
        [] => [score, bias],
        _ => figures::fit_logistic(&of_lone).map(|v| v as f32),
    };
    Calibration {
        score,
        margin,
        bias,
        lone: Lone {
            score: lone_score,
            bias: lone_bias,
        },
    }
}

/// Mean expected calibration error when half of the things calibrate for the other half, over `draws` halves.
pub fn error_on_others(measured: &Measured, things: usize, draws: u64, seed: u64) -> f64 {
    let mut total = 0.0;
    for draw in 0..draws {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ draw);
        let mut order: Vec<usize> = (0..things).collect();
        order.shuffle(&mut random);
        let own = &order[..things.div_ceil(2)];
        let (fit, test): (Vec<Pair>, Vec<Pair>) = measured
            .pairs
            .iter()
            .copied()
            .partition(|pair| own.contains(&pair.thing));
        let calibration = calibrated(&fit);
        let judged: Vec<Judged> = test
            .iter()
            .map(|pair| (pair.confidence(&calibration), pair.there))
            .collect();
        total += figures::calibration_error(&judged);
    }
    total / draws.max(1) as f64
}
