//! One encoder of a retriever: its regions, its embeddings, and how sure it is of what it finds.

use burn::tensor::Device;

use super::calibration::Calibration;
use super::dual_search::DualSearch;
use super::encoder_files::uncalibrated;
use super::feature_encoder::FeatureEncoder;
use super::feature_place::Shown;
use super::feature_search::FeatureSearch;
use super::feature_sighting::Sighting;
use super::likeness::Comparer;
use super::look::Distance;
use super::reference_features::ReferenceFeatures;
use super::scan::Scan;
use super::similarity_scale::SimilarityScale;
use super::wanted::wanted_rows;
use crate::Result;
use crate::concepts::retrieval::Mode;
use crate::concepts::{Embedded, FlatIndex, Library};
use crate::host::Host;
use crate::image::Rgb8;

/// What looks at photos.
#[derive(Debug)]
pub(super) enum Kind {
    /// Embeds regions.
    Dual(Box<DualSearch>),
    /// Makes maps of features.
    Features(Box<Features>),
}

/// An encoder of maps with what was measured of it.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) encoder: FeatureEncoder,
    /// Absent where nobody has measured it.
    pub(super) calibration: Option<Calibration>,
    /// How its similarities are brought to those the search was built on; `None` where they are taken as they are.
    pub(super) scale: Option<SimilarityScale>,
    /// What its classifier calls things, or none.
    pub(super) words: Vec<String>,
    /// Where its files lie in the model's folder.
    pub(super) folder: String,
}

/// An encoder with what it needs to look for known things in photos.
#[derive(Debug)]
pub(super) struct PhotoEncoder {
    pub(super) kind: Kind,
    /// Names it; embeddings of another one are not comparable.
    pub(super) digest: String,
    pub(super) comparer: Comparer,
}

/// A photo and the question about it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'p, 'a> {
    pub(super) photo: Shown<'p>,
    pub(super) question: &'a str,
    pub(super) library: &'a Library,
    pub(super) mode: &'a Mode,
    /// Whether every photo is looked at more closely.
    pub(super) thorough: bool,
}

impl PhotoEncoder {
    pub(super) fn new(kind: Kind, digest: String) -> Self {
        Self {
            kind,
            digest,
            comparer: Comparer::default(),
        }
    }

    /// The encoder of maps, if it is one.
    pub(super) fn features(&self) -> Option<&Features> {
        match &self.kind {
            Kind::Features(features) => Some(features),
            Kind::Dual(_) => None,
        }
    }

    /// Whether it can say how sure it is.
    ///
    /// # Errors
    /// [`crate::Error::Config`] where nobody has measured that, with what to do.
    pub(super) fn check_calibration(&self) -> Result<()> {
        match self.features() {
            Some(features) if features.calibration.is_none() => Err(uncalibrated(&features.folder)),
            _ => Ok(()),
        }
    }

    /// An empty index for what it makes of references.
    pub(super) fn index(&self) -> FlatIndex {
        let searched = self.features().map(|_| ReferenceFeatures::SEARCHED);
        let width = match &self.kind {
            Kind::Dual(dual) => Some(dual.width()),
            // Packed rows, which differ.
            Kind::Features(_) => None,
        };
        FlatIndex::new(&self.digest)
            .of_first(searched)
            .of_width(width)
    }

    /// The device it is on.
    pub(super) fn device(&self) -> &Device {
        match &self.kind {
            Kind::Dual(dual) => &dual.device,
            Kind::Features(features) => features.encoder.device(),
        }
    }

    /// Features of a cell of its maps; `None` where it makes none.
    pub(super) fn width(&self) -> Option<usize> {
        self.features().map(|features| features.encoder.width())
    }

    /// Whether its regions are exact to a few percent of the side.
    pub(super) fn proposes(&self) -> bool {
        match &self.kind {
            Kind::Dual(dual) => dual.proposes(),
            Kind::Features(_) => true,
        }
    }

    /// What it makes of a reference photo; the thing is inside `box_`, or all of the photo.
    ///
    /// # Errors
    /// When the photo cannot be processed or the device fails.
    pub(super) async fn embed(
        &self,
        photo: &Rgb8,
        box_: Option<[f32; 4]>,
        host: &dyn Host,
    ) -> Result<Embedded> {
        let embeddings = match &self.kind {
            Kind::Dual(dual) => {
                let part = box_.map(|box_| photo.share(box_));
                vec![dual.embed(part.as_ref().unwrap_or(photo), host).await?]
            }
            Kind::Features(features) => {
                let box_ = box_.unwrap_or([0.0, 0.0, 1.0, 1.0]);
                let encoder = &features.encoder;
                let seen = ReferenceFeatures::of(encoder, photo, box_, host).await?;
                seen.pack()
            }
        };
        Ok(Embedded {
            encoder: self.digest.clone(),
            embeddings,
        })
    }

