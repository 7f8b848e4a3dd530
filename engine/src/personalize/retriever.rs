//! Looking for known things in a photo: regions of it against reference embeddings.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::photo_features::{features, frames};
use super::windows::{self, mask};
use crate::concepts::regions::{Candidate, SAME_REGION, settled};
use crate::concepts::retrieval::{Options, Scored};
use crate::concepts::{Library, Retrieved, retrieval};
use crate::generate::session::read;
use crate::host::{Host, breathe};
use crate::image::{ImageProcessor, Rgb8};
use crate::model::dual::DualEncoder;
use crate::{Error, Result};

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
    device: Device,
}

/// What a photo looks like to the retriever: one embedding a window, and one of the whole.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Windows as fractions of the photo.
    pub windows: Vec<[f32; 4]>,
    /// `[windows, D]`, row-major, unit rows.
    pub embeddings: Vec<f32>,
    /// `[D]`, unit.
    pub whole: Vec<f32>,
}

impl Scan {
    /// The highest similarity of `references` (`[n, D]`, unit rows) to a region, and where that is.
    pub fn best_region(&self, references: &[f32]) -> Option<Candidate> {
        let windows = self.candidates(references);
        let best = windows.iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
        Some(Candidate {
            box_: settled(best, &windows, SAME_REGION),
            score: best.score,
        })
    }

    /// Every region and its similarity to the best of `references`.
    fn candidates(&self, references: &[f32]) -> Vec<Candidate> {
        let dim = self.whole.len().max(1);
        self.windows
            .iter()
            .zip(self.embeddings.chunks_exact(dim))
            .map(|(&box_, embedding)| Candidate {
                box_,
                score: best_of(references, dim, embedding),
            })
            .collect()
    }

    /// The highest similarity of `references` to the photo as a whole.
    pub fn whole_similarity(&self, references: &[f32]) -> f32 {
        best_of(references, self.whole.len().max(1), &self.whole)
    }
}

fn best_of(references: &[f32], dim: usize, embedding: &[f32]) -> f32 {
    references
        .chunks_exact(dim)
        .map(|reference| dot(embedding, reference))
        .fold(f32::MIN, f32::max)
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
        let whole = read(self.dual.embed_regions(patches.clone(), None)).await?;
        breathe(host).await?;
        let windows = match self.dual.boxes(patches.clone()) {
            Some(boxes) => windows::proposed(&read(boxes).await?),
            None => self.windows.clone(),
        };
        let mask = mask(&windows, self.grid, &self.device);
        let embeddings = read(self.dual.embed_regions(patches, Some(mask))).await?;
        Ok(Scan {
            windows,
            embeddings,
            whole,
        })
    }

    /// The concepts of `library` that matter for this photo and question.
    ///
    /// # Errors
    /// As [`retrieval::retrieve`].
    pub fn retrieve(
        &self,
        scan: Option<&Scan>,
        question: &str,
        library: &Library,
        mode: retrieval::Mode,
    ) -> Result<Vec<Retrieved>> {
        let scored: Vec<Scored<'_>> = library
            .list()
            .map(|concept| {
                let rows = library.index().rows_of(&concept.id);
                let dim = library.index().dim();
                let vectors = &library.index().vectors()[rows.start * dim..rows.end * dim];
                score(scan, concept, vectors, dim)
            })
            .collect();
        let options = Options {
            mode,
            ..Options::auto(self.thresholds.window, self.thresholds.whole)
        };
        retrieval::retrieve(question, &scored, &options)
    }

    async fn patches(&self, photo: &Rgb8, host: &dyn Host) -> Result<Tensor<3>> {
        let (pixels, _) = frames(&self.processor, photo, &self.device)?;
        Ok(features(&self.dual.vision, pixels, host).await?.patches)
    }
}

/// Similarities of one concept: its best reference at every window.
fn score<'a>(
    scan: Option<&Scan>,
    concept: &'a crate::concepts::Concept,
    references: &[f32],
    dim: usize,
) -> Scored<'a> {
    let Some(scan) = scan.filter(|_| dim > 0 && !references.is_empty()) else {
        return Scored {
            concept,
            windows: Vec::new(),
            whole: None,
        };
    };
    Scored {
        concept,
        windows: scan.candidates(references),
        whole: Some(scan.whole_similarity(references)),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
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
