//! Recognition measured on a set: every thing enrolled from some of its photos, all other photos searched.

use anyhow::{Context, Result, bail};
use namelens_engine::concepts::regions::iou;
use namelens_engine::concepts::{Embedded, Library, NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::image::Rgb8;
use namelens_engine::personalize::calibration::Calibration;
use namelens_engine::personalize::retriever::{Retriever, Scan, Sighting};
use namelens_engine::personalize::similarity_scale::SimilarityScale;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::figures::{self, Judged};
use super::set::PhotoSet;
use super::variants::{Variant, collage, pasted};

/// Cosine of two references from which one photo is taken for a copy of the other, by EfficientNet-Lite0.
pub const COPY: f32 = 0.955;
/// Why there is nothing to calibrate.
pub const NOTHING_TOLD: &str = "nothing can be calibrated: by this encoder, things of this set are no more like themselves than like others";
/// What ranks before anything was measured.
const RANKING: Calibration = Calibration {
    score: 1.0,
    margin: 1.0,
    bias: 0.0,
};
/// Side of a cell of a collage, pixels.
const CELL: u32 = 384;

/// What was measured of one thing in one photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Number of the thing.
    pub thing: usize,
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

/// A set, looked at once.
#[derive(Debug)]
pub struct Bench<'a> {
    retriever: &'a mut Retriever,
    set: &'a PhotoSet,
    /// The encoder's own, if it has one, or what [`Self::calibrate`] fitted.
    calibration: Option<Calibration>,
    /// What the encoder keeps of each photo as a reference.
    references: Vec<Vec<Embedded>>,
    scans: Vec<Option<Scan>>,
    /// Pairs of photos that are copies of each other.
    pub copies: Vec<(usize, usize)>,
    /// The confidence that 1 in 100 of what is not in single photos exceeds, once those were measured.
    pub single_threshold: f32,
}

impl<'a> Bench<'a> {
    /// Looks at every photo; `progress` hears of photos done. Photos of one thing whose references have at least the cosine `copy`
    /// are copies of each other.
    ///
    /// # Errors
    /// When the encoder is none of maps, or the device fails.
    pub fn new(
        retriever: &'a mut Retriever,
        set: &'a PhotoSet,
        copy: f32,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        if !retriever.makes_maps() {
            bail!("the model has no encoder for real photos; use models/photos");
        }
        if retriever.count() > 1 {
            bail!("the model has several encoders; measure and calibrate each of them alone");
        }
        let (mut references, mut scans) = (Vec::new(), Vec::new());
        for (at, photo) in set.photos.iter().enumerate() {
            let embedded = retriever.embed_reference(&photo.pixels, Some(photo.box_), &Still);
            references.push(pollster::block_on(embedded)?);
            scans.push(Some(pollster::block_on(
                retriever.scan(&photo.pixels, &Still),
            )?));
            progress(at + 1, set.photos.len());
        }
        let copies = copies(set, &references, copy);
        Ok(Self {
            calibration: retriever.calibration(),
            retriever,
            set,
            references,
            scans,
            copies,
            single_threshold: 1.0,
        })
    }

    /// Whether the encoder came with a calibration, or was given one.
    pub fn is_calibrated(&self) -> bool {
        self.calibration.is_some()
    }

    /// How the encoder's similarities are brought to those the search was built on.
    pub fn scale(&self) -> Option<SimilarityScale> {
        self.retriever.similarity_scale()
    }

    /// Takes the encoder's similarities for such as were measured. What was measured before is not what will be found from now on.
    ///
    /// # Errors
    /// When things are no more like themselves than like others.
    pub fn rescale(&mut self, measured: &Measured) -> Result<()> {
        let scale = measured.scale().context(NOTHING_TOLD)?;
        self.retriever.set_similarity_scale(scale);
        Ok(())
    }

    /// Fits the confidences to what was measured.
    pub fn calibrate(&mut self, measured: &Measured) {
        self.calibration = Some(calibrated(&measured.pairs));
    }

    /// How sure a score and a margin make; without a calibration a number that only ranks.
    pub fn confidence(&self, pair: &Pair) -> f32 {
        let calibration = self.calibration.unwrap_or(RANKING);
        calibration.confidence(pair.score, pair.margin)
    }

