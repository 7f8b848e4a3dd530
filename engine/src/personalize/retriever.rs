//! Looking for known things in a photo: one retriever over any encoder.

use burn::tensor::Device;
use serde::Serialize;

use super::calibration::Calibration;
use super::dual_search::{self, DualSearch};
use super::feature_choice::choose;
use super::feature_encoder::FeatureEncoder;
pub use super::feature_search::Sighting;
use super::feature_search::{FeatureSearch, Shown};
use super::likeness::Comparer;
use super::look::{Distance, Look};
use super::reference_features::ReferenceFeatures;
use super::retriever_files::uncalibrated;
pub use super::scan::Scan;
use super::scan_store;
use super::similarity_scale::SimilarityScale;
pub use super::thresholds::Thresholds;
use super::wanted::wanted_rows;
use crate::Result;
use crate::concepts::retrieval::Mode;
use crate::concepts::{Library, Retrieved};
use crate::host::Host;
use crate::image::{ImageProcessor, Rgb8};
use crate::model::dual::DualEncoder;

/// What looks at photos.
#[derive(Debug)]
enum Encoder {
    /// Embeds regions.
    Dual(Box<DualSearch>),
    /// Makes maps of features.
    Features {
        encoder: Box<FeatureEncoder>,
        calibration: Option<Calibration>,
        scale: Option<SimilarityScale>,
        words: Vec<String>,
    },
}

