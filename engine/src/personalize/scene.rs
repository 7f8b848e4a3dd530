//! What the model is shown: the question, the concepts that matter, photos as visual tokens, the prompt.

use burn::tensor::Tensor;

use super::lens::Lens;
use super::look::{features, frames};
use super::prompt::{self, ImageRef, PromptConcept, PromptStyle};
use super::sanitize;
use super::seen::{self, Seen};
use super::types::{Event, Kind, Request, Stage};
use crate::concepts::{Concept, Retrieved, retrieval};
use crate::generate::Session;
use crate::host::Host;
use crate::image::{PhotoLayout, Rgb8, decode};
use crate::{Error, Result};

/// Where one request stands: its concepts, photos as visual tokens, and the sequence in the decoder.
pub(super) struct Scene<'a> {
    pub(super) concepts: Vec<Concept>,
    pub(super) retrieved: Vec<Retrieved>,
    pub(super) prompt_concepts: Vec<PromptConcept>,
    pub(super) visual: Tensor<2>,
    pub(super) layouts: Vec<PhotoLayout>,
    pub(super) session: Session<'a>,
}

impl Lens {
    /// What the model is asked.
    pub(super) fn question(&self, request: &Request) -> Result<String> {
        let name = || {
            let wanted = request.concept.as_deref().unwrap_or_default();
            let concept = self
                .library
                .get(wanted)
                .or_else(|| self.library.find_by_name_or_alias(wanted));
            match concept {
                Some(concept) => Ok(sanitize::name(&concept.name)),
                None if wanted.is_empty() => Err(Error::Option {
                    option: "concept".into(),
                    problem: "is needed: the id or name of the thing to look for".into(),
                }),
                // A name nobody introduced is a fair question; the model says that it does not know it.
                None => Ok(sanitize::name(wanted)),
            }
        };
        let asked = request
            .question
            .as_deref()
            .map(str::trim)
            .filter(|q| !q.is_empty());
        Ok(match request.kind {
            Kind::Caption => asked
                .unwrap_or("Give a personalized caption of this image.")
                .to_owned(),
            Kind::Ask => asked
                .ok_or_else(|| Error::Option {
                    option: "question".into(),
                    problem: "is empty; ask something".into(),
                })?
                .to_owned(),
            Kind::Recognize => format!("Is <{}> in the image?", name()?),
            Kind::Locate => format!("Where is <{}>?", name()?),
        })
    }

    /// The concepts that go into the prompt.
    pub(super) async fn choose(
        &self,
        request: &Request,
        question: &str,
        photo: &Rgb8,
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Vec<Retrieved>> {
        let mode = retrieval::Mode::from(&request.retrieval);
        let Some(retriever) = &self.retriever else {
            return Ok(Vec::new());
        };
        if self.library.is_empty() || mode == retrieval::Mode::Off {
            return Ok(Vec::new());
        }
        on_event(Event::Stage {
            stage: Stage::Retrieve,
            done: 0,
            total: 1,
        });
        let scan = retriever.scan(photo, host).await?;
        let mut found = retriever.retrieve(Some(&scan), question, &self.library, mode)?;
        if matches!(request.kind, Kind::Recognize | Kind::Locate) {
            // Only the thing in question: others would be distractors.
            found.retain(|r| r.reason != crate::concepts::Reason::Similar);
        }
        on_event(Event::Stage {
            stage: Stage::Retrieve,
            done: 1,
            total: 1,
        });
        Ok(found)
    }

    /// Visual tokens of the references and the photo, and the concepts whose reference could be used, each with what is told
    /// of it.
    pub(super) async fn look(
        &mut self,
        retrieved: &[Retrieved],
        seen: &[Seen],
        photo: &Rgb8,
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(Tensor<2>, Vec<PhotoLayout>, Vec<(Concept, Seen)>)> {
        let total = retrieved.len() + 1;
        let mut parts = Vec::with_capacity(total);
        let mut layouts = Vec::with_capacity(total);
        let mut concepts = Vec::with_capacity(retrieved.len());
        for (found, &seen) in retrieved.iter().zip(seen) {
            let Some(concept) = self.library.get(&found.id).cloned() else {
                continue;
            };
            let Some(reference) = concept.references.first() else {
                continue;
            };
            let key = (concept.id.clone(), 0, concept.updated_ms);
            let single = self.processor.clone().with_image_splitting(false);
            let tokens = match self.reference_tokens.get(&key) {
                Some(tokens) => tokens.clone(),
                None => {
                    let reference = decode(&reference.photo)?;
                    let (pixels, _) = frames(&single, &reference, &self.device)?;
                    let tokens = self.encode(pixels, host).await?;
                    self.reference_tokens
                        .retain(|(id, ..), _| *id != concept.id);
                    self.reference_tokens.insert(key, tokens.clone());
                    tokens
                }
            };
            parts.push(tokens);
            layouts.push(PhotoLayout::WHOLE);
            concepts.push((concept, seen));
            on_event(Event::Stage {
                stage: Stage::Vision,
                done: parts.len(),
                total,
            });
        }
        let (pixels, layout) = frames(&self.processor, photo, &self.device)?;
        parts.push(self.encode(pixels, host).await?);
        layouts.push(layout);
        on_event(Event::Stage {
            stage: Stage::Vision,
            done: total,
            total,
        });
        Ok((Tensor::cat(parts, 0), layouts, concepts))
    }

    async fn encode(&self, pixels: Tensor<4>, host: &dyn Host) -> Result<Tensor<2>> {
        let features = features(&self.vlm.vision, pixels, host).await?;
        Ok(self.vlm.connect(features))
    }

    pub(super) fn prompt_ids(&self, scene: &Scene<'_>, question: &str) -> Result<Vec<u32>> {
        let messages = prompt::build(PromptStyle::NameLens, &scene.prompt_concepts, &[], question);
        let mut order = Vec::new();
        let mut turns = Vec::with_capacity(messages.len());
        for message in &messages {
            let (turn, pictures) = message.for_template();
            turns.push(turn);
            order.extend(pictures.into_iter().map(|picture| match picture {
                ImageRef::Reference(at) => at,
                ImageRef::Photo => scene.concepts.len(),
            }));
        }
        let layouts: Vec<PhotoLayout> = order
            .into_iter()
            .filter_map(|at| scene.layouts.get(at).copied())
            .collect();
        self.chat.encode(&turns, &layouts, true)
    }
}

/// What the captioner is told of each retrieved concept, in the order the prompt lists them; see [`seen::reading_order`].
///
/// Without `hints` nothing is told, and the order is that of retrieval.
pub(super) fn told(retrieved: Vec<Retrieved>, hints: bool) -> (Vec<Retrieved>, Vec<Seen>) {
    let tell = |found: &Retrieved| {
        if hints {
            Seen::from(found)
        } else {
            Seen::Untold
        }
    };
    let all: Vec<Seen> = retrieved.iter().map(tell).collect();
    seen::reading_order(&all)
        .into_iter()
        .map(|at| (retrieved[at].clone(), all[at]))
        .unzip()
}