    /// What a photo looks like to it; `kept` rounds that to what can be packed.
    ///
    /// # Errors
    /// When the photo cannot be processed, the device fails or the caller cancels.
    pub(super) async fn scan(&self, photo: &Rgb8, kept: bool, host: &dyn Host) -> Result<Scan> {
        match &self.kind {
            Kind::Dual(dual) => dual.scan(photo, host).await,
            Kind::Features(features) => {
                let search = self.search(features, false);
                let look = search.look(photo, Distance::Far, kept, host).await?;
                Ok(Scan::of_look(look))
            }
        }
    }

    /// How much the concepts that may be in a photo are like something in it, where, and how sure that is; of those that are asked
    /// for whatever they score. Only encoders of maps tell.
    ///
    /// # Errors
    /// When the photo cannot be had, the device fails or the caller cancels.
    pub(super) async fn sightings(
        &self,
        asked: Asked<'_, '_>,
        scan: &mut Scan,
        host: &dyn Host,
    ) -> Result<Vec<Sighting>> {
        let index = asked.library.index_of(&self.digest);
        let (Some(features), Some(index)) = (self.features(), index) else {
            return Ok(Vec::new());
        };
        if !scan.fits(index) {
            return Ok(Vec::new());
        }
        let wanted = wanted_rows(asked.question, asked.library, index, asked.mode);
        let search = self.search(features, asked.thorough);
        let things = (asked.library, index);
        let looks = &mut scan.looks;
        let mut found = search
            .search(asked.photo, looks, things, &wanted, host)
            .await?;
        if let Some(calibration) = &features.calibration {
            for one in &mut found {
                let sure = calibration.confidence(one.score, one.margin, asked.library.len());
                one.confidence = Some(sure);
            }
        }
        Ok(found)
    }

    fn search<'a>(&'a self, features: &'a Features, thorough: bool) -> FeatureSearch<'a> {
        FeatureSearch {
            encoder: &features.encoder,
            scale: features.scale,
            comparer: &self.comparer,
            thorough,
        }
    }
}

/// The sightings of several encoders as one list: of each concept those of the encoder that is surest of it, surest first. Those of
/// a single encoder stay in its order.
pub(super) fn surest(mut all: Vec<Vec<Sighting>>) -> Vec<Sighting> {
    if all.len() < 2 {
        return all.pop().unwrap_or_default();
    }
    let sure = |sighting: &Sighting| sighting.confidence.unwrap_or(0.0);
    // Of several of one thing the encoder's own first one counts.
    let best = |seen: &[Sighting], concept: &str| {
        let first = seen.iter().find(|one| one.concept == concept);
        first.map_or(f32::NEG_INFINITY, sure)
    };
    let mut out: Vec<Sighting> = Vec::new();
    for (at, seen) in all.iter().enumerate() {
        let is_surest = |one: &&Sighting| {
            let own = best(seen, &one.concept);
            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
            // Of equals the first encoder counts.
            others
                .map(|(other, seen)| (other, best(seen, &one.concept)))
                .all(|(other, sure)| own > sure || own == sure && at < other)
        };
        out.extend(seen.iter().filter(is_surest).cloned());
    }
    let order = out.clone();
    out.sort_by(|a, b| best(&order, &b.concept).total_cmp(&best(&order, &a.concept)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(concept: &str, confidence: f32, left: f32) -> Sighting {
        let box_ = [left, 0.0, 1.0, 1.0];
        Sighting::of(concept, confidence, box_)
    }

    #[test]
    fn of_each_concept_the_surest_encoder_tells() {
        let photos = vec![
            seen("cup", 0.9, 0.1),
            seen("miso", 0.4, 0.2),
            seen("otto", 0.3, 0.3),
        ];
        let faces = vec![seen("otto", 0.95, 0.5), seen("miso", 0.4, 0.6)];
        let all = surest(vec![photos.clone(), faces.clone()]);
        let told: Vec<(&str, f32)> = all.iter().map(|s| (&*s.concept, s.box_[0])).collect();
        assert_eq!(told, [("otto", 0.5), ("cup", 0.1), ("miso", 0.2)]);
        // One encoder's order is its own, whatever the confidences.
        assert_eq!(surest(vec![faces.clone()]), faces);
        assert_eq!(surest(vec![photos.clone(), Vec::new()])[0], photos[0]);
        assert_eq!(surest(Vec::new()), []);
    }

    #[test]
    fn two_places_of_one_thing_stay_together() {
        let photos = vec![seen("cup", 0.9, 0.1), seen("cup", 0.8, 0.5)];
        let faces = vec![seen("cup", 0.85, 0.7)];
        let all = surest(vec![photos.clone(), faces]);
        assert_eq!(all, photos);
    }
}
