//! Contrastive stage: regions of photos against their descriptions and against each other.
//!
//! The loss is SigLIP's pairwise sigmoid (Zhai et al., arXiv 2303.15343), with two changes: an image
//! side is a *region*, pooled by the same attention head that pools whole photos, and regions of
//! other photos are contrasted too, because retrieval compares photos with reference photos. Beside
//! it every patch on a thing learns to tell the thing's attributes ([`super::attribute_loss`]).

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, activation};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::dual::DualEncoder;
use namelens_engine::model::dual_config::DualConfig;
use namelens_engine::model::linear::Linear;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::text::Tokenizer;
use playroom::{Identity, Rng, Split};

use super::attribute_loss;
use super::batch::{indices, padded_ids, pixels, region_mask};
use super::regions::{self, Region};
use crate::presets::TEXT_LEN;
use crate::train::fit::BatchKey;
use crate::train::{Loss, Objective};

/// The dual encoder and what only its training needs.
#[derive(Module, Debug)]
pub struct Student {
    /// What is kept.
    pub dual: DualEncoder,
    /// Reads attributes off patches; see [`attribute_loss`].
    attributes: Linear,
}

/// Prefix of parameters that no bundle holds.
pub const TRAINING_ONLY: &str = "training.";

impl Student {
    /// Builds the encoder and `training.attributes`.
    ///
    /// # Errors
    /// When the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &DualConfig) -> namelens_engine::Result<Self> {
        let width = config.vision_config.hidden_size;
        Ok(Self {
            dual: DualEncoder::new(p, config)?,
            attributes: Linear::new(
                p,
                "training.attributes",
                width,
                attribute_loss::CLASSES,
                true,
            )?,
        })
    }
}

/// Weight of the patches' attributes beside the contrasts.
const ATTRIBUTE_WEIGHT: f32 = 0.5;

/// The contrastive objective.
#[derive(Debug)]
pub struct Contrastive {
    /// Prepares photos.
    pub processor: ImageProcessor,
    /// Encodes descriptions.
    pub tokenizer: Tokenizer,
    /// Id texts are padded with.
    pub pad: u32,
    /// Pairs of photos a part; both photos of a pair show some of the same things.
    pub pairs: usize,
    /// Patches along a side.
    pub grid: usize,
    /// Where batches are placed.
    pub device: Device,
}

impl Objective<Student> for Contrastive {
    fn options(&self) -> serde_json::Value {
        serde_json::json!({ "batch": self.pairs })
    }

    fn loss(&self, student: &Student, batch: BatchKey) -> Result<Loss> {
        let model = &student.dual;
        let mut photos = Vec::new();
        let mut regions = Vec::new();
        let mut texts: Vec<(Identity, String)> = Vec::new();
        for index in 0..self.pairs {
            let seed = batch.sample_seed(index as u64, self.pairs as u64);
            let mut rng = Rng::new(seed, 0x7e61);
            // Several sizes, so that the resampling of real uploads is nothing new.
            let side = [96, 96, 128, 192][rng.below(4)];
            let (a, b) = playroom::pair(seed, Split::Train, side);
            for sample in [a, b] {
                regions::add(&sample, photos.len(), &mut regions, &mut texts, &mut rng);
                photos.push(sample.photo);
            }
        }
        let all: Vec<_> = photos.iter().collect();
        let patches = model
            .vision
            .forward(pixels(&self.processor, &all, &self.device)?);
        let truth = attribute_loss::truth(&regions::by_photo(&regions, photos.len()), self.grid);
        let (with_attributes, mut figures) =
            attribute_loss::loss(&student.attributes, &patches, &truth, &self.device);
        let predicted = model.boxes(patches.clone());
        let predicted = predicted.context("the encoder has no box head to train")?;
        let (with_edges, distance) = attribute_loss::edge_loss(predicted, &truth, &self.device);
        let embedded = self.embed(model, patches, &regions, photos.len());
        let rows = self.encode_texts(&texts)?;
        let ids = padded_ids(&rows, Some(TEXT_LEN), self.pad, &self.device);
        let text = model.embed_texts(ids);
        let (with_text, text_accuracy) = self.text_loss(model, &embedded, text, &regions, &texts);
        let (with_regions, region_accuracy) = self.region_loss(model, embedded, &regions);
        figures.extend([
            ("edge_error".into(), distance),
            ("loss_text".into(), scalar(&with_text)),
            ("loss_region".into(), scalar(&with_regions)),
            ("text_top1".into(), text_accuracy),
            ("region_top1".into(), region_accuracy),
        ]);
        let loss = with_text + with_regions + (with_attributes + with_edges) * ATTRIBUTE_WEIGHT;
        // Every part compares its own photos with each other, and all parts have as many.
        Ok(Loss::of_mean(loss, 1.0, figures))
    }
}

