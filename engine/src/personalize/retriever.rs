//! Looking for known things in a photo: one retriever over any encoders, each with its regions, embeddings and thresholds.

use burn::tensor::Device;
use serde::Serialize;

use super::calibration::Calibration;
use super::dual_search::{self, DualSearch};
use super::feature_choice::choose;
use super::feature_encoder::FeatureEncoder;
use super::feature_place::Shown;
pub use super::feature_sighting::Sighting;
use super::look::Look;
use super::photo_encoder::{Asked, Features, Kind, PhotoEncoder, surest};
use super::retriever_files::{not_comparable, twice};
pub use super::scan::Scan;
use super::scan_store;
use super::similarity_scale::SimilarityScale;
pub use super::thresholds::Thresholds;
use crate::Result;
use crate::concepts::retrieval::Mode;
use crate::concepts::{Embedded, Library, Retrieved};
use crate::host::Host;
use crate::image::{ImageProcessor, Rgb8};
use crate::model::dual::DualEncoder;

/// Encoders with what they need to look for known things in photos.
#[derive(Debug)]
pub struct Retriever {
    /// There is always one. Several have confidences that can be compared.
    encoders: Vec<PhotoEncoder>,
    /// Names them all; what other ones made of a photo is not comparable.
    digest: String,
    /// Whether every photo is looked at more closely, and not only where the first look is unsure.
    thorough: bool,
}

/// Things a photo may show, by the words of an encoder's classifier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    /// The word.
    pub word: String,
    /// Its share, 0 to 1.
    pub share: f32,
}

impl Retriever {
    /// A retriever over a dual encoder.
    pub fn new(
        dual: DualEncoder,
        processor: ImageProcessor,
        grid: usize,
        digest: String,
        thresholds: Thresholds,
        device: &Device,
    ) -> Self {
        let dual = DualSearch::new(dual, processor, grid, thresholds, device);
        Self::of(Kind::Dual(Box::new(dual)), digest)
    }

    /// A retriever over an encoder of maps; `words` are those of its classifier, or none, and its files lie in `folder`. Without a
    /// calibration nothing is said to be there: [`Self::sightings`] alone looks.
    pub(super) fn of_features(
        encoder: FeatureEncoder,
        calibration: Option<Calibration>,
        scale: Option<SimilarityScale>,
        words: Vec<String>,
        (folder, digest): (String, String),
    ) -> Self {
        let features = Features {
            encoder,
            calibration,
            scale,
            words,
            folder,
        };
        Self::of(Kind::Features(Box::new(features)), digest)
    }

    fn of(kind: Kind, digest: String) -> Self {
        Self {
            encoders: vec![PhotoEncoder::new(kind, digest.clone())],
            digest,
            thorough: false,
        }
    }

    /// The encoders of both, those of `other` behind these.
    ///
    /// # Errors
    /// [`crate::Error::Config`] where they cannot be compared: of a dual encoder or one without a calibration nobody knows how sure a
    /// similarity makes; or when one is in both.
    pub fn beside(mut self, other: Self) -> Result<Self> {
        for encoder in self.encoders.iter().chain(&other.encoders) {
            encoder.check_calibration()?;
            if encoder.features().is_none() {
                return Err(not_comparable());
            }
        }
        let is_known =
            |new: &PhotoEncoder| self.encoders.iter().any(|own| own.digest == new.digest);
        if other.encoders.iter().any(is_known) {
            return Err(twice());
        }
        self.digest = format!("{}+{}", self.digest, other.digest);
        self.encoders.extend(other.encoders);
        Ok(self)
    }

    /// The first encoder.
    fn first(&self) -> &PhotoEncoder {
        // There is always one.
        &self.encoders[0]
    }

    /// How many encoders there are.
    pub fn count(&self) -> usize {
        self.encoders.len()
    }

    /// An empty library for what these encoders make of photos; without one, nothing is compared.
    pub fn empty_library(this: Option<&Self>) -> Library {
        let encoders = this.map_or(&[][..], |retriever| &retriever.encoders);
        Library::of_indexes(encoders.iter().map(PhotoEncoder::index).collect())
    }

    /// Looks at every photo more closely, which finds more small things and takes four times as long, or only where the first look
    /// is unsure.
    pub fn set_thorough(&mut self, thorough: bool) {
        self.thorough = thorough;
    }

    /// How the similarities of an encoder of maps, the first of several, are brought to those the search was built on; `None` where
    /// they are taken as they are.
    pub fn similarity_scale(&self) -> Option<SimilarityScale> {
        self.first().features()?.scale
    }

    /// Takes the similarities of the first encoder, if it is one of maps, for such as these; for measuring what its
    /// `retrieval.json` shall say.
    pub fn set_similarity_scale(&mut self, measured: SimilarityScale) {
        if let Some(PhotoEncoder {
            kind: Kind::Features(features),
            ..
        }) = self.encoders.first_mut()
        {
            features.scale = Some(measured);
        }
    }