/// An encoder with what it needs to look for known things in photos.
#[derive(Debug)]
pub struct Retriever {
    encoder: Encoder,
    /// Names the encoder; embeddings of another one are not comparable.
    digest: String,
    comparer: Comparer,
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
        Self {
            encoder: Encoder::Dual(Box::new(DualSearch::new(
                dual, processor, grid, thresholds, device,
            ))),
            digest,
            comparer: Comparer::default(),
            thorough: false,
        }
    }

    /// A retriever over an encoder of maps; `words` are those of its classifier, or none. Without a calibration nothing is said to be
    /// there: [`Self::sightings`] alone looks.
    pub(super) fn of_features(
        encoder: FeatureEncoder,
        calibration: Option<Calibration>,
        scale: Option<SimilarityScale>,
        words: Vec<String>,
        digest: String,
    ) -> Self {
        Self {
            encoder: Encoder::Features {
                encoder: Box::new(encoder),
                calibration,
                scale,
                words,
            },
            digest,
            comparer: Comparer::default(),
            thorough: false,
        }
    }

    /// An empty library for what this encoder makes of photos; without one, nothing is compared.
    pub fn empty_library(this: Option<&Self>) -> Library {
        let searched = this.and_then(|retriever| match retriever.encoder {
            Encoder::Dual(_) => None,
            Encoder::Features { .. } => Some(ReferenceFeatures::SEARCHED),
        });
        Library::new(this.map_or("", Self::digest)).searching_first(searched)
    }

    /// Looks at every photo more closely, which finds more small things and takes four times as long, or only where the first look
    /// is unsure.
    pub fn set_thorough(&mut self, thorough: bool) {
        self.thorough = thorough;
    }

    /// What searches by the maps of an encoder.
    fn feature_search<'a>(&'a self, encoder: &'a FeatureEncoder) -> FeatureSearch<'a> {
        FeatureSearch {
            encoder,
            scale: self.similarity_scale(),
            comparer: &self.comparer,
            thorough: self.thorough,
        }
    }

    /// How the similarities of an encoder of maps are brought to those the search was built on; `None` where they are taken as they
    /// are.
    pub fn similarity_scale(&self) -> Option<SimilarityScale> {
        match &self.encoder {
            Encoder::Features { scale, .. } => *scale,
            Encoder::Dual(_) => None,
        }
    }

    /// Takes the similarities of an encoder of maps for such as these; for measuring what its `retrieval.json` shall say.
    pub fn set_similarity_scale(&mut self, measured: SimilarityScale) {
        if let Encoder::Features { scale, .. } = &mut self.encoder {
            *scale = Some(measured);
        }
    }

    /// Names the encoder.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The calibrated thresholds of a dual encoder.
    pub fn thresholds(&self) -> Option<Thresholds> {
        match &self.encoder {
            Encoder::Dual(dual) => Some(dual.thresholds),
            Encoder::Features { .. } => None,
        }
    }

    /// Whether regions are exact to a few percent of the side: boxes that patches propose or feature maps part from their
    /// surroundings, and not windows of a grid.
    pub fn proposes(&self) -> bool {
        match &self.encoder {
            Encoder::Dual(dual) => dual.proposes(),
            Encoder::Features { .. } => true,
        }
    }

    /// What the encoder makes of a reference photo; the thing is inside `box_`, or all of the photo.
    ///
    /// # Errors
    /// When the photo cannot be processed or the device fails.
    pub async fn embed_reference(
        &self,
        photo: &Rgb8,
        box_: Option<[f32; 4]>,
        host: &dyn Host,
    ) -> Result<Vec<Vec<f32>>> {
        match &self.encoder {
            Encoder::Dual(dual) => {
                let part = box_.map(|box_| photo.share(box_));
                Ok(vec![
                    dual.embed(part.as_ref().unwrap_or(photo), host).await?,
                ])
            }
            Encoder::Features { encoder, .. } => {
                let box_ = box_.unwrap_or([0.0, 0.0, 1.0, 1.0]);
                let features = ReferenceFeatures::of(encoder, photo, box_, host).await?;
                Ok(features.pack())
            }
        }
    }

    /// The words the encoder has for what is inside a box, likeliest first; none where it has no words.
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
        let Encoder::Features { encoder, words, .. } = &self.encoder else {
            return Ok(Vec::new());
        };
        if words.is_empty() {
            return Ok(Vec::new());
        }
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
        if matches!(self.encoder, Encoder::Dual(_)) {
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

    /// The scan that was packed; `None` where the bytes are damaged, or of another encoder or version.
    pub fn unpack(&self, bytes: &[u8]) -> Option<Scan> {
        let (width, device) = match &self.encoder {
            Encoder::Dual(dual) => (None, &dual.device),
            Encoder::Features { encoder, .. } => (Some(encoder.width()), encoder.device()),
        };
        scan_store::unpack(bytes, &self.digest, width, device)
    }

    async fn scanned(&self, photo: &Rgb8, kept: bool, host: &dyn Host) -> Result<Scan> {
        match &self.encoder {
            Encoder::Dual(dual) => dual.scan(photo, host).await,
            Encoder::Features { encoder, .. } => {
                let search = self.feature_search(encoder);
                let look = search.look(photo, Distance::Far, kept, host).await?;
                Ok(Scan::of_look(look))
            }
        }
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
        if scan.is_none() {
            *scan = Some(self.scan(photo()?, host).await?);
        }
        let Encoder::Features {
            encoder,
            calibration,
            ..
        } = &self.encoder
        else {
            return self.retrieve(scan.as_ref(), question, library, mode).await;
        };
        let calibration = calibration.as_ref().ok_or_else(uncalibrated)?;
        let wanted = wanted_rows(question, library, &mode);
        let search = self.feature_search(encoder);
        let sightings = match scan.as_mut().filter(|scan| scan.fits(library)) {
            Some(scan) => {
                let looks = &mut scan.looks;
                search.search(photo, looks, library, &wanted, host).await?
            }
            None => Vec::new(),
        };
        choose(question, library, &mode, &sightings, calibration)
    }

    /// How much each concept of `library` is like something in a photo, and where, whether it is there or not; best first. Only
    /// convolutional encoders tell; `scan` keeps what was seen of the photo.
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
        let Encoder::Features { encoder, .. } = &self.encoder else {
            return Ok(Vec::new());
        };
        if scan.is_none() {
            *scan = Some(self.scan(photo, host).await?);
        }
        let search = self.feature_search(encoder);
        let all: Vec<usize> = (0..library.index().len()).collect();
        match scan.as_mut().filter(|scan| scan.fits(library)) {
            Some(scan) => {
                let looks = &mut scan.looks;
                search
                    .search(&|| Ok(photo), looks, library, &all, host)
                    .await
            }
            None => Ok(Vec::new()),
        }
    }

    /// Whether the encoder makes maps of features, as those that know real photos do.
    pub fn makes_maps(&self) -> bool {
        matches!(self.encoder, Encoder::Features { .. })
    }

    /// The calibration of an encoder of maps, where it has one.
    pub fn calibration(&self) -> Option<Calibration> {
        match &self.encoder {
            Encoder::Features { calibration, .. } => *calibration,
            Encoder::Dual(_) => None,
        }
    }

    /// Whether it can say how sure it is.
    ///
    /// # Errors
    /// [`crate::Error::Config`] where nobody has measured that, with what to do.
    pub fn check_calibration(&self) -> Result<()> {
        match &self.encoder {
            Encoder::Features {
                calibration: None, ..
            } => Err(uncalibrated()),
            _ => Ok(()),
        }
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
        match &self.encoder {
            Encoder::Dual(dual) => {
                dual.retrieve(&self.comparer, scan, question, library, mode)
                    .await
            }
            Encoder::Features { .. } => Ok(Vec::new()),
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
        dual_search::crops(&self.comparer, scan, library, neighbours).await
    }
}
