//! One sequence in the decoder: what it has read, and its cache; a new prompt pays only for what differs.

use super::batch::{Batch, Row};
use crate::host::Host;
use crate::model::connector::Visual;
use crate::model::kv_cache::KvCache;
use crate::model::positions::Grid;
use crate::model::vlm::Vlm;
use crate::{Error, Result};

/// A sequence and its cache: a [`Batch`] of one.
#[derive(Debug)]
pub struct Session<'a> {
    pub(super) batch: Batch<'a>,
    image_token: u32,
    answer: usize,
}

/// What a sequence has read, without the model: kept between requests.
#[derive(Debug)]
pub struct SessionState {
    ids: Vec<u32>,
    cache: KvCache,
}

/// The photos of a prompt as the decoder takes them.
#[derive(Debug, Clone, Copy)]
pub struct Photos<'a> {
    /// Visual tokens of all photos, in reading order.
    pub visual: &'a Visual,
    /// Rows and columns of each photo's visual tokens; only models with positions by row and column look at them.
    pub grids: &'a [Grid],
}

impl<'a> Session<'a> {
    /// An empty sequence of at most `limit` tokens.
    pub fn new(vlm: &'a Vlm, limit: usize, image_token: u32) -> Self {
        Self {
            batch: Batch::one(vlm, limit),
            image_token,
            answer: 0,
        }
    }

    /// The sequence of `state` again; of what it has read, all before its `visual_tokens + 1`th visual token remains: the photos
    /// of the next prompt are the same ones up to there.
    pub fn resume(
        vlm: &'a Vlm,
        limit: usize,
        image_token: u32,
        state: SessionState,
        visual_tokens: usize,
    ) -> Self {
        let SessionState { mut ids, mut cache } = state;
        let mut places = ids.iter().enumerate().filter(|(_, id)| **id == image_token);
        if let Some((other, _)) = places.nth(visual_tokens) {
            ids.truncate(other);
            cache.truncate(other);
        }
        let rows = vec![Row { ids, saved: 0 }];
        Self {
            batch: Batch {
                vlm,
                cache,
                rows,
                limit,
            },
            image_token,
            answer: 0,
        }
    }

    /// Answers to the prompts that follow are of at most `tokens`: room for one is made with that for its prompt. Without this the
    /// cache grows as they are written.
    pub fn expect_answer(&mut self, tokens: usize) {
        self.answer = tokens;
    }

    /// What was read, to be kept without the model.
    pub fn into_state(self) -> SessionState {
        let Batch { cache, rows, .. } = self.batch;
        let ids = rows.into_iter().next().map_or_else(Vec::new, |row| row.ids);
        SessionState { ids, cache }
    }

    /// How many tokens of this prompt [`Session::prefill`] would not read again.
    pub fn known(&self, ids: &[u32]) -> usize {
        let common = ids
            .iter()
            .zip(self.ids())
            .take_while(|(a, b)| a == b)
            .count();
        // The last token is read again even if it is known: its logits are wanted.
        common.min(ids.len().saturating_sub(1))
    }

    /// Tokens read so far.
    pub fn ids(&self) -> &[u32] {
        self.batch.ids(0)
    }

    /// Reads a prompt and returns the logits `[vocab]` of its last token. What the prompt has in
    /// common with what was read before is not read again.
    ///
    /// `photos` must begin with the same ones in every prompt of a session. `progress` hears of layers done.
    ///
    /// # Errors
    /// [`Error::Option`] for a prompt without tokens, [`Error::ContextFull`], [`Error::Cancelled`], or when photos and prompt
    /// disagree.
    pub async fn prefill(
        &mut self,
        ids: &[u32],
        photos: Option<Photos<'_>>,
        host: &dyn Host,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<f32>> {
        if ids.is_empty() {
            return Err(Error::Option {
                option: "prompt".into(),
                problem: "has no tokens; an answer needs at least one to begin with".into(),
            });
        }
        let limit = self.batch.limit;
        if ids.len() >= limit {
            return Err(Error::ContextFull {
                needed: ids.len() + 1,
                limit,
            });
        }
        let keep = self.known(ids);
        let grids = photos.map_or(&[][..], |photos| photos.grids);
        let (spots, saved) = self.batch.vlm.positions(ids, grids)?;
        self.batch.cache.truncate(keep);
        let row = &mut self.batch.rows[0];
        row.ids.truncate(keep);
        row.saved = saved;
        let rest = &ids[keep..];
        self.batch.cache.make_room(rest.len(), self.answer);
        let places = |ids: &[u32]| ids.iter().filter(|&&id| id == self.image_token).count();
        let (seen, new) = (places(&ids[..keep]), places(rest));
        let visual = match photos {
            Some(Photos { visual, .. }) if new > 0 && visual.len() >= seen + new => {
                Some(visual.narrow(seen, new))
            }
            _ => None,
        };
        let vlm = self.batch.vlm;
        let reading = vlm.read_at(rest, visual.as_ref(), &spots[keep..])?;
        let hidden = self.batch.forward(reading, host, progress).await?;
        self.batch.rows[0].ids.extend_from_slice(rest);
        let [_, tokens, _] = hidden.dims();
        self.batch.logits(hidden.narrow(1, tokens - 1, 1)).await
    }

    /// Reads one token and returns the logits `[vocab]` after it.
    ///
    /// # Errors
    /// [`Error::ContextFull`] or [`Error::Cancelled`].
    pub async fn step(&mut self, id: u32, host: &dyn Host) -> Result<Vec<f32>> {
        self.batch.step(&[id], host).await
    }
}
