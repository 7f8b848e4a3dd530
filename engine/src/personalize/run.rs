//! One request from photo to answer: retrieve, build the prompt, generate, find the boxes.

use burn::tensor::Tensor;

use super::answer::{parse_box, parse_yes_no};
use super::lens::Lens;
use super::look::{features, frames};
use super::mentions::{KnownName, MentionParser};
use super::prompt::{self, ImageRef, PromptConcept, PromptStyle};
use super::refusal::{Refusal, refusal_class};
use super::sanitize;
use super::types::{
    Event, Kind, MentionView, Outcome, Request, RetrievedView, Stage, Timings, TokenCounts,
};
use crate::concepts::{Concept, Retrieved, retrieval};
use crate::generate::{
    GenerateOptions, Generated, NameConstraint, SamplingOptions, Session, generate,
};
use crate::host::{Host, breathe};
use crate::image::{Rgb8, decode};
use crate::{Error, Result};

/// Longest answer unless the caller says otherwise, tokens.
const MAX_TOKENS: usize = 160;
/// Longest answer to "Where is it?", tokens.
const MAX_BOX_TOKENS: usize = 24;

/// Where one request stands: its concepts, photos as visual tokens, and the sequence in the decoder.
struct Scene<'a> {
    concepts: Vec<Concept>,
    retrieved: Vec<Retrieved>,
    prompt_concepts: Vec<PromptConcept>,
    visual: Tensor<2>,
    layouts: Vec<(usize, usize)>,
    session: Session<'a>,
}