impl Contrastive {
    /// Unit embeddings `[regions, D]`, in the order of `regions` (which is by photo).
    fn embed(
        &self,
        model: &DualEncoder,
        patches: Tensor<3>,
        regions: &[Region],
        photos: usize,
    ) -> Tensor<2> {
        let mut places = vec![Vec::new(); photos];
        let mut slots = Vec::with_capacity(regions.len());
        for region in regions {
            slots.push((region.photo, places[region.photo].len()));
            places[region.photo].push(region.place);
        }
        let most = places.iter().map(Vec::len).max().unwrap_or(1);
        let mask = region_mask(&places, self.grid, &self.device);
        let embedded = model.embed_regions(patches, Some(mask));
        let [_, _, width] = embedded.dims();
        let rows: Vec<usize> = slots
            .iter()
            .map(|(photo, slot)| photo * most + slot)
            .collect();
        embedded
            .reshape([photos * most, width])
            .select(0, indices(&rows, &self.device))
    }

    fn encode_texts(&self, texts: &[(Identity, String)]) -> Result<Vec<Vec<u32>>> {
        texts
            .iter()
            .map(|(_, text)| Ok(self.tokenizer.encode(text, false)?))
            .collect()
    }

    /// Every region against every text of the batch.
    fn text_loss(
        &self,
        model: &DualEncoder,
        regions: &Tensor<2>,
        texts: Tensor<2>,
        truth: &[Region],
        known: &[(Identity, String)],
    ) -> (Tensor<1>, f64) {
        let logits = model.pair_logits(regions.clone(), texts);
        let same = |r: usize, t: usize| truth[r].identity.as_ref() == Some(&known[t].0);
        let accuracy = top1(
            &logits,
            truth.len(),
            known.len(),
            |r| truth[r].identity.is_some(),
            same,
        );
        let labels = self.labels(truth.len(), known.len(), |r, t| {
            if same(r, t) { 1.0 } else { -1.0 }
        });
        (pairwise(logits, labels, truth.len()), accuracy)
    }

    /// Every region against the regions of all other photos.
    fn region_loss(
        &self,
        model: &DualEncoder,
        regions: Tensor<2>,
        truth: &[Region],
    ) -> (Tensor<1>, f64) {
        let n = truth.len();
        let logits = model.pair_logits(regions.clone(), regions);
        let same = |a: usize, b: usize| {
            truth[a].photo != truth[b].photo
                && truth[a].identity.is_some()
                && truth[a].identity == truth[b].identity
        };
        let has_partner = |a: usize| (0..n).any(|b| same(a, b));
        // A region must beat every region that is not itself.
        let masked = logits.clone() - Tensor::<2>::eye(n, &self.device) * 1e4;
        let accuracy = top1(&masked, n, n, has_partner, same);
        let labels = self.labels(n, n, |a, b| match (a == b, same(a, b)) {
            (true, _) => 0.0,
            (_, true) => 1.0,
            // Two backgrounds are neither the same thing nor different things.
            _ if truth[a].identity.is_none() && truth[b].identity.is_none() => 0.0,
            _ => -1.0,
        });
        (pairwise(logits, labels, n), accuracy)
    }

    fn labels(&self, rows: usize, cols: usize, label: impl Fn(usize, usize) -> f32) -> Tensor<2> {
        let values: Vec<f32> = (0..rows * cols)
            .map(|i| label(i / cols, i % cols))
            .collect();
        Tensor::from_data(TensorData::new(values, [rows, cols]), &self.device)
    }
}

/// `-Σ log σ(label · logit) / rows` over labels ±1; label 0 leaves a pair out.
fn pairwise(logits: Tensor<2>, labels: Tensor<2>, rows: usize) -> Tensor<1> {
    let counted = labels.clone().abs();
    let terms = activation::log_sigmoid(logits * labels) * counted;
    -terms.sum() / rows as f32
}

/// Fraction of the counted rows whose largest logit is a right one.
fn top1(
    logits: &Tensor<2>,
    rows: usize,
    cols: usize,
    counts: impl Fn(usize) -> bool,
    right: impl Fn(usize, usize) -> bool,
) -> f64 {
    let values = logits
        .clone()
        .into_data()
        .convert::<f32>()
        .try_to_vec::<f32>()
        .unwrap_or_default();
    let (mut hits, mut total) = (0usize, 0usize);
    for (r, row) in values.chunks_exact(cols).enumerate().take(rows) {
        if !counts(r) {
            continue;
        }
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        hits += usize::from(best.is_some_and(|(c, _)| right(r, c)));
        total += 1;
    }
    hits as f64 / total.max(1) as f64
}

fn scalar(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().into_scalar::<f32>())
}
