//! Stage 5: concepts, photos and question as token ids.

use super::choose::Chosen;
use super::vision_pass::EncodedPhotos;
use crate::Result;
use crate::concepts::Concept;
use crate::generate::Photos;
use crate::image::PhotoLayout;
use crate::model::connector::Visual;
use crate::model::positions::Grid;
use crate::personalize::captioner::Captioner;
use crate::personalize::messages::{
    self, Exchange, ImageRef, PromptConcept, PromptPart, PromptStyle,
};
use crate::personalize::photo_cache::{EncodedPhoto, PhotoKey};
use crate::personalize::sanitize;
use crate::personalize::types::Request;

/// A prompt as the decoder reads it.
pub(super) struct PromptTokens {
    /// Token ids, an image token for each visual token.
    pub(super) ids: Vec<u32>,
    /// Which photos it shows, in its order, and the number of visual tokens of each.
    pub(super) photos: Vec<(PhotoKey, usize)>,
    visual: Option<Visual>,
    grids: Vec<Grid>,
}

impl PromptTokens {
    /// The photos as the decoder takes them.
    pub(super) fn visual(&self) -> Option<Photos<'_>> {
        self.visual.as_ref().map(|visual| Photos {
            visual,
            grids: &self.grids,
        })
    }
}

/// What one prompt speaks of.
pub(super) struct Prompt<'a> {
    /// The concepts, in the order of the prompt.
    pub(super) chosen: &'a [Chosen],
    concepts: Vec<PromptConcept>,
    earlier: &'a [Exchange],
    question: String,
    style: PromptStyle,
    /// Whether it is about a photo.
    shows_photo: bool,
}

impl<'a> Prompt<'a> {
    /// The prompt of a request about a photo.
    pub(super) fn new(request: &'a Request, chosen: &'a [Chosen], question: String) -> Self {
        Self {
            concepts: chosen
                .iter()
                .map(|chosen| PromptConcept::new(&chosen.concept, chosen.hint))
                .collect(),
            chosen,
            earlier: &request.earlier,
            question,
            style: request.style,
            shows_photo: true,
        }
    }

    /// The prompt of a request about no photo: what was said, and the question.
    pub(super) fn without_photo(request: &'a Request, question: String) -> Self {
        Self {
            shows_photo: false,
            ..Self::new(request, &[], question)
        }
    }

    /// The same photos and concepts with another question and nothing said before.
    pub(super) fn with_question(&self, question: String) -> Prompt<'_> {
        Prompt {
            chosen: self.chosen,
            concepts: self.concepts.clone(),
            earlier: &[],
            question,
            style: self.style,
            shows_photo: self.shows_photo,
        }
    }

    /// The concepts as the library has them.
    pub(super) fn library_concepts(&self) -> impl Iterator<Item = &Concept> {
        self.chosen.iter().map(|chosen| &chosen.concept)
    }

    /// The prompt as the decoder reads it.
    ///
    /// # Errors
    /// When the chat template or the tokenizer fails.
    pub(super) fn tokens(
        &self,
        captioner: &Captioner,
        photos: &EncodedPhotos,
    ) -> Result<PromptTokens> {
        let layout = |place| photos.get(place).map(|(_, photo)| photo.layout);
        let (ids, places) = self.encode(captioner, layout)?;
        let shown: Vec<(PhotoKey, &EncodedPhoto)> = places
            .into_iter()
            .filter_map(|place| photos.get(place))
            .collect();
        Ok(PromptTokens {
            ids,
            visual: Visual::joined(
                shown
                    .iter()
                    .map(|(_, photo)| photo.visual.clone())
                    .collect(),
            ),
            grids: shown.iter().map(|(_, photo)| photo.grid).collect(),
            photos: shown
                .into_iter()
                .map(|(key, photo)| (key, photo.visual.len()))
                .collect(),
        })
    }

    /// The prompt's token ids, and the photos it shows in their order; `layout` tells how each is shown.
    ///
    /// # Errors
    /// As [`Self::tokens`].
    pub(super) fn encode(
        &self,
        captioner: &Captioner,
        layout: impl Fn(ImageRef) -> Option<PhotoLayout>,
    ) -> Result<(Vec<u32>, Vec<ImageRef>)> {
        let mut messages =
            messages::build(self.style, &self.concepts, self.earlier, &self.question);
        if !self.shows_photo {
            let photo = PromptPart::Image(ImageRef::Photo);
            for message in &mut messages {
                message.parts.retain(|part| *part != photo);
            }
        }
        let mut places = Vec::new();
        let mut turns = Vec::with_capacity(messages.len());
        for message in &messages {
            let (turn, pictures) = message.for_template();
            turns.push(turn);
            places.extend(pictures);
        }
        let layouts: Vec<PhotoLayout> = places.iter().filter_map(|&place| layout(place)).collect();
        Ok((captioner.chat.encode(&turns, &layouts, true)?, places))
    }

    /// The names an answer may write in brackets: those of the concepts, and those the question asks for.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .concepts
            .iter()
            .map(|concept| sanitize::name(&concept.name))
            .collect();
        let known: Vec<(&str, &str)> = self
            .library_concepts()
            .flat_map(|c| c.names().map(|name| (name, c.name.as_str())))
            .collect();
        let asked = sanitize::question(&self.question, &known, sanitize::Names::Mark);
        names.extend(
            asked
                .split('<')
                .skip(1)
                .filter_map(|rest| rest.split_once('>').map(|(name, _)| name.to_owned())),
        );
        names
    }
}