    /// Takes what was measured of the first encoder, if it is one of maps, in the place of what its `retrieval.json` says.
    pub fn set_calibration(&mut self, measured: Calibration) {
        if let Some(PhotoEncoder {
            kind: Kind::Features(features),
            ..
        }) = self.encoders.first_mut()
        {
            features.calibration = Some(measured);
        }
    }

    /// Names the encoders.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The calibrated thresholds of a dual encoder.
    pub fn thresholds(&self) -> Option<Thresholds> {
        match &self.first().kind {
            Kind::Dual(dual) => Some(dual.thresholds),
            Kind::Features(_) => None,
        }
    }

    /// Whether regions are exact to a few percent of the side: boxes that patches propose or feature maps part from their
    /// surroundings, and not windows of a grid.
    pub fn proposes(&self) -> bool {
        self.encoders.iter().all(PhotoEncoder::proposes)
    }

    /// What each encoder makes of a reference photo; the thing is inside `box_`, or all of the photo.
    ///
    /// # Errors
    /// When the photo cannot be processed or the device fails.
    pub async fn embed_reference(
        &self,
        photo: &Rgb8,
        box_: Option<[f32; 4]>,
        host: &dyn Host,
    ) -> Result<Vec<Embedded>> {
        let mut embedded = Vec::with_capacity(self.encoders.len());
        for encoder in &self.encoders {
            embedded.push(encoder.embed(photo, box_, host).await?);
        }
        Ok(embedded)
    }

    /// The words the first encoder that has any has for what is inside a box, likeliest first; none where there are none.
    ///
    /// # Errors
    /// When the photo cannot be processed or the device fails.
    pub async fn words(
        &self,
        photo: &Rgb8,
        box_: [f32; 4],
        most: usize,
        host: &dyn Host,
    ) -> Result<Vec<Word>> {
        let mut all = self.encoders.iter().filter_map(PhotoEncoder::features);
        let Some(Features { encoder, words, .. }) = all.find(|one| !one.words.is_empty()) else {
            return Ok(Vec::new());
        };
        let shares = encoder.categories(&photo.share(box_), host).await?;
        let mut ranked: Vec<Word> = words
            .iter()
            .zip(shares)
            .map(|(word, share)| Word {
                word: word.clone(),
                share,
            })
            .collect();
        ranked.sort_by(|a, b| b.share.total_cmp(&a.share));
        ranked.truncate(most);
        Ok(ranked)
    }

