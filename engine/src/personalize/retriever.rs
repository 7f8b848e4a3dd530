//! Looking for known things in a photo: regions of it against reference embeddings.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::likeness::Comparer;
use super::photo_features::{features, frames};
pub use super::scan::Scan;
use super::windows::{self, mask};
use crate::concepts::regions::{Candidate, SAME_REGION};
use crate::concepts::retrieval::{Mode, Options, Scored};
use crate::concepts::{Concept, Library, Retrieved, repic, retrieval};
use crate::generate::session::read;
use crate::host::{Host, breathe};
use crate::image::{ImageProcessor, Rgb8};
use crate::model::dual::DualEncoder;
use crate::{Error, Result, ops};

/// Calibrated thresholds, stored beside the dual encoder as `retrieval.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Least similarity of a window to a reference.
    pub window: f32,
    /// Least similarity of the whole photo.
    pub whole: f32,
}

impl Thresholds {
    /// Reads `retrieval.json`.
    ///
    /// # Errors
    /// [`Error::Config`] when a value is missing or no cosine similarity.
    pub fn from_json(json: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Config {
            file: "retrieval.json".into(),
            key: "window, whole".into(),
            problem,
        };
        let thresholds: Self =
            serde_json::from_str(json).map_err(|error| refuse(error.to_string()))?;
        let cosine = |v: f32| (-1.0..=1.0).contains(&v);
        if !cosine(thresholds.window) || !cosine(thresholds.whole) {
            return Err(refuse("must be cosine similarities, -1 to 1".into()));
        }
        Ok(thresholds)
    }
}

/// The dual encoder with what it needs to look at photos.
#[derive(Debug)]
pub struct Retriever {
    dual: DualEncoder,
    processor: ImageProcessor,
    /// Patches along a side.
    grid: usize,
    /// Names the encoder; embeddings of another one are not comparable.
    digest: String,
    thresholds: Thresholds,
    windows: Vec<[f32; 4]>,
    comparer: Comparer,
    device: Device,
}

impl Retriever {
    /// Joins the parts.
    pub fn new(
        dual: DualEncoder,
        processor: ImageProcessor,
        grid: usize,
        digest: String,
        thresholds: Thresholds,
        device: &Device,
    ) -> Self {
        Self {
            dual,
            processor,
            grid,
            digest,
            thresholds,
            windows: windows::grid(grid),
            comparer: Comparer::default(),
            device: device.clone(),
        }
    }

    /// Names the encoder.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The calibrated thresholds.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Whether regions are boxes that patches propose, exact to a few percent of the side, and not windows of a grid.
    pub fn proposes(&self) -> bool {
        self.dual.box_head.is_some()
    }

    /// The embedding of a reference photo: the photo as a whole, which shows the thing large.
    ///
    /// # Errors
    /// When the photo cannot be processed or the device fails.
    pub async fn embed_reference(&self, photo: &Rgb8, host: &dyn Host) -> Result<Vec<f32>> {
        let patches = self.patches(photo, host).await?;
        read(self.dual.embed_regions(patches, None)).await
    }

    /// Embeds every window of a photo.
    ///
    /// # Errors
    /// When the photo cannot be processed, the device fails or the caller cancels.
    pub async fn scan(&self, photo: &Rgb8, host: &dyn Host) -> Result<Scan> {
        let patches = self.patches(photo, host).await?;
        breathe(host).await?;
        let whole = self.dual.embed_regions(patches.clone(), None);
        breathe(host).await?;
        let windows = match self.dual.boxes(patches.clone()) {
            Some(boxes) => windows::proposed(&read(boxes).await?),
            None => self.windows.clone(),
        };
        let mask = mask(&windows, self.grid, &self.device);
        let regions = self.dual.embed_regions(patches, Some(mask));
        let [_, count, width] = regions.dims();
        let queries = Tensor::cat(vec![regions, whole], 1).reshape([count + 1, width]);
        let mut embeddings = read(queries.clone()).await?;
        let whole = embeddings.split_off(count * width);
        Ok(Scan {
            windows,
            embeddings,
            whole,
            queries,
        })
    }

    /// The concepts of `library` that matter for this photo and question.
    ///
    /// # Errors
    /// As [`retrieval::retrieve`]; when the device fails.
    pub async fn retrieve(
        &self,
        scan: Option<&Scan>,
        question: &str,
        library: &Library,
        mode: Mode,
    ) -> Result<Vec<Retrieved>> {
        let index = library.index();
        let wanted = wanted_rows(question, library, &mode);
        let compared = match scan.filter(|scan| comparable(scan, library)) {
            Some(scan) => {
                let threshold = self.thresholds.window;
                let queries = &scan.queries;
                let likeness = self.comparer.compare(queries, index, threshold, &wanted);
                Some((scan, likeness.await?))
            }
            None => None,
        };
        let is_wanted = |rows: &std::ops::Range<usize>| {
            let first = wanted.partition_point(|&row| row < rows.start);
            wanted.get(first).is_some_and(|row| rows.contains(row))
        };
        let scored: Vec<Scored<'_>> = library
            .list()
            .map(|concept| {
                let rows = index.rows_of(&concept.id);
                match &compared {
                    Some((scan, likeness)) => {
                        let always = is_wanted(&rows);
                        let scores = likeness.best_of(rows);
                        let least = if always {
                            f32::MIN
                        } else {
                            self.thresholds.window
                        };
                        scored(concept, scores, scan, least)
                    }
                    None => unscored(concept),
                }
            })
            .collect();
        let options = Options {
            mode,
            ..Options::auto(self.thresholds.window, self.thresholds.whole)
        };
        retrieval::retrieve(question, &scored, &options)
    }