impl Lens {
    /// Answers `request` about an encoded photo.
    ///
    /// `on_event` hears of progress, of what was retrieved and of the growing answer.
    ///
    /// # Errors
    /// A typed error; [`Error::Cancelled`] at the next layer or token after a cancellation.
    pub async fn run(
        &mut self,
        request: &Request,
        photo: &[u8],
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Outcome> {
        let start = host.now_ms();
        let mut timings = Timings::default();
        let question = self.question(request)?;
        let photo = decode(photo)?;
        timings.decode_ms = lap(host, start);
        breathe(host).await?;

        let t = host.now_ms();
        let retrieved = self
            .choose(request, &question, &photo, host, on_event)
            .await?;
        let views: Vec<RetrievedView> = retrieved.iter().map(RetrievedView::from).collect();
        on_event(Event::Retrieved {
            concepts: views.clone(),
        });
        timings.retrieve_ms = lap(host, t);

        let t = host.now_ms();
        let (visual, layouts, concepts) = self.look(&retrieved, &photo, host, on_event).await?;
        timings.vision_ms = lap(host, t);

        let mut scene = Scene {
            prompt_concepts: concepts.iter().map(PromptConcept::from).collect(),
            concepts,
            retrieved,
            visual,
            layouts,
            session: Session::new(&self.vlm, self.context_length(), self.config.image_token_id),
        };
        let t = host.now_ms();
        let ids = self.prompt_ids(&scene, &question)?;
        let logits = {
            let mut progress = |done, total| {
                on_event(Event::Stage {
                    stage: Stage::Prefill,
                    done,
                    total,
                })
            };
            let visual = scene.visual.clone();
            scene
                .session
                .prefill(&ids, Some(&visual), host, &mut progress)
                .await?
        };
        timings.prefill_ms = lap(host, t);

        let t = host.now_ms();
        let options = self.generate_options(request, ids.len())?;
        let mut parser = MentionParser::new(scene.concepts.iter().map(KnownName::from));
        let names = self.name_constraint(&scene, &question)?;
        let answer = {
            let scene_concepts = &scene.concepts;
            let mut started = false;
            let mut on_text = |piece: &str| {
                // The space between "Assistant:" and the answer is the template's, not the answer's.
                let piece = if started { piece } else { piece.trim_start() };
                started |= !piece.is_empty();
                let delta = parser.push(piece).to_owned();
                if !delta.is_empty() {
                    on_event(Event::Text {
                        delta,
                        text: parser.text().to_owned(),
                        mentions: views_of(&parser, scene_concepts),
                    });
                }
            };
            let tokenizer = self.chat.tokenizer();
            generate(
                &mut scene.session,
                logits,
                &options,
                Some(names),
                tokenizer,
                host,
                &mut on_text,
            )
            .await?
        };
        parser.finish();
        timings.generate_ms = lap(host, t);
        timings.tokens_per_second =
            answer.tokens.len() as f64 / (timings.generate_ms / 1e3).max(1e-6);

        let t = host.now_ms();
        let mut mentions = views_of(&parser, &scene.concepts);
        if matches!(request.kind, Kind::Caption | Kind::Ask)
            && refusal_class(&answer.text).is_none()
        {
            self.find_boxes(&mut scene, &mut mentions, host, on_event)
                .await?;
        }
        timings.locate_ms = lap(host, t);
        timings.total_ms = lap(host, start);
        let tokens = TokenCounts {
            prompt: ids.len(),
            generated: answer.tokens.len(),
        };
        Ok(outcome(
            request,
            &answer,
            parser.text(),
            mentions,
            views,
            timings,
            tokens,
        ))
    }

    /// What the model is asked.
    fn question(&self, request: &Request) -> Result<String> {
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
    async fn choose(
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

    /// Visual tokens of the references and the photo, and the concepts whose reference could be used.
    async fn look(
        &mut self,
        retrieved: &[Retrieved],
        photo: &Rgb8,
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(Tensor<2>, Vec<(usize, usize)>, Vec<Concept>)> {
        let total = retrieved.len() + 1;
        let mut parts = Vec::with_capacity(total);
        let mut layouts = Vec::with_capacity(total);
        let mut concepts = Vec::with_capacity(retrieved.len());
        for found in retrieved {
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
            layouts.push((0, 0));
            concepts.push(concept);
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

    fn prompt_ids(&self, scene: &Scene<'_>, question: &str) -> Result<Vec<u32>> {
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
        let layouts: Vec<(usize, usize)> = order
            .into_iter()
            .filter_map(|at| scene.layouts.get(at).copied())
            .collect();
        self.chat.encode(&turns, &layouts, true)
    }

    fn generate_options(&self, request: &Request, prompt: usize) -> Result<GenerateOptions> {
        let wanted = request.max_tokens.unwrap_or(MAX_TOKENS);
        if wanted == 0 {
            return Err(Error::Option {
                option: "maxTokens".into(),
                problem: "must be at least 1".into(),
            });
        }
        Ok(GenerateOptions {
            sampling: request.sampling.clone(),
            max_tokens: wanted.min(self.context_length().saturating_sub(prompt)),
            stop: request.stop.clone(),
            end: self.chat.end_of_turn(),
        })
    }

    /// Holds bracketed names to those of the prompt and the question.
    fn name_constraint(&self, scene: &Scene<'_>, question: &str) -> Result<NameConstraint> {
        let tokenizer = self.chat.tokenizer();
        let mut names: Vec<String> = scene
            .prompt_concepts
            .iter()
            .map(|concept| sanitize::name(&concept.name))
            .collect();
        let known: Vec<(&str, &str)> = scene
            .concepts
            .iter()
            .flat_map(|c| c.names().map(|n| (n, c.name.as_str())))
            .collect();
        let asked = sanitize::question(question, &known, sanitize::Names::Mark);
        names.extend(
            asked
                .split('<')
                .skip(1)
                .filter_map(|rest| rest.split_once('>').map(|(name, _)| name.to_owned())),
        );
        let tokens = names
            .iter()
            .map(|name| {
                let marked = tokenizer.encode(&format!("<{name}>"), false)?;
                Ok(marked.into_iter().skip(1).collect())
            })
            .collect::<Result<Vec<Vec<u32>>>>()?;
        let open: Vec<u32> = ["<", " <"]
            .iter()
            .filter_map(
                |text| match tokenizer.encode(text, false).ok()?.as_slice() {
                    [only] => Some(*only),
                    _ => None,
                },
            )
            .collect();
        Ok(NameConstraint::new(&tokens, &open))
    }

    /// Asks the model where each mentioned concept is; falls back on the retrieved region.
    async fn find_boxes(
        &self,
        scene: &mut Scene<'_>,
        mentions: &mut [MentionView],
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut ids: Vec<String> = mentions.iter().map(|m| m.id.clone()).collect();
        ids.sort();
        ids.dedup();
        let total = ids.len();
        for (done, id) in ids.into_iter().enumerate() {
            let found = self.locate(scene, &id, host).await?;
            let retrieved = scene.retrieved.iter().find(|r| r.id == id);
            let fallback = retrieved.and_then(|r| Some((r.box_?, r.score.max(0.0))));
            if let Some((box_, confidence)) = found.or(fallback) {
                for mention in mentions.iter_mut().filter(|m| m.id == id) {
                    (mention.box_, mention.confidence) = (Some(box_), confidence);
                }
            }
            on_event(Event::Stage {
                stage: Stage::Locate,
                done: done + 1,
                total,
            });
        }
        Ok(())
    }

    async fn locate(
        &self,
        scene: &mut Scene<'_>,
        id: &str,
        host: &dyn Host,
    ) -> Result<Option<([f32; 4], f32)>> {
        let Some(concept) = scene.concepts.iter().find(|c| c.id == id) else {
            return Ok(None);
        };
        let question = format!("Where is <{}>?", sanitize::name(&concept.name));
        let ids = self.prompt_ids(scene, &question)?;
        let visual = scene.visual.clone();
        let logits = scene
            .session
            .prefill(&ids, Some(&visual), host, &mut |_, _| ())
            .await?;
        let options = GenerateOptions {
            sampling: SamplingOptions::default(),
            max_tokens: MAX_BOX_TOKENS.min(self.context_length().saturating_sub(ids.len())),
            stop: Vec::new(),
            end: self.chat.end_of_turn(),
        };
        let tokenizer = self.chat.tokenizer();
        let answer = generate(
            &mut scene.session,
            logits,
            &options,
            None,
            tokenizer,
            host,
            &mut |_| (),
        )
        .await?;
        Ok(parse_box(&answer.text).map(|box_| (box_, answer.confidence())))
    }
}

fn lap(host: &dyn Host, since: f64) -> f64 {
    host.now_ms() - since
}

fn views_of(parser: &MentionParser, concepts: &[Concept]) -> Vec<MentionView> {
    parser
        .mentions()
        .into_iter()
        .map(|mention| MentionView {
            name: concepts
                .iter()
                .find(|c| c.id == mention.concept)
                .map_or_else(String::new, |c| c.name.clone()),
            id: mention.concept,
            start: mention.utf16.start,
            end: mention.utf16.end,
            start_char: mention.chars.start,
            end_char: mention.chars.end,
            box_: None,
            confidence: 0.0,
        })
        .collect()
}

fn outcome(
    request: &Request,
    answer: &Generated,
    text: &str,
    mut mentions: Vec<MentionView>,
    retrieved: Vec<RetrievedView>,
    timings: Timings,
    tokens: TokenCounts,
) -> Outcome {
    let refused = refusal_class(&answer.text).map(|class| match class {
        Refusal::Absent => "absent",
        Refusal::Unknown => "unknown",
    });
    let box_ = match request.kind {
        Kind::Locate => parse_box(&answer.text),
        _ => None,
    };
    let found = match request.kind {
        // A refusal to answer whether it is there says that it is not.
        Kind::Recognize => parse_yes_no(&answer.text).or(refused.map(|_| false)),
        _ => None,
    };
    if refused.is_some() {
        for mention in &mut mentions {
            mention.box_ = None;
        }
    }
    Outcome {
        text: text.trim_end().to_owned(),
        raw: answer.text.clone(),
        mentions,
        retrieved,
        answer: found,
        box_,
        confidence: answer.confidence(),
        refused,
        finish: answer.finish,
        timings,
        tokens,
    }
}
