//! Every stage of one chat in numbers, to be compared with another implementation of the same checkpoint.

use burn::tensor::Tensor;

use super::captioner::Captioner;
use super::engine::Engine;
use super::photo_features::{features, frames};
use crate::Result;
use crate::generate::read_back::read;
use crate::generate::{Photos, Session, generate_greedy};
use crate::host::Host;
use crate::image::decode;
use crate::model::connector::Visual;
use crate::text::Message;

/// A tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Elements.
    pub values: Vec<f32>,
}

/// What the stages gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The prompt as tokens, image places included.
    pub input_ids: Vec<u32>,
    /// Prepared frames `[F, 3, H, W]` of each photo.
    pub pixel_values: Vec<Values>,
    /// Visual tokens `[F * tokens per frame, hidden]`.
    pub image_features: Option<Values>,
    /// Logits `[T, vocab]` after every token of the prompt, computed in one go.
    pub logits: Values,
    /// What the model answers greedily, computed token by token with the cache.
    pub greedy_ids: Vec<u32>,
}

impl Engine {
    /// Runs a chat stage by stage. `photos` are encoded pictures, in the order of the chat's image parts.
    ///
    /// # Errors
    /// When a photo cannot be read, photos and chat disagree, the chat is too long, or on cancellation.
    pub async fn inspect(
        &self,
        messages: &[Message],
        photos: &[Vec<u8>],
        max_new_tokens: usize,
        host: &dyn Host,
    ) -> Result<Inspection> {
        let captioner = self.need_captioner()?;
        let Captioner { vlm, chat, .. } = captioner;
        let mut pixels = Vec::with_capacity(photos.len());
        let mut layouts = Vec::with_capacity(photos.len());
        let mut grids = Vec::with_capacity(photos.len());
        let mut parts = Vec::with_capacity(photos.len());
        for photo in photos {
            let (processor, vision) = captioner.sight()?;
            let (prepared, layout) = frames(processor, &decode(photo)?, self.device())?;
            let [_, _, height, width] = prepared.dims();
            grids.push(vision.token_grid(height, width));
            layouts.push(layout);
            pixels.push(values(prepared.clone()).await?);
            let features = features(&vision.tower, prepared, host).await?;
            parts.push(vision.connect(features));
        }
        let input_ids = chat.encode(messages, &layouts, true)?;
        let visual = Visual::joined(parts);
        let (spots, _) = vlm.positions(&input_ids, &grids)?;
        let reading = vlm.read_at(&input_ids, visual.as_ref(), &spots)?;
        let [_, tokens, hidden] = reading.x.dims();
        let states = vlm.forward(reading, None);
        let logits = vlm.decoder.logits(states.reshape([tokens, hidden]));

        let limit = captioner.context_length();
        let photos = visual.as_ref().map(|visual| Photos {
            visual,
            grids: &grids,
        });
        let mut session = Session::new(vlm, limit, captioner.config.image_token_id);
        let last = session
            .prefill(&input_ids, photos, host, &mut |_, _| ())
            .await?;
        let max_tokens = max_new_tokens.min(limit.saturating_sub(input_ids.len()));
        let answer = generate_greedy(&mut session, last, max_tokens, chat, host).await?;
        Ok(Inspection {
            input_ids,
            pixel_values: pixels,
            image_features: optional(visual.map(|visual| visual.tokens)).await?,
            logits: values(logits).await?,
            greedy_ids: answer.tokens,
        })
    }
}

async fn values<const D: usize>(tensor: Tensor<D>) -> Result<Values> {
    let shape = tensor.dims().to_vec();
    let values = read(tensor).await?;
    Ok(Values { shape, values })
}

async fn optional<const D: usize>(tensor: Option<Tensor<D>>) -> Result<Option<Values>> {
    match tensor {
        Some(tensor) => Ok(Some(values(tensor).await?)),
        None => Ok(None),
    }
}
