//! One request from photo to answer: retrieve, build the prompt, generate, find the boxes.

use super::answer::{BoxScale, parse_box, parse_yes_no};
use super::lens::Lens;
use super::mentions::{KnownName, MentionParser};
use super::prompt::PromptConcept;
use super::refusal::{Refusal, refusal_class};
use super::sanitize;
use super::scene::{Scene, told};
use super::types::{
    Event, Kind, MentionView, Outcome, Request, RetrievedView, Stage, Timings, TokenCounts,
};
use crate::concepts::Concept;
use crate::generate::{GenerateOptions, Generated, NameConstraint, Session, generate};
use crate::host::{Host, breathe};
use crate::image::decode;
use crate::{Error, Result};

/// Longest answer unless the caller says otherwise, tokens.
const MAX_TOKENS: usize = 160;
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
        let (retrieved, seen) = told(retrieved, request.hints && self.retriever.is_some());
        let (pictures, concepts) = self.look(&retrieved, &seen, &photo, host, on_event).await?;
        timings.vision_ms = lap(host, t);

        let mut scene = Scene {
            prompt_concepts: concepts
                .iter()
                .map(|(concept, seen)| PromptConcept::new(concept, *seen))
                .collect(),
            concepts: concepts.into_iter().map(|(concept, _)| concept).collect(),
            retrieved,
            pictures,
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
            scene
                .session
                .prefill(&ids, Some(scene.pictures.photos()), host, &mut progress)
                .await?
        };
        timings.prefill_ms = lap(host, t);

        let t = host.now_ms();
        let options = self.generate_options(request, ids.len())?;
        let mut parser = MentionParser::new(scene.concepts.iter().map(KnownName::from));
        let names = self.name_constraint(&scene, &question);
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
        let scale = self.box_scale(scene.pictures.photo_size());
        Ok(outcome(
            request,
            &answer,
            (parser.text(), scale),
            mentions,
            views,
            timings,
            tokens,
        ))
    }

    fn generate_options(&self, request: &Request, prompt: usize) -> Result<GenerateOptions> {
        let wanted = request.max_tokens.or(self.max_tokens).unwrap_or(MAX_TOKENS);
        if wanted == 0 {
            return Err(Error::Option {
                option: "maxTokens".into(),
                problem: "must be at least 1".into(),
            });
        }
        Ok(GenerateOptions {
            sampling: request
                .sampling
                .clone()
                .unwrap_or_else(|| self.sampling.clone()),
            max_tokens: wanted.min(self.context_length().saturating_sub(prompt)),
            stop: request.stop.clone(),
            ends: self.chat.ends().to_vec(),
        })
    }

    /// Holds bracketed names to those of the prompt and the question.
    fn name_constraint(&self, scene: &Scene<'_>, question: &str) -> NameConstraint {
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
        let names = names.iter().map(String::as_str);
        NameConstraint::new(names, self.chat.tokenizer(), self.chat.ends())
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
    (text, scale): (&str, BoxScale),
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
        Kind::Locate => parse_box(&answer.text, scale),
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