    /// The distinct regions of a photo, each with the `neighbours` references nearest to it as (row of the index, squared
    /// L2 distance): what [`repic::retrieve`] takes. Of regions that overlap, the one most like any reference stands for all.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn crops(
        &self,
        scan: &Scan,
        library: &Library,
        neighbours: usize,
    ) -> Result<Vec<Vec<(usize, f32)>>> {
        let neighbours = neighbours.min(library.index().len());
        if neighbours == 0 || !comparable(scan, library) {
            return Ok(Vec::new());
        }
        let count = scan.windows.len();
        let regions = scan.queries.clone().narrow(0, 0, count);
        let vectors = self.comparer.vectors(library.index(), &self.device);
        let (scores, rows) = ops::cosine_top_k(regions, vectors, neighbours);
        let data = TensorData::new(scan.windows.concat(), [count, 4]);
        let boxes = Tensor::<2>::from_data(data, &self.device);
        let best = scores.clone().narrow(1, 0, 1).reshape([count]);
        let kept = ops::nms(boxes, best, SAME_REGION)
            .float()
            .reshape([count, 1]);
        // Row numbers are below 2^24: exact as floats, and so all is read at once.
        let all = read(Tensor::cat(vec![kept, scores, rows.float()], 1)).await?;
        let crops = all.chunks_exact(2 * neighbours + 1);
        let nearest = |crop: &[f32]| {
            let (scores, rows) = crop[1..].split_at(neighbours);
            let pairs = rows.iter().zip(scores);
            pairs
                .map(|(row, score)| (*row as usize, repic::squared_l2(*score)))
                .collect()
        };
        Ok(crops.filter(|crop| crop[0] > 0.5).map(nearest).collect())
    }

    async fn patches(&self, photo: &Rgb8, host: &dyn Host) -> Result<Tensor<3>> {
        let (pixels, _) = frames(&self.processor, photo, &self.device)?;
        Ok(features(&self.dual.vision, pixels, host).await?.patches)
    }
}

/// Whether the photo can be compared with the library's embeddings at all.
fn comparable(scan: &Scan, library: &Library) -> bool {
    let index = library.index();
    !index.is_empty() && index.dim() == scan.queries.dims()[1]
}

/// Rows, ascending, of the concepts whose similarities are told whatever they are.
fn wanted_rows(question: &str, library: &Library, mode: &Mode) -> Vec<usize> {
    let index = library.index();
    let mut rows: Vec<usize> = match mode {
        Mode::Off => Vec::new(),
        Mode::All => (0..index.len()).collect(),
        Mode::Explicit(ids) => ids.iter().flat_map(|id| index.rows_of(id)).collect(),
        Mode::Auto => {
            let concepts: Vec<&Concept> = library.list().collect();
            let named = retrieval::named(question, concepts.iter().copied());
            let rows = named.iter().flat_map(|&at| index.rows_of(&concepts[at].id));
            rows.collect()
        }
    };
    rows.sort_unstable();
    rows.dedup();
    rows
}

fn unscored(concept: &Concept) -> Scored<'_> {
    Scored {
        concept,
        windows: Vec::new(),
        whole: None,
    }
}

/// Similarities of one concept, its best reference at every window, unless all of them are below `least`.
fn scored<'a>(
    concept: &'a Concept,
    scores: Option<Vec<f32>>,
    scan: &Scan,
    least: f32,
) -> Scored<'a> {
    let Some((whole, regions)) = scores.as_deref().and_then(<[f32]>::split_last) else {
        return unscored(concept);
    };
    let matters = regions.iter().any(|score| *score >= least);
    let windows = scan.windows.iter().zip(regions);
    Scored {
        concept,
        windows: windows
            .filter(|_| matters)
            .map(|(&box_, &score)| Candidate { box_, score })
            .collect(),
        whole: Some(*whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_cosines() {
        assert!(Thresholds::from_json(r#"{"window": 0.5, "whole": 0.4}"#).is_ok());
        assert!(Thresholds::from_json(r#"{"window": 1.5, "whole": 0.4}"#).is_err());
        assert!(Thresholds::from_json("{}").is_err());
    }
}
