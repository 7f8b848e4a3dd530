//! What a photo looks like to the retriever: one embedding a region, and one of the whole.

use burn::tensor::Tensor;

use super::look::Look;
use crate::concepts::FlatIndex;
use crate::concepts::regions::{Candidate, SAME_REGION, settled};

/// What a photo looks like to the retriever: one embedding a window, and one of the whole.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Windows as fractions of the photo.
    pub windows: Vec<[f32; 4]>,
    /// `[windows, D]`, row-major, unit rows.
    pub embeddings: Vec<f32>,
    /// `[D]`, unit.
    pub whole: Vec<f32>,
    /// Both on the device, the whole last: `[windows + 1, D]`; nothing but its width for a convolutional encoder.
    pub(super) queries: Tensor<2>,
    /// What a convolutional encoder keeps of the photo, the first look and perhaps a closer one; empty of other encoders.
    pub(super) looks: Vec<Look>,
    /// What the further encoders of the retriever saw of the photo, in their order.
    pub(super) others: Vec<Scan>,
}

impl Scan {
    /// The scan of a convolutional encoder: windows and maps, compared by its own search.
    pub(super) fn of_look(look: Look) -> Self {
        Self {
            windows: look.windows.clone(),
            embeddings: Vec::new(),
            whole: Vec::new(),
            queries: Tensor::zeros([1, look.dim()], &look.device()),
            looks: vec![look],
            others: Vec::new(),
        }
    }

    /// What the encoder of this number saw.
    pub(super) fn of(&mut self, encoder: usize) -> Option<&mut Self> {
        match encoder {
            0 => Some(self),
            _ => self.others.get_mut(encoder - 1),
        }
    }

    /// Whether it can be compared with these embeddings at all.
    pub(super) fn fits(&self, index: &FlatIndex) -> bool {
        !index.is_empty() && index.dim() == self.queries.dims()[1]
    }

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

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
