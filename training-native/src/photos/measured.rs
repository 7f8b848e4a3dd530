//! What was measured: scores of things in photos, the figures made of them, and the calibration fitted to them.

use namelens_engine::concepts::regions::iou;
use namelens_engine::personalize::calibration::{Calibration, Weights};
use namelens_engine::personalize::retriever::Sighting;
use namelens_engine::personalize::similarity_scale::SimilarityScale;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::figures::{self, Judged};

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
    /// Of photos with one thing: whether that one came first.
    pub first: Vec<bool>,
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
    /// Area under the ROC curve of confidences.
    pub auc: f64,
    /// Found where 1 in 100 of what is not there is found, too.
    pub found_at_1_percent: f64,
    /// Found where 1 in 100 of what is not in single photos is found, too.
    pub found_at_single_threshold: f64,
    /// Found from the confidence on that gives precision .95.
    pub recall_at_precision_95: f64,
    /// Boxes that overlap by half, and their mean overlap.
    pub iou_half: f64,
    /// See above.
    pub iou_mean: f64,
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

/// The calibration fitted to what was measured with libraries of several sizes.
pub fn calibrated(pairs: &[Pair]) -> Calibration {
    let samples: Vec<([f64; 6], bool)> = pairs
        .iter()
        .map(|pair| {
            let (score, margin) = (f64::from(pair.score), f64::from(pair.margin));
            let share = 1.0 / pair.library.max(1) as f64;
            let of_lone = [score * share, margin * share, share];
            let [a, b, c] = of_lone;
            ([score, margin, 1.0, a, b, c], pair.there)
        })
        .collect();
    let [score, margin, bias, more_score, more_margin, more_bias] =
        figures::fit_logistic(&samples).map(|v| v as f32);
    Calibration {
        many: Weights {
            score,
            margin,
            bias,
        },
        lone: Weights {
            score: score + more_score,
            margin: margin + more_margin,
            bias: bias + more_bias,
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
