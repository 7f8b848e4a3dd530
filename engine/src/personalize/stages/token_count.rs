//! How many tokens a request takes, known without running the captioner: photos are measured, not looked at.

use serde::Serialize;

use super::caller::Caller;
use super::vision_pass::processor;
use super::{choose, prompt, question, retrieve};
use crate::Result;
use crate::host::Host;
use crate::image::{ImageProcessor, PhotoLayout, Rgb8, decode};
use crate::personalize::captioner::Captioner;
use crate::personalize::engine::Engine;
use crate::personalize::messages::ImageRef;
use crate::personalize::photo_cache::PhotoCache;
use crate::personalize::types::Request;

/// The tokens of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TokenCount {
    /// Of the whole prompt.
    pub prompt: usize,
    /// Those of them that stand for photos.
    pub visual: usize,
    /// How many the model holds, with the answer.
    pub limit: usize,
}

impl Engine {
    /// Counts the tokens of the prompt that [`Self::run`] would read, or [`Self::reply`] where there is no photo.
    ///
    /// Only the retriever looks at the photo, where it has to find out which concepts matter. What was kept of the photo last
    /// asked about stays.
    ///
    /// # Errors
    /// As [`Self::run`], but for a prompt that is too long: its length is the answer.
    pub async fn count_tokens(
        &self,
        request: &Request,
        photo: Option<&[u8]>,
        host: &dyn Host,
    ) -> Result<TokenCount> {
        let question = question::question(request, &self.library)?;
        let captioner = self.need_captioner()?;
        let Some(photo) = photo else {
            question::check_without_photo(request)?;
            let prompt = prompt::Prompt::without_photo(request, question);
            let (ids, _) = prompt.encode(captioner, |_| None)?;
            return Ok(count(captioner, &ids));
        };
        captioner.vlm.vision()?;
        let photo = decode(photo)?;
        let mut cache = PhotoCache::default();
        let on_event = &mut |_| ();
        let mut caller = Caller { host, on_event };
        let found =
            retrieve::retrieve(self, request, &question, &photo, &mut cache, &mut caller).await?;
        let chosen = choose::choose(self, &found, request.hints);
        let single = processor(captioner, Some(false))?;
        let references: Vec<PhotoLayout> = chosen
            .iter()
            .map(|chosen| layout(&single, &decode(&chosen.photo)?))
            .collect::<Result<_>>()?;
        let asked = layout(&processor(captioner, request.splitting)?, &photo)?;
        let prompt = prompt::Prompt::new(request, &chosen, question);
        let (ids, _) = prompt.encode(captioner, |place| match place {
            ImageRef::Reference(at) => references.get(at).copied(),
            ImageRef::Photo => Some(asked),
        })?;
        Ok(count(captioner, &ids))
    }
}

fn count(captioner: &Captioner, ids: &[u32]) -> TokenCount {
    let image = captioner.chat.image_token();
    TokenCount {
        prompt: ids.len(),
        visual: ids.iter().filter(|&&id| Some(id) == image).count(),
        limit: captioner.context_length(),
    }
}

fn layout(processor: &ImageProcessor, photo: &Rgb8) -> Result<PhotoLayout> {
    Ok(processor.layout(&processor.process(photo)?))
}
