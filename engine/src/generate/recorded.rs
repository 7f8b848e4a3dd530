//! Tokens one by one where a device keeps the launches of a token: recorded once an answer, then made again for each token.
//!
//! A token of a decoder of thirty layers is some 240 launches, and to put each together costs the host more than the device needs for it.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Tensor;

use super::batch::Batch;
use crate::host::{Host, breathe};
use crate::model::kv_cache::KvCache;
use crate::model::vlm::Vlm;
use crate::ops::{Recording, Step, Unrecorded};
use crate::{Error, Result};

/// Whether a recording failed: a device where one did is asked for no more.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Tokens that are read the long way before one is recorded, which costs the host two to three times as much: of a short answer it would
/// never pay, and of a long one it is soon made up for.
const BEFORE: usize = 2;

/// How the tokens of an answer are read on.
#[derive(Debug)]
pub(super) enum Recorder {
    /// So many were read the long way.
    LongWay(usize),
    /// The launches are kept.
    Kept(Box<Kept>),
    /// The device keeps none.
    Never,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::LongWay(0)
    }
}

/// The launches of a token, and where they are told which.
#[derive(Debug)]
pub(super) struct Kept {
    step: Step,
    /// The logits `[1, vocab]`.
    logits: Recording<Tensor<2>>,
}

impl Recorder {
    /// As [`Batch::advance`].
    ///
    /// # Errors
    /// As there; [`Error::Device`] when a recording fails where it should not, or the device lost it.
    pub(super) async fn advance(
        &mut self,
        batch: &mut Batch<'_>,
        ids: &[u32],
        host: &dyn Host,
    ) -> Result<Tensor<2>> {
        let &[id] = ids else {
            // Rows come and go, and each has a place of its own.
            *self = Self::Never;
            return batch.advance(ids, host).await;
        };
        // The token that fills the memory is read the long way, and so is the next, which makes room elsewhere.
        let has_room = batch.cache.len() + 1 < batch.cache.capacity();
        if has_room && matches!(self, Self::LongWay(read) if *read >= BEFORE) {
            let kept = Kept::of(batch, id)?;
            *self = kept.map_or(Self::Never, |kept| Self::Kept(Box::new(kept)));
        }
        match self {
            Self::Kept(kept) if has_room => {
                breathe(host).await?;
                return kept.read(batch, id);
            }
            Self::Kept(_) => *self = Self::LongWay(BEFORE),
            Self::LongWay(read) => *read += 1,
            Self::Never => (),
        }
        batch.advance(ids, host).await
    }
}

impl Kept {
    /// Records what it takes to read a token after all that `batch` has read; `None` where the device keeps no launches. The batch is as it
    /// was.
    ///
    /// # Errors
    /// [`Error::Device`] when it fails where it should not: the device then takes what a token's launches write for spoilt, and that is
    /// the cache. Nothing is recorded any more after that, so that another request is answered.
    fn of(batch: &mut Batch<'_>, id: u32) -> Result<Option<Self>> {
        if batch.cache.starts() != [0] || FAILED.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(step) = batch.vlm.new_step() else {
            return Ok(None);
        };
        tell(batch, &step, id)?;
        match record(batch.vlm, &mut batch.cache, &step) {
            Ok(logits) => Ok(Some(Self { step, logits })),
            Err(Unrecorded::Refused) => Ok(None),
            Err(Unrecorded::Spoilt(problem)) => {
                FAILED.store(true, Ordering::Relaxed);
                let problem = format!("a token could not be recorded; ask again: {problem}");
                Err(Error::Device { problem })
            }
        }
    }

    /// Lets the one row of `batch` read `id`; the logits `[1, vocab]` after it stay on the device, until the next token is read.
    fn read(&self, batch: &mut Batch<'_>, id: u32) -> Result<Tensor<2>> {
        tell(batch, &self.step, id)?;
        let logits = self.logits.replay();
        let logits = logits.map_err(|problem| Error::Device { problem })?.clone();
        batch.cache.advance(1);
        batch.rows[0].ids.push(id);
        Ok(logits)
    }
}

/// Records a token's way through the decoder, with the cache as it is.
fn record(vlm: &Vlm, cache: &mut KvCache, step: &Step) -> Result<Recording<Tensor<2>>, Unrecorded> {
    cache.tell(Some(step.clone()));
    let logits = Recording::of(step, || {
        let mut reading = vlm.read_told(step);
        for layer in 0..vlm.decoder.depth() {
            vlm.layer(layer, &mut reading, Some(cache));
        }
        let hidden = vlm.decoder.finish(reading.x);
        let [_, _, width] = hidden.dims();
        vlm.decoder.logits(hidden.reshape([1, width]))
    });
    cache.tell(None);
    logits
}

/// Tells the device of the next token of the one row of `batch`.
fn tell(batch: &Batch<'_>, step: &Step, id: u32) -> Result<()> {
    let position = batch.rows[0].position();
    batch.vlm.tell(step, id, position, batch.cache.len())
}
