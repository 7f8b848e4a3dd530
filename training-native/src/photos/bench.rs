//! A set of photos, looked at once: every thing can be enrolled from some of its photos, all others searched.

use anyhow::{Context, Result, bail};
use namelens_engine::concepts::{Embedded, Library, NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::calibration::{Calibration, Lone};
use namelens_engine::personalize::retriever::{Retriever, Scan, Sighting};
use namelens_engine::personalize::similarity_scale::SimilarityScale;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::figures::{self, Judged};
use super::measured::{Measured, Row};
use super::set::PhotoSet;
use super::variants::Variant;

/// Cosine of two references from which one photo is taken for a copy of the other, by EfficientNet-Lite0.
pub const COPY: f32 = 0.955;
/// Why there is nothing to calibrate.
const NOTHING_TOLD: &str = "nothing can be calibrated: by this encoder, things of this set are no more like themselves than like others";
/// What ranks before anything was measured.
const RANK: Calibration = Calibration {
    score: 1.0,
    margin: 1.0,
    bias: 0.0,
    lone: Lone {
        score: 1.0,
        bias: 0.0,
    },
};

/// A set, looked at once.
#[derive(Debug)]
pub struct Bench<'a> {
    pub(super) retriever: &'a mut Retriever,
    pub(super) set: &'a PhotoSet,
    /// The encoder's own, if it has one, or what [`Self::calibrate`] was given.
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
    /// When there is not one encoder, and of maps, or the device fails.
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

    /// Takes these confidences for the encoder's own.
    pub fn calibrate(&mut self, calibration: Calibration) {
        self.calibration = Some(calibration);
        self.retriever.set_calibration(calibration);
    }

    /// What is in the photo of a number, of a library; what was seen of it is kept for the next time.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn sightings(&mut self, photo: usize, library: &Library) -> Result<Vec<Sighting>> {
        let mut scan = self.scans[photo].take();
        let pixels = &self.set.photos[photo].pixels;
        let seen = self.retriever.sightings(pixels, &mut scan, library, &Still);
        let seen = pollster::block_on(seen)?;
        self.scans[photo] = scan;
        Ok(seen)
    }

    /// References of every thing, drawn at random, as a library; and which photos they are.
    pub(super) fn enrol(
        &self,
        count: usize,
        variant: Variant,
        random: &mut ChaCha8Rng,
    ) -> Result<(Library, Vec<usize>)> {
        let all: Vec<usize> = (0..self.set.things.len()).collect();
        self.enrol_some(&all, count, variant, random)
    }

    /// [`Self::enrol`] of these things.
    pub(super) fn enrol_some(
        &self,
        things: &[usize],
        count: usize,
        variant: Variant,
        random: &mut ChaCha8Rng,
    ) -> Result<(Library, Vec<usize>)> {
        let mut library = Retriever::empty_library(Some(&*self.retriever));
        let mut taken = Vec::new();
        for &thing in things {
            let name = &self.set.things[thing];
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

    /// A photo of a thing that is neither a reference nor a copy of one.
    pub(super) fn other(
        &self,
        thing: usize,
        taken: &[usize],
        random: &mut ChaCha8Rng,
    ) -> Option<usize> {
        let photos = self.set.of(thing);
        let free: Vec<usize> = photos.filter(|photo| self.is_new(*photo, taken)).collect();
        free.choose(random).copied()
    }

    /// Whether a photo is none of `taken` and no copy of one.
    pub(super) fn is_new(&self, photo: usize, taken: &[usize]) -> bool {
        taken.iter().all(|&taken| {
            let is_copy =
                |pair: &(usize, usize)| *pair == (taken, photo) || *pair == (photo, taken);
            taken != photo && !self.copies.iter().any(is_copy)
        })
    }

    /// The confidence that 1 in 100 of what is not there exceeds.
    pub fn threshold(&self, measured: &Measured) -> f32 {
        figures::threshold(&self.judged(measured), 0.01)
    }

    /// How sure everything was, and whether it was so; without a calibration numbers that only rank.
    pub fn judged(&self, measured: &Measured) -> Vec<Judged> {
        let pairs = measured.pairs.iter();
        let calibration = self.calibration.unwrap_or(RANK);
        pairs
            .map(|pair| (pair.confidence(&calibration), pair.there))
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
        // Nothing is known of boxes where nobody drew any.
        let of_boxes = |sum: f64| (!overlaps.is_empty()).then(|| sum / overlaps.len() as f64);
        let half = overlaps.iter().filter(|overlap| **overlap >= 0.5).count();
        let threshold = self.threshold(measured);
        let top1 = measured.top1();
        Row {
            row: row.to_owned(),
            photos: measured.photos,
            top1: top1.as_ref().map(|top1| top1.value),
            top1_interval: top1.map(|top1| [top1.low, top1.high]),
            auc: figures::auc(&judged),
            found_at_1_percent: figures::found_above(&judged, threshold),
            found_at_single_threshold: figures::found_above(&judged, self.single_threshold),
            recall_at_precision_95: figures::recall_at(&judged, 0.95),
            iou_half: of_boxes(half as f64),
            iou_mean: of_boxes(overlaps.iter().copied().map(f64::from).sum()),
            calibration_error: figures::calibration_error(&judged),
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
