//! How many tokens a request takes, known without running the captioner: photos are measured, not looked at.

use serde::Serialize;

use super::lens::Lens;
use super::prompt::PromptConcept;
use super::scene::told;
use super::types::Request;
use crate::Result;
use crate::host::Host;
use crate::image::{ImageProcessor, PhotoLayout, Rgb8, decode};

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

impl Lens {
    /// Counts the tokens of the prompt that [`Self::run`] would read.
    ///
    /// Only the retriever looks at the photo, where it has to find out which concepts matter.
    ///
    /// # Errors
    /// As [`Self::run`], but for a prompt that is too long: its length is the answer.
    pub async fn count_tokens(
        &self,
        request: &Request,
        photo: &[u8],
        host: &dyn Host,
    ) -> Result<TokenCount> {
        let question = self.question(request)?;
        let photo = decode(photo)?;
        let found = self
            .choose(request, &question, &photo, host, &mut |_| ())
            .await?;
        let (found, seen) = told(found, request.hints && self.retriever.is_some());
        let mut concepts = Vec::new();
        let mut layouts = Vec::new();
        let single = self.processor.clone().with_image_splitting(false);
        for (found, seen) in found.iter().zip(seen) {
            let concept = self.library.get(&found.id);
            let reference = concept.and_then(|concept| concept.references.first());
            let (Some(concept), Some(reference)) = (concept, reference) else {
                continue;
            };
            layouts.push(layout(&single, &decode(&reference.photo)?)?);
            concepts.push(PromptConcept::new(concept, seen));
        }
        layouts.push(layout(&self.photo_processor(request.splitting), &photo)?);
        let ids = self.encode_prompt(&concepts, &layouts, &question)?;
        let image = self.chat.image_token();
        Ok(TokenCount {
            prompt: ids.len(),
            visual: ids.iter().filter(|&&id| id == image).count(),
            limit: self.context_length(),
        })
    }
}

fn layout(processor: &ImageProcessor, photo: &Rgb8) -> Result<PhotoLayout> {
    Ok(processor.layout(&processor.process(photo)?))
}
