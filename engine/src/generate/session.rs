//! One sequence in the decoder: what it has read, and its cache; a new prompt pays only for what differs.

use burn::tensor::Tensor;

use crate::host::{Host, breathe};
use crate::model::connector::Visual;
use crate::model::kv_cache::KvCache;
use crate::model::positions::Grid;
use crate::model::vlm::{Reading, Vlm};
use crate::{Error, Result};

/// A sequence and its cache.
#[derive(Debug)]
pub struct Session<'a> {
    vlm: &'a Vlm,
    ids: Vec<u32>,
    cache: KvCache,
    limit: usize,
    image_token: u32,
    /// What the next token's index exceeds its position by: photos take fewer positions than tokens.
    saved: usize,
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
            vlm,
            ids: Vec::new(),
            cache: vlm.new_cache(limit),
            limit,
            image_token,
            saved: 0,
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
        Self {
            vlm,
            ids,
            cache,
            limit,
            image_token,
            saved: 0,
        }
    }

    /// What was read, to be kept without the model.
    pub fn into_state(self) -> SessionState {
        SessionState {
            ids: self.ids,
            cache: self.cache,
        }
    }

    /// How many tokens of this prompt [`Session::prefill`] would not read again.
    pub fn known(&self, ids: &[u32]) -> usize {
        let common = ids
            .iter()
            .zip(&self.ids)
            .take_while(|(a, b)| a == b)
            .count();
        // The last token is read again even if it is known: its logits are wanted.
        common.min(ids.len().saturating_sub(1))
    }

    /// Tokens read so far.
    pub fn ids(&self) -> &[u32] {
        &self.ids
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
        if ids.len() >= self.limit {
            return Err(Error::ContextFull {
                needed: ids.len() + 1,
                limit: self.limit,
            });
        }
        let keep = self.known(ids);
        let grids = photos.map_or(&[][..], |photos| photos.grids);
        let (spots, saved) = self.vlm.positions(ids, grids)?;
        self.ids.truncate(keep);
        self.cache.truncate(keep);
        self.saved = saved;
        let rest = &ids[keep..];
        let places = |ids: &[u32]| ids.iter().filter(|&&id| id == self.image_token).count();
        let (seen, new) = (places(&ids[..keep]), places(rest));
        let visual = match photos {
            Some(Photos { visual, .. }) if new > 0 && visual.len() >= seen + new => {
                Some(visual.narrow(seen, new))
            }
            _ => None,
        };
        let reading = self.vlm.read_at(rest, visual.as_ref(), &spots[keep..])?;
        let hidden = self.forward(reading, host, progress).await?;
        self.ids.extend_from_slice(rest);
        let [_, tokens, _] = hidden.dims();
        self.logits(hidden.narrow(1, tokens - 1, 1)).await
    }

    /// Reads one token and returns the logits `[vocab]` after it.
    ///
    /// # Errors
    /// [`Error::ContextFull`] or [`Error::Cancelled`].
    pub async fn step(&mut self, id: u32, host: &dyn Host) -> Result<Vec<f32>> {
        if self.cache.remaining() == 0 {
            return Err(Error::ContextFull {
                needed: self.limit + 1,
                limit: self.limit,
            });
        }
        breathe(host).await?;
        let position = self.ids.len() - self.saved.min(self.ids.len());
        let reading = self.vlm.read_from(&[id], None, position)?;
        let hidden = self.vlm.forward(reading, Some(&mut self.cache));
        self.ids.push(id);
        self.logits(hidden).await
    }

    async fn forward(
        &mut self,
        mut reading: Reading,
        host: &dyn Host,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Tensor<3>> {
        let tokens = reading.x.dims()[1];
        let depth = self.vlm.decoder.depth();
        for layer in 0..depth {
            breathe(host).await?;
            self.vlm.layer(layer, &mut reading, Some(&mut self.cache));
            progress(layer + 1, depth);
        }
        self.cache.advance(tokens);
        Ok(self.vlm.decoder.finish(reading.x))
    }

    /// Hidden state `[1, 1, hidden]` to host logits: the one read-back of a token.
    async fn logits(&self, hidden: Tensor<3>) -> Result<Vec<f32>> {
        let [_, _, width] = hidden.dims();
        read(self.vlm.decoder.logits(hidden.reshape([1, width]))).await
    }
}

/// Reads a tensor back without blocking the thread.
///
/// # Errors
/// [`Error::Device`] when the device failed.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |problem: String| Error::Device { problem };
    let data = tensor
        .into_data_async()
        .await
        .map_err(|error| failed(format!("reading a result failed: {error}")))?;
    data.convert::<f32>()
        .try_to_vec::<f32>()
        .map_err(|error| failed(format!("a result has an unexpected type: {error:?}")))
}