    /// The box of what stands out in a photo from what is along its border; the whole photo for encoders without maps. `scan` keeps
    /// what was seen of the photo.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub async fn salient_box(
        &self,
        photo: &Rgb8,
        scan: &mut Option<Scan>,
        host: &dyn Host,
    ) -> Result<[f32; 4]> {
        if self.first().features().is_none() {
            return Ok([0.0, 0.0, 1.0, 1.0]);
        }
        let seen = match scan.take() {
            Some(seen) => seen,
            None => self.scan(photo, host).await?,
        };
        let box_ = seen.looks.first().map(Look::salient_box);
        *scan = Some(seen);
        Ok(box_.unwrap_or([0.0, 0.0, 1.0, 1.0]))
    }

    /// What a photo looks like: an embedding of every window and of the whole.
    ///
    /// # Errors
    /// When the photo cannot be processed, the device fails or the caller cancels.
    pub async fn scan(&self, photo: &Rgb8, host: &dyn Host) -> Result<Scan> {
        self.scanned(photo, false, host).await
    }

    /// [`Self::scan`], rounded to what [`Self::pack`] keeps of it: a scan that was kept and one that was not find the same.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub async fn scan_to_keep(&self, photo: &Rgb8, host: &dyn Host) -> Result<Scan> {
        self.scanned(photo, true, host).await
    }

    /// A scan as bytes; `None` for one that was not made by [`Self::scan_to_keep`] or [`Self::unpack`].
    pub fn pack(&self, scan: &Scan) -> Option<Vec<u8>> {
        scan_store::pack(scan, &self.digest)
    }

    /// The scan that was packed; `None` where the bytes are damaged, or of other encoders or another version.
    pub fn unpack(&self, bytes: &[u8]) -> Option<Scan> {
        let encoders = self.encoders.iter();
        let encoders: Vec<(Option<usize>, &Device)> = encoders
            .map(|encoder| (encoder.width(), encoder.device()))
            .collect();
        scan_store::unpack(bytes, &self.digest, &encoders)
    }

    async fn scanned(&self, photo: &Rgb8, kept: bool, host: &dyn Host) -> Result<Scan> {
        let mut first = self.first().scan(photo, kept, host).await?;
        for encoder in &self.encoders[1..] {
            first.others.push(encoder.scan(photo, kept, host).await?);
        }
        Ok(first)
    }

    /// The concepts of `library` that matter for this photo and question. `scan` keeps what was seen of the photo, for the next
    /// question about it.
    ///
    /// # Errors
    /// As [`Self::scan`] and [`retrieval::retrieve`](crate::concepts::retrieval::retrieve).
    pub async fn search(
        &self,
        photo: &Rgb8,
        scan: &mut Option<Scan>,
        question: &str,
        library: &Library,
        mode: Mode,
        host: &dyn Host,
    ) -> Result<Vec<Retrieved>> {
        self.search_shown(&|| Ok(photo), scan, question, library, mode, host)
            .await
    }

    /// [`Self::search`] of a photo that is decoded only where it has to be looked at: what `scan` keeps may do.
    ///
    /// # Errors
    /// As [`Self::search`], and those of `photo`.
    pub async fn search_shown(
        &self,
        photo: Shown<'_>,
        scan: &mut Option<Scan>,
        question: &str,
        library: &Library,
        mode: Mode,
        host: &dyn Host,
    ) -> Result<Vec<Retrieved>> {
        self.check_calibration()?;
        let mut seen = match scan.take() {
            Some(seen) => seen,
            None => self.scan(photo()?, host).await?,
        };
        if let Kind::Dual(_) = self.first().kind {
            let found = self.retrieve(Some(&seen), question, library, mode).await;
            *scan = Some(seen);
            return found;
        }
        let asked = Asked {
            photo,
            question,
            library,
            mode: &mode,
            thorough: self.thorough,
        };
        let sightings = self.each(asked, &mut seen, host).await;
        *scan = Some(seen);
        choose(question, library, &mode, &surest(sightings?))
    }

    /// The sightings of each encoder.
    async fn each(
        &self,
        asked: Asked<'_, '_>,
        seen: &mut Scan,
        host: &dyn Host,
    ) -> Result<Vec<Vec<Sighting>>> {
        let mut all = Vec::with_capacity(self.encoders.len());
        for (at, encoder) in self.encoders.iter().enumerate() {
            if let Some(scan) = seen.of(at) {
                all.push(encoder.sightings(asked, scan, host).await?);
            }
        }
        Ok(all)
    }

    /// How much each concept of `library` is like something in a photo, and where, whether it is there or not; best first. Only
    /// encoders of maps tell, of several the surest one of each concept; `scan` keeps what was seen of the photo.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub async fn sightings(
        &self,
        photo: &Rgb8,
        scan: &mut Option<Scan>,
        library: &Library,
        host: &dyn Host,
    ) -> Result<Vec<Sighting>> {
        if !self.makes_maps() {
            return Ok(Vec::new());
        }
        let mut seen = match scan.take() {
            Some(seen) => seen,
            None => self.scan(photo, host).await?,
        };
        let asked = Asked {
            photo: &|| Ok(photo),
            question: "",
            library,
            mode: &Mode::All,
            thorough: self.thorough,
        };
        let sightings = self.each(asked, &mut seen, host).await;
        *scan = Some(seen);
        sightings.map(surest)
    }

    /// Whether the encoders make maps of features, as those that know real photos do.
    pub fn makes_maps(&self) -> bool {
        self.first().features().is_some()
    }

    /// The calibration of an encoder of maps, the first of several, where it has one.
    pub fn calibration(&self) -> Option<Calibration> {
        self.first().features()?.calibration
    }

    /// Whether it can say how sure it is.
    ///
    /// # Errors
    /// [`crate::Error::Config`] where nobody has measured that, with what to do.
    pub fn check_calibration(&self) -> Result<()> {
        self.encoders
            .iter()
            .try_for_each(PhotoEncoder::check_calibration)
    }

    /// The concepts of `library` that matter, of a photo that a dual encoder scanned.
    ///
    /// # Errors
    /// As [`retrieval::retrieve`](crate::concepts::retrieval::retrieve); when the device fails.
    pub async fn retrieve(
        &self,
        scan: Option<&Scan>,
        question: &str,
        library: &Library,
        mode: Mode,
    ) -> Result<Vec<Retrieved>> {
        let PhotoEncoder { kind, comparer, .. } = self.first();
        match kind {
            Kind::Dual(dual) => dual.retrieve(comparer, scan, question, library, mode).await,
            Kind::Features(_) => Ok(Vec::new()),
        }
    }

    /// The distinct regions of a photo that a dual encoder scanned, each with the `neighbours` references nearest to it as (row of
    /// the index, squared L2 distance): what [`repic::retrieve`](crate::concepts::repic::retrieve) takes.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn crops(
        &self,
        scan: &Scan,
        library: &Library,
        neighbours: usize,
    ) -> Result<Vec<Vec<(usize, f32)>>> {
        dual_search::crops(&self.first().comparer, scan, library, neighbours).await
    }
}
