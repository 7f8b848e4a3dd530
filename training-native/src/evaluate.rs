//! Evaluation on held-out things and names: captions, recognition, boxes, refusals, and where errors arise.

mod bench;

use anyhow::Result;
use namelens_engine::personalize::Engine;
use playroom::{Split, Task};
use serde::Serialize;

use crate::metrics::answers::{Boxes, Recognition};
use crate::metrics::rates::Estimate;
use crate::metrics::{repic_compat, strict};
use bench::Bench;

/// What to evaluate on.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EvalOptions {
    /// Photos a condition.
    pub photos: u64,
    /// Seed of the photos.
    pub seed: u64,
    /// Side photos are drawn at, pixels.
    pub side: u32,
}

/// What the captioner is given besides the photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The right concepts, and where the retriever sees them.
    Skip,
    /// What retrieval finds.
    Retrieval,
    /// The right concepts and nothing else: what the captioner recognises by itself.
    Unaided,
}

impl Mode {
    /// As reports call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Retrieval => "retrieval",
            Self::Unaided => "unaided",
        }
    }
}

/// Captions of photos with a given number of named things.
#[derive(Debug, Clone, Serialize)]
pub struct CaptionReport {
    /// Named things in each photo.
    pub concepts: usize,
    /// The word of a [`Mode`].
    pub mode: &'static str,
    /// Span metric that also counts false names.
    pub strict: strict::Report,
    /// RePIC's own script, artefacts included.
    pub repic_compat: repic_compat::Report,
    /// Expected names that were not handed to the model.
    pub lost_in_retrieval: usize,
    /// Expected names that were handed over but not written.
    pub lost_in_generation: usize,
    /// Concepts handed over that are not in the photo.
    pub retrieved_wrongly: usize,
    /// Boxes of the names in the caption.
    pub mention_boxes: Boxes,
    /// Regions that retrieval found for things that are in the photo.
    pub regions: Boxes,
}

/// All figures of one evaluation.
#[derive(Debug, Clone, Serialize)]
pub struct EvalReport {
    /// How it was made.
    pub options: EvalOptions,
    /// Split.
    pub split: &'static str,
    /// SHA-256 of what the split holds.
    pub split_digest: String,
    /// By number of things and mode.
    pub captions: Vec<CaptionReport>,
    /// Yes or no.
    pub recognition: Recognition,
    /// The same without hints of the retriever.
    pub recognition_unaided: Recognition,
    /// Where.
    pub boxes: Boxes,
    /// The same without hints of the retriever.
    pub boxes_unaided: Boxes,
    /// Questions on things that are not in the photo, refused as such.
    pub refused_absent: Estimate,
    /// Questions on names nobody introduced, refused as such.
    pub refused_unknown: Estimate,
    /// Answerable questions that were answered.
    pub answered: Estimate,
    /// Answerable questions whose answer is the right one, word for word.
    pub answered_right: Estimate,
    /// Colour and category words of captions without names.
    pub plain_attributes: Estimate,
}

/// Evaluates a model on `split`. `progress` hears of photos done.
///
/// # Errors
/// When a photo cannot be processed or the device fails.
pub fn evaluate(
    engine: &mut Engine,
    split: Split,
    options: EvalOptions,
    progress: &dyn Fn(u64),
) -> Result<EvalReport> {
    let mut bench = Bench {
        engine,
        split,
        options,
        progress,
    };
    let mut captions = Vec::new();
    for concepts in [1, 2, 4] {
        for mode in [Mode::Skip, Mode::Retrieval, Mode::Unaided] {
            captions.push(bench.captions(concepts, mode)?);
        }
    }
    let recognition = bench.recognition(true)?;
    let recognition_unaided = bench.recognition(false)?;
    let boxes = bench.boxes(true)?;
    let boxes_unaided = bench.boxes(false)?;
    let refused_absent = bench.refusals(Task::RefuseAbsent, "absent")?;
    let refused_unknown = bench.refusals(Task::RefuseUnknown, "unknown")?;
    let (answered, answered_right) = bench.answerable()?;
    let plain_attributes = bench.plain()?;
    Ok(EvalReport {
        options,
        split: split.word(),
        split_digest: playroom::held_out_digest(split),
        captions,
        recognition,
        recognition_unaided,
        boxes,
        boxes_unaided,
        refused_absent,
        refused_unknown,
        answered,
        answered_right,
        plain_attributes,
    })
}
