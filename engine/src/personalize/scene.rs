//! What the model is shown: the question, the concepts that matter, photos as visual tokens, the prompt.

use super::lens::Lens;
use super::look::{features, frames};
use super::prompt::{self, ImageRef, PromptConcept, PromptStyle};
use super::sanitize;
use super::seen::{self, Seen};
use super::types::{Event, Kind, Request, Stage};
use crate::concepts::retrieval::Scored;
use crate::concepts::{Concept, Library, Retrieved, retrieval};
use crate::generate::{Photos, Session};
use crate::host::Host;
use crate::image::{ImageProcessor, PhotoLayout, Rgb8, decode};
use crate::model::connector::Visual;
use crate::model::positions::Grid;
use crate::{Error, Result};

/// The pictures of a prompt, in its order: those of the references, then the photo.
pub(super) struct Pictures {
    visual: Visual,
    /// How the prompt shows each.
    layouts: Vec<PhotoLayout>,
    /// Rows and columns of visual tokens of each.
    grids: Vec<Grid>,
    /// Width and height of the photo's frames, pixels.
    photo_size: (usize, usize),
}

impl Pictures {
    /// As the decoder takes them.
    pub(super) fn photos(&self) -> Photos<'_> {
        Photos {
            visual: &self.visual,
            grids: &self.grids,
        }
    }

    /// Width and height of the photo as the model sees it, pixels.
    pub(super) fn photo_size(&self) -> (usize, usize) {
        self.photo_size
    }
}

/// A picture as the decoder takes it; kept for references, which come again with every request.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    visual: Visual,
    layout: PhotoLayout,
    grid: Grid,
    /// Width and height of its frames, pixels.
    size: (usize, usize),
}

/// Where one request stands: its concepts, photos as visual tokens, and the sequence in the decoder.
pub(super) struct Scene<'a> {
    pub(super) concepts: Vec<Concept>,
    pub(super) retrieved: Vec<Retrieved>,
    pub(super) prompt_concepts: Vec<PromptConcept>,
    pub(super) pictures: Pictures,
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
        if self.library.is_empty() || mode == retrieval::Mode::Off {
            return Ok(Vec::new());
        }
        let Some(retriever) = &self.retriever else {
            return unsearched(&self.library, question, mode);
        };
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

    /// The pictures of the references and the photo, and the concepts whose reference could be used, each with what is told
    /// of it.
    pub(super) async fn look(
        &mut self,
        retrieved: &[Retrieved],
        seen: &[Seen],
        photo: &Rgb8,
        splitting: Option<bool>,
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(Pictures, Vec<(Concept, Seen)>)> {
        let total = retrieved.len() + 1;
        let mut pictures = Vec::with_capacity(total);
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
            let picture = match self.reference_pictures.get(&key) {
                Some(picture) => picture.clone(),
                None => {
                    let reference = decode(&reference.photo)?;
                    let picture = self.picture(&single, &reference, host).await?;
                    self.reference_pictures
                        .retain(|(id, ..), _| *id != concept.id);
                    self.reference_pictures.insert(key, picture.clone());
                    picture
                }
            };
            pictures.push(picture);
            concepts.push((concept, seen));
            on_event(Event::Stage {
                stage: Stage::Vision,
                done: pictures.len(),
                total,
            });
        }
        let processor = self.photo_processor(splitting);
        pictures.push(self.picture(&processor, photo, host).await?);
        on_event(Event::Stage {
            stage: Stage::Vision,
            done: total,
            total,
        });
        let layouts = pictures.iter().map(|picture| picture.layout).collect();
        let grids = pictures.iter().map(|picture| picture.grid).collect();
        let photo_size = pictures.last().map_or((0, 0), |picture| picture.size);
        let visual = pictures.into_iter().map(|picture| picture.visual).collect();
        let Some(visual) = Visual::joined(visual) else {
            unreachable!("the photo's own is among them")
        };
        let pictures = Pictures {
            visual,
            layouts,
            grids,
            photo_size,
        };
        Ok((pictures, concepts))
    }

    /// Visual tokens of a picture, and how they stand.
    async fn picture(
        &self,
        processor: &ImageProcessor,
        photo: &Rgb8,
        host: &dyn Host,
    ) -> Result<Picture> {
        let (pixels, layout) = frames(processor, photo, &self.device)?;
        let [_, _, height, width] = pixels.dims();
        let features = features(&self.vlm.vision, pixels, host).await?;
        Ok(Picture {
            visual: self.vlm.connect(features),
            layout,
            grid: self.vlm.token_grid(height, width),
            size: (width, height),
        })
    }

    /// What prepares the photo that is asked about.
    pub(super) fn photo_processor(&self, splitting: Option<bool>) -> ImageProcessor {
        let processor = self.processor.clone();
        match splitting {
            Some(split) => processor.with_image_splitting(split),
            None => processor,
        }
    }

    pub(super) fn prompt_ids(&self, scene: &Scene<'_>, question: &str) -> Result<Vec<u32>> {
        self.encode_prompt(&scene.prompt_concepts, &scene.pictures.layouts, question)
    }

    /// The prompt as tokens; `pictures` are the layouts of the concepts' references and of the photo.
    pub(super) fn encode_prompt(
        &self,
        concepts: &[PromptConcept],
        pictures: &[PhotoLayout],
        question: &str,
    ) -> Result<Vec<u32>> {
        let messages = prompt::build(PromptStyle::NameLens, concepts, &[], question);
        let mut order = Vec::new();
        let mut turns = Vec::with_capacity(messages.len());
        for message in &messages {
            let (turn, pictures) = message.for_template();
            turns.push(turn);
            order.extend(pictures.into_iter().map(|picture| match picture {
                ImageRef::Reference(at) => at,
                ImageRef::Photo => concepts.len(),
            }));
        }
        let layouts: Vec<PhotoLayout> = order
            .into_iter()
            .filter_map(|at| pictures.get(at).copied())
            .collect();
        self.chat.encode(&turns, &layouts, true)
    }
}

