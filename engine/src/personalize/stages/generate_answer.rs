//! Stage 7: the decoder writes the answer, whose names are held to known ones; text and mentions are streamed.

use super::caller::Caller;
use super::prefill::Read;
use super::prompt::Prompt;
use super::question;
use crate::concepts::{Concept, Library};
use crate::generate::{GenerateOptions, Generated, NameConstraint, generate};
use crate::personalize::captioner::Captioner;
use crate::personalize::mentions::{KnownName, MentionParser};
use crate::personalize::types::{Event, MentionView, Request};
use crate::{Error, Result};

/// Longest answer unless the caller says otherwise, tokens.
const MAX_TOKENS: usize = 160;

/// A finished answer.
pub(super) struct Answer {
    /// What the model wrote.
    pub(super) generated: Generated,
    /// The answer without brackets.
    pub(super) text: String,
    /// The names in it, without boxes.
    pub(super) mentions: Vec<MentionView>,
}

/// Writes the answer to the prompt that `read` holds.
pub(super) async fn generate_answer(
    (captioner, library): (&Captioner, &Library),
    request: &Request,
    prompt: &Prompt<'_>,
    read: &mut Read<'_>,
    caller: &mut Caller<'_>,
) -> Result<Answer> {
    let options = options(captioner, request, read.prompt)?;
    let concepts: Vec<&Concept> = prompt.library_concepts().collect();
    let mut parser = MentionParser::new(concepts.iter().map(|&concept| KnownName::from(concept)));
    if let Some(asked) = question::asked_name(request, library) {
        parser = parser.and_show(asked);
    }
    let mut started = false;
    let on_event = &mut *caller.on_event;
    let mut on_text = |piece: &str| {
        // The space between "Assistant:" and the answer is the template's, not the answer's.
        let piece = if started { piece } else { piece.trim_start() };
        started |= !piece.is_empty();
        let delta = parser.push(piece).to_owned();
        if !delta.is_empty() {
            on_event(Event::Text {
                delta,
                text: parser.text().to_owned(),
                mentions: views(&parser, &concepts),
            });
        }
    };
    let generated = generate(
        &mut read.session,
        std::mem::take(&mut read.logits),
        &options,
        Some(constraint(captioner, prompt)),
        captioner.chat.tokenizer(),
        caller.host,
        &mut on_text,
    )
    .await?;
    let delta = parser.finish().to_owned();
    if !delta.is_empty() {
        (caller.on_event)(Event::Text {
            delta,
            text: parser.text().to_owned(),
            mentions: views(&parser, &concepts),
        });
    }
    Ok(Answer {
        mentions: views(&parser, &concepts),
        text: parser.text().to_owned(),
        generated,
    })
}

/// How long the answer may become, tokens.
pub(super) fn longest(captioner: &Captioner, request: &Request) -> usize {
    let asked = request.max_tokens.or(captioner.max_tokens);
    asked.unwrap_or(MAX_TOKENS)
}

fn options(captioner: &Captioner, request: &Request, prompt: usize) -> Result<GenerateOptions> {
    let wanted = longest(captioner, request);
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
            .unwrap_or_default()
            .over(&captioner.sampling),
        max_tokens: wanted.min(captioner.context_length().saturating_sub(prompt)),
        stop: request.stop.clone(),
        ends: captioner.chat.ends().to_vec(),
        top_logprobs: request.top_logprobs,
    })
}

/// Holds bracketed names to those of the prompt and the question.
fn constraint(captioner: &Captioner, prompt: &Prompt<'_>) -> NameConstraint {
    let names = prompt.names();
    let names = names.iter().map(String::as_str);
    let mut constraint =
        NameConstraint::new(names, captioner.chat.tokenizer(), captioner.chat.ends());
    if captioner.config.sees_photos() {
        // Read on, it would stand for a photo.
        constraint.bar(captioner.config.image_token_id);
    }
    constraint
}

fn views(parser: &MentionParser, concepts: &[&Concept]) -> Vec<MentionView> {
    parser
        .mentions()
        .into_iter()
        .map(|mention| MentionView {
            name: concepts
                .iter()
                .find(|concept| concept.id == mention.concept)
                .map_or_else(String::new, |concept| concept.name.clone()),
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