    /// References of every thing, drawn at random, as a library; and which photos they are.
    fn enrol(
        &self,
        count: usize,
        variant: Variant,
        random: &mut ChaCha8Rng,
    ) -> Result<(Library, Vec<usize>)> {
        let mut library = Retriever::empty_library(Some(&*self.retriever));
        let mut taken = Vec::new();
        for (thing, name) in self.set.things.iter().enumerate() {
            let photos: Vec<usize> = self.set.of(thing).collect();
            let chosen: Vec<usize> = photos.choose_multiple(random, count).copied().collect();
            let mut references = Vec::new();
            for &photo in &chosen {
                let embedded = self.reference(photo, variant)?;
                references.push(Reference {
                    embedded,
                    ..Reference::new([0u8])
                });
            }
            taken.extend(chosen);
            let new = NewConcept {
                id: Some(thing.to_string()),
                name: name.clone(),
                references,
                ..NewConcept::default()
            };
            library.add(new, 0)?;
        }
        Ok((library, taken))
    }

    fn reference(&self, photo: usize, variant: Variant) -> Result<Vec<Embedded>> {
        if variant == Variant::Plain {
            return Ok(self.references[photo].clone());
        }
        let photo = &self.set.photos[photo];
        let (pixels, box_) = variant.apply(&photo.pixels, photo.box_)?;
        Ok(pollster::block_on(self.retriever.embed_reference(
            &pixels,
            Some(box_),
            &Still,
        ))?)
    }

    /// Single photos: every one that is no reference and no copy of one, `draws` times with other references.
    ///
    /// # Errors
    /// When the device fails.
    pub fn singles(
        &mut self,
        count: usize,
        variant: Variant,
        draws: u64,
        seed: u64,
    ) -> Result<Measured> {
        let mut measured = Measured::default();
        for draw in 0..draws {
            let mut random = ChaCha8Rng::seed_from_u64(seed ^ (draw << 32));
            let (library, taken) = self.enrol(count, variant, &mut random)?;
            for query in 0..self.set.photos.len() {
                let is_copy = |taken: &usize| {
                    self.copies.contains(&(*taken, query)) || self.copies.contains(&(query, *taken))
                };
                if taken.contains(&query) || taken.iter().any(is_copy) {
                    continue;
                }
                let photo = &self.set.photos[query];
                let mut scan = self.scans[query].take();
                let seen = self
                    .retriever
                    .sightings(&photo.pixels, &mut scan, &library, &Still);
                let seen = pollster::block_on(seen)?;
                self.scans[query] = scan;
                let own = photo.thing.to_string();
                measured
                    .first
                    .push(seen.first().is_some_and(|best| best.concept == own));
                let truth = vec![(photo.thing, photo.boxed.then_some(photo.box_))];
                measured.add(&seen, &truth, None);
            }
        }
        Ok(measured)
    }