/// The concepts for a photo that nothing can search: those the question names, or those asked for.
fn unsearched(library: &Library, question: &str, mode: retrieval::Mode) -> Result<Vec<Retrieved>> {
    let scored: Vec<Scored<'_>> = library
        .list()
        .map(|concept| Scored {
            concept,
            windows: Vec::new(),
            whole: None,
        })
        .collect();
    // Nothing is compared, so no similarity reaches the threshold.
    let options = retrieval::Options {
        mode,
        ..retrieval::Options::auto(1.0, 1.0)
    };
    retrieval::retrieve(question, &scored, &options)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::concepts::{NewConcept, Reason};

    #[test]
    fn without_a_retriever_concepts_are_named_listed_or_all() {
        let mut library = Library::new("");
        for name in ["Miso", "Otto"] {
            let new = NewConcept {
                name: name.into(),
                ..NewConcept::default()
            };
            library.add(new, 0).unwrap();
        }
        let choose = |question: &str, mode| -> Vec<(String, Reason)> {
            let found = unsearched(&library, question, mode).unwrap();
            assert!(found.iter().all(|f| f.box_.is_none() && f.score == 0.0));
            found.into_iter().map(|f| (f.name, f.reason)).collect()
        };
        assert!(choose("What is this?", retrieval::Mode::Auto).is_empty());
        let named = choose("Where is otto?", retrieval::Mode::Auto);
        assert_eq!(named, [("Otto".to_owned(), Reason::Named)]);
        assert_eq!(choose("What is this?", retrieval::Mode::All).len(), 2);
        let id = library.list().next().unwrap().id.clone();
        let listed = choose("What is this?", retrieval::Mode::Explicit(vec![id]));
        assert_eq!(listed, [("Miso".to_owned(), Reason::Listed)]);
        let unknown = retrieval::Mode::Explicit(vec!["nobody".into()]);
        assert_eq!(
            unsearched(&library, "", unknown).unwrap_err().code(),
            "concept"
        );
    }
}
