//! Conditions under which recognition is measured: single photos, collages, small things, small libraries, several of one thing.

use anyhow::Result;
use namelens_engine::concepts::Library;
use namelens_engine::concepts::regions::iou;
use namelens_engine::concepts::retrieval::Mode;
use namelens_engine::host::Still;
use namelens_engine::image::Rgb8;
use namelens_engine::personalize::retriever::Sighting;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::bench::Bench;
use super::measured::Measured;
use super::variants::{Variant, collage, pasted};

/// Side of a cell of a collage, pixels.
const CELL: u32 = 384;
/// Of so many pairs of a thing and a photo one is of a thing that is there, where libraries are small: as with fifteen things.
const ABSENT: usize = 14;

/// Photos with two of one thing, and with one.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Instances {
    /// Things that are there twice: how many of the two are found, boxes overlapping by half, as a share.
    pub found: f64,
    /// Photos with one of each thing in which something is said to be there more often than it is, as a share.
    pub too_many: f64,
    /// Photos of each kind.
    pub photos: usize,
}

impl Bench<'_> {
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
                if !self.is_new(query, &taken) {
                    continue;
                }
                let seen = self.sightings(query, &library)?;
                let photo = &self.set.photos[query];
                let own = photo.thing.to_string();
                let is_first = seen.first().is_some_and(|best| best.concept == own);
                measured.first.push((photo.thing, is_first));
                let truth = vec![(photo.thing, photo.boxed.then_some(photo.box_))];
                measured.add((library.len(), &seen), &truth, None);
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
            let seen = self.seen_once(&canvas, &library)?;
            let truth: Vec<(usize, Option<[f32; 4]>)> = chosen
                .iter()
                .zip(boxes)
                .map(|(&at, box_)| (self.set.photos[at].thing, Some(box_)))
                .collect();
            measured.add((library.len(), &seen), &truth, None);
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
            let seen = self.seen_once(&canvas, &library)?;
            // The thing of the background is there as well, unless the paste hides it: it counts as neither.
            measured.add(
                (library.len(), &seen),
                &[(thing.thing, Some(box_))],
                Some(behind.thing),
            );
        }
        Ok(measured)
    }

    /// Single photos with libraries of `size` things: one that has the photo's thing, and others that have not.
    ///
    /// # Errors
    /// When the device fails.
    pub fn small_libraries(&mut self, size: usize, draws: u64, seed: u64) -> Result<Measured> {
        let mut measured = Measured::default();
        // A library of one says of nothing else that it is absent.
        let without = if size == 1 { 2 } else { 1 };
        let repeat = ABSENT.div_ceil(size - 1 + without * size);
        for draw in 0..draws {
            let mut random = ChaCha8Rng::seed_from_u64(seed ^ (draw << 32) ^ 0x11b);
            for query in 0..self.set.photos.len() {
                let own = self.set.photos[query].thing;
                for has_own in std::iter::once(true).chain((0..without).map(|_| false)) {
                    let mut things: Vec<usize> = (0..self.set.things.len()).collect();
                    things.retain(|thing| *thing != own);
                    things.shuffle(&mut random);
                    things.truncate(size - usize::from(has_own));
                    things.extend(has_own.then_some(own));
                    let (library, taken) =
                        self.enrol_some(&things, 1, Variant::Plain, &mut random)?;
                    if !self.is_new(query, &taken) {
                        continue;
                    }
                    let seen = self.sightings(query, &library)?;
                    let photo = &self.set.photos[query];
                    let truth = [(own, photo.boxed.then_some(photo.box_))];
                    let mut one = Measured::default();
                    one.add((library.len(), &seen), &truth, None);
                    measured.photos += one.photos;
                    for pair in one.pairs {
                        let times = if pair.there { 1 } else { repeat };
                        measured.pairs.extend(std::iter::repeat_n(pair, times));
                    }
                }
            }
        }
        Ok(measured)
    }

    /// Two photos of one thing side by side, and two of different things: are both found, and are there no more?
    ///
    /// # Errors
    /// When a photo cannot be made or the device fails.
    pub fn instances(&self, photos: usize, seed: u64) -> Result<Instances> {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x7711);
        let (mut found, mut too_many, mut made) = (0, 0, 0);
        for _ in 0..photos {
            let (library, taken) = self.enrol(1, Variant::Plain, &mut random)?;
            let mut things: Vec<usize> = (0..self.set.things.len()).collect();
            things.shuffle(&mut random);
            let first = self.other(things[0], &taken, &mut random);
            let another = self.other(things[1], &taken, &mut random);
            let (Some(first), Some(another)) = (first, another) else {
                continue;
            };
            let mut known = taken.clone();
            known.push(first);
            let Some(second) = self.other(things[0], &known, &mut random) else {
                continue;
            };
            made += 1;
            let name = things[0].to_string();
            let (boxes, truth) = self.told([first, second], &library)?;
            let own = |of: &[(String, [f32; 4])], truth: &[f32; 4]| {
                of.iter()
                    .any(|(id, box_)| *id == name && iou(box_, truth) >= 0.5)
            };
            found += truth.iter().filter(|truth| own(&boxes, truth)).count();
            let (boxes, _) = self.told([first, another], &library)?;
            let twice = (0..boxes.len()).any(|at| boxes[..at].iter().any(|b| b.0 == boxes[at].0));
            too_many += usize::from(twice);
        }
        let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        Ok(Instances {
            found: share(found, 2 * made),
            too_many: share(too_many, made),
            photos: made,
        })
    }

    /// What is said to be where in two photos side by side, and where the things are.
    #[allow(clippy::type_complexity, reason = "names with boxes, and true boxes")]
    fn told(
        &self,
        photos: [usize; 2],
        library: &Library,
    ) -> Result<(Vec<(String, [f32; 4])>, Vec<[f32; 4]>)> {
        let part = |at: usize| (&self.set.photos[at].pixels, self.set.photos[at].box_);
        let (canvas, truth) = collage(&photos.map(part), CELL)?;
        let mut scan = None;
        let found = self
            .retriever
            .search(&canvas, &mut scan, "", library, Mode::Auto, &Still);
        let found = pollster::block_on(found)?;
        let boxes = found.into_iter().flat_map(|found| {
            let all = found.box_.into_iter().chain(found.more_boxes);
            all.map(move |box_| (found.id.clone(), box_))
                .collect::<Vec<_>>()
        });
        Ok((boxes.collect(), truth))
    }

    /// What is in a photo that is searched once.
    fn seen_once(&self, photo: &Rgb8, library: &Library) -> Result<Vec<Sighting>> {
        let mut scan = None;
        let seen = self.retriever.sightings(photo, &mut scan, library, &Still);
        Ok(pollster::block_on(seen)?)
    }
}
