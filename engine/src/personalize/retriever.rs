//! Looking for known things in a photo: windows of the patch grid against reference embeddings.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::look::{features, frames};
use crate::concepts::retrieval::{Candidate, Options, Scored};
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
    /// The highest similarity of `references` (`[n, D]`, unit rows) to a window, and that window.
    pub fn best_window(&self, references: &[f32]) -> (f32, [f32; 4]) {
        let dim = self.whole.len().max(1);
        let mut best = (f32::MIN, [0.0, 0.0, 1.0, 1.0]);
        for (&window, embedding) in self.windows.iter().zip(self.embeddings.chunks_exact(dim)) {
            let score = best_of(references, dim, embedding);
            if score > best.0 {
                best = (score, window);
            }
        }
        best
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
            windows: windows(grid),
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
        let mask = window_mask(&self.windows, self.grid, &self.device);
        let embeddings = read(self.dual.embed_regions(patches, Some(mask))).await?;
        Ok(Scan {
            windows: self.windows.clone(),
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
        features(&self.dual.vision, pixels, host).await
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
    let best = |embedding: &[f32]| best_of(references, dim, embedding);
    let windows = scan
        .windows
        .iter()
        .zip(scan.embeddings.chunks_exact(dim))
        .map(|(&box_, embedding)| Candidate {
            box_,
            score: best(embedding),
        })
        .collect();
    Scored {
        concept,
        windows,
        whole: Some(best(&scan.whole)),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Windows of a grid of patches: sides of a quarter to all of it, aspect ratios up to 3 : 5.
fn windows(grid: usize) -> Vec<[f32; 4]> {
    let sides: Vec<usize> = [0.25, 0.34, 0.42, 0.5, 0.67, 0.83]
        .iter()
        .map(|share| ((grid as f32 * share).round() as usize).max(1))
        .collect();
    let mut out = Vec::new();
    for &w in &sides {
        for &h in &sides {
            if 5 * w.min(h) < 3 * w.max(h) {
                continue;
            }
            let stride = (w.min(h) / 4).max(1);
            for y in (0..=grid - h).step_by(stride) {
                for x in (0..=grid - w).step_by(stride) {
                    let share = |v: usize| v as f32 / grid as f32;
                    out.push([share(x), share(y), share(x + w), share(y + h)]);
                }
            }
        }
    }
    out
}

/// `[1, R, P]`, `true` where a patch centre lies outside window R.
fn window_mask(windows: &[[f32; 4]], grid: usize, device: &Device) -> Tensor<3, Bool> {
    let centre = |i: usize| (i as f32 + 0.5) / grid as f32;
    let outside: Vec<bool> = windows
        .iter()
        .flat_map(|&[x0, y0, x1, y1]| {
            (0..grid * grid).map(move |i| {
                let (x, y) = (centre(i % grid), centre(i / grid));
                !(x >= x0 && x <= x1 && y >= y0 && y <= y1)
            })
        })
        .collect();
    let data = TensorData::new(outside, [1, windows.len(), grid * grid]);
    Tensor::from_data(data, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_inside_and_never_repeat() {
        let all = windows(12);
        assert!(all.len() > 200 && all.len() < 2000, "{}", all.len());
        for (i, w) in all.iter().enumerate() {
            assert!(w[0] >= 0.0 && w[1] >= 0.0 && w[2] <= 1.0 && w[3] <= 1.0);
            assert!(!all[..i].contains(w));
        }
    }

    #[test]
    fn thresholds_are_cosines() {
        assert!(Thresholds::from_json(r#"{"window": 0.5, "whole": 0.4}"#).is_ok());
        assert!(Thresholds::from_json(r#"{"window": 1.5, "whole": 0.4}"#).is_err());
        assert!(Thresholds::from_json("{}").is_err());
    }
}
