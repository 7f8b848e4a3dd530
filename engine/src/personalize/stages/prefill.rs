//! Stage 6: the decoder reads the prompt; what it read for the same photo before is not read again.

use super::caller::Caller;
use super::prompt::PromptTokens;
use crate::Result;
use crate::generate::{Generated, Session};
use crate::personalize::captioner::Captioner;
use crate::personalize::photo_cache::{KeptSession, PhotoCache, PhotoKey};
use crate::personalize::types::{Event, Stage, TokenCounts};

/// A prompt that the decoder has read.
pub(super) struct Read<'a> {
    /// The sequence in the decoder.
    pub(super) session: Session<'a>,
    /// Logits after the prompt.
    pub(super) logits: Vec<f32>,
    /// Tokens of the prompt.
    pub(super) prompt: usize,
    /// How many of them were known from an earlier request.
    reused: usize,
    photos: Vec<(PhotoKey, usize)>,
}

/// Reads the prompt, with room for an answer of at most `answer` tokens.
pub(super) async fn prefill<'a>(
    captioner: &'a Captioner,
    prompt: PromptTokens,
    answer: usize,
    cache: &mut PhotoCache,
    caller: &mut Caller<'_>,
) -> Result<Read<'a>> {
    let limit = captioner.context_length();
    let image_token = captioner.config.image_token_id;
    let mut session = match cache.session.take() {
        Some(kept) => kept.resume(&captioner.vlm, limit, image_token, &prompt.photos),
        None => Session::new(&captioner.vlm, limit, image_token),
    };
    session.expect_answer(answer);
    let reused = session.known(&prompt.ids);
    let Caller { host, on_event } = caller;
    let mut progress = |done, total| {
        on_event(Event::Stage {
            stage: Stage::Prefill,
            done,
            total,
        })
    };
    let logits = session
        .prefill(&prompt.ids, prompt.visual(), *host, &mut progress)
        .await?;
    Ok(Read {
        session,
        logits,
        prompt: prompt.ids.len(),
        reused,
        photos: prompt.photos,
    })
}

impl Read<'_> {
    /// How many tokens were read and written.
    pub(super) fn counts(&self, answer: &Generated) -> TokenCounts {
        TokenCounts {
            prompt: self.prompt,
            reused: self.reused,
            generated: answer.tokens.len(),
        }
    }

    /// What a further request about the same photo goes on from.
    pub(super) fn into_kept(self) -> KeptSession {
        KeptSession::new(self.session, self.photos)
    }
}