    /// Collages of `count` things, none of them from a reference.
    ///
    /// # Errors
    /// When a photo cannot be made or the device fails.
    pub fn collages(&self, count: usize, photos: usize, seed: u64) -> Result<Measured> {
        let mut measured = Measured::default();
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xc011a6e);
        for _ in 0..photos {
            let (library, taken) = self.enrol(1, Variant::Plain, &mut random)?;
            let mut things: Vec<usize> = (0..self.set.things.len()).collect();
            things.shuffle(&mut random);
            let chosen: Vec<usize> = things
                .iter()
                .filter_map(|&thing| self.other(thing, &taken, &mut random))
                .take(count)
                .collect();
            let parts: Vec<(&Rgb8, [f32; 4])> = chosen
                .iter()
                .map(|&at| (&self.set.photos[at].pixels, self.set.photos[at].box_))
                .collect();
            let (canvas, boxes) = collage(&parts, CELL)?;
            let mut scan = None;
            let seen = self
                .retriever
                .sightings(&canvas, &mut scan, &library, &Still);
            let seen = pollster::block_on(seen)?;
            let truth: Vec<(usize, Option<[f32; 4]>)> = chosen
                .iter()
                .zip(boxes)
                .map(|(&at, box_)| (self.set.photos[at].thing, Some(box_)))
                .collect();
            measured.add(&seen, &truth, None);
        }
        Ok(measured)
    }

    /// Things pasted at a quarter of the side onto photos of others.
    ///
    /// # Errors
    /// As [`Self::collages`].
    pub fn pastes(&self, photos: usize, seed: u64) -> Result<Measured> {
        let mut measured = Measured::default();
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x9a57e);
        for _ in 0..photos {
            let (library, taken) = self.enrol(1, Variant::Plain, &mut random)?;
            let mut things: Vec<usize> = (0..self.set.things.len()).collect();
            things.shuffle(&mut random);
            let mut chosen = things
                .iter()
                .filter_map(|&thing| self.other(thing, &taken, &mut random));
            let (Some(own), Some(behind)) = (chosen.next(), chosen.next()) else {
                continue;
            };
            drop(chosen);
            let (thing, behind) = (&self.set.photos[own], &self.set.photos[behind]);
            let at = [random.random(), random.random()];
            let (canvas, box_) = pasted(&behind.pixels, &thing.pixels, thing.box_, at)?;
            let mut scan = None;
            let seen = self
                .retriever
                .sightings(&canvas, &mut scan, &library, &Still);
            let seen = pollster::block_on(seen)?;
            // The thing of the background is there as well, unless the paste hides it: it counts as neither.
            measured.add(&seen, &[(thing.thing, Some(box_))], Some(behind.thing));
        }
        Ok(measured)
    }

    /// A photo of a thing that is neither a reference nor a copy of one.
    fn other(&self, thing: usize, taken: &[usize], random: &mut ChaCha8Rng) -> Option<usize> {
        let is_copy = |photo: usize| {
            taken.iter().any(|&taken| {
                self.copies.contains(&(taken, photo)) || self.copies.contains(&(photo, taken))
            })
        };
        let photos: Vec<usize> = self.set.of(thing).collect();
        let free: Vec<usize> = photos
            .into_iter()
            .filter(|photo| !taken.contains(photo) && !is_copy(*photo))
            .collect();
        free.choose(random).copied()
    }

    /// The confidence that 1 in 100 of what is not there exceeds.
    pub fn threshold(&self, measured: &Measured) -> f32 {
        figures::threshold(&self.judged(measured), 0.01)
    }

    fn judged(&self, measured: &Measured) -> Vec<Judged> {
        let pairs = measured.pairs.iter();
        pairs
            .map(|pair| (self.confidence(pair), pair.there))
            .collect()
    }

    /// The figures of what was measured.
    pub fn row(&self, row: &str, measured: &Measured) -> Row {
        let judged = self.judged(measured);
        let overlaps: Vec<f32> = measured
            .pairs
            .iter()
            .filter_map(|pair| pair.overlap)
            .collect();
        let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        let threshold = self.threshold(measured);
        Row {
            row: row.to_owned(),
            photos: measured.pairs.len() / self.set.things.len().max(1),
            top1: (!measured.first.is_empty()).then(|| {
                let right = measured.first.iter().filter(|first| **first).count();
                share(right, measured.first.len())
            }),
            auc: figures::auc(&judged),
            found_at_1_percent: figures::found_above(&judged, threshold),
            found_at_single_threshold: figures::found_above(&judged, self.single_threshold),
            recall_at_precision_95: figures::recall_at(&judged, 0.95),
            iou_half: share(
                overlaps.iter().filter(|o| **o >= 0.5).count(),
                overlaps.len(),
            ),
            iou_mean: f64::from(overlaps.iter().sum::<f32>()) / overlaps.len().max(1) as f64,
            calibration_error: figures::calibration_error(&judged),
        }
    }
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

    /// Adds one photo: what was seen in it, what is there and where, and a thing that counts as neither there nor absent.
    fn add(
        &mut self,
        seen: &[Sighting],
        truth: &[(usize, Option<[f32; 4]>)],
        ignored: Option<usize>,
    ) {
        for sighting in seen {
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
                there: own.is_some(),
                score: sighting.score,
                margin: sighting.margin,
                overlap: box_.map(|box_| iou(&sighting.box_, &box_)),
            });
        }
    }
}

/// Pairs of photos of one thing whose references are nearly the same.
fn copies(set: &PhotoSet, references: &[Vec<Embedded>], least: f32) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for thing in 0..set.things.len() {
        let photos: Vec<usize> = set.of(thing).collect();
        for (at, &a) in photos.iter().enumerate() {
            for &b in &photos[at + 1..] {
                // The first row of each is what windows are compared with.
                let first = |at: usize| references[at].iter().find_map(|e| e.embeddings.first());
                let (Some(of_a), Some(of_b)) = (first(a), first(b)) else {
                    continue;
                };
                let both = of_a.iter().zip(of_b);
                let cosine: f32 = both.map(|(a, b)| a * b).sum();
                if cosine > least {
                    found.push((a, b));
                }
            }
        }
    }
    found
}

/// The calibration fitted to what was measured.
pub fn calibrated(pairs: &[Pair]) -> Calibration {
    let samples: Vec<([f64; 2], bool)> = pairs
        .iter()
        .map(|pair| ([f64::from(pair.score), f64::from(pair.margin)], pair.there))
        .collect();
    let [score, margin, bias] = figures::fit_logistic(&samples).map(|v| v as f32);
    Calibration {
        score,
        margin,
        bias,
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
            .map(|pair| (calibration.confidence(pair.score, pair.margin), pair.there))
            .collect();
        total += figures::calibration_error(&judged);
    }
    total / draws.max(1) as f64
}
