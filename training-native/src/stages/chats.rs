//! Samples of the world as encoded chats: what is read, what should be answered, and what tokens should predict on the way.

use std::ops::Range;

use anyhow::Result;
use namelens_engine::image::PhotoLayout;
use namelens_engine::personalize::hint::Hint;
use namelens_engine::personalize::messages::{self, Exchange, PromptConcept, PromptStyle};
use namelens_engine::text::{ChatEncoder, Message, Part};
use playroom::{Rgb, Sample, Task};

use super::probe::Probes;
use super::probe_loss;

/// One answer of a chat: what was asked for, and the positions of its tokens, its end included.
pub(super) struct Answer {
    pub task: Task,
    pub places: Range<usize>,
    /// What its tokens weigh, together 1.
    pub weights: Vec<f32>,
}

/// Weight of the token with which a name begins, beside 1 for others: it says who is meant, and is one in fifty of a caption.
const NAME_WEIGHT: f32 = 6.0;

/// One chat, encoded.
pub(super) struct Encoded {
    pub ids: Vec<u32>,
    pub answers: Vec<Answer>,
    /// What tokens should predict inside the decoder.
    pub probes: Probes,
}

/// Encodes the whole dialogue of `sample`, with a hint a concept.
///
/// # Errors
/// When the chat cannot be encoded.
pub(super) fn encode(chat: &ChatEncoder, sample: &Sample, hints: &[Hint]) -> Result<Encoded> {
    let messages = messages(sample, hints);
    let layouts = vec![PhotoLayout::WHOLE; sample.concepts.len() + 1];
    let ids = chat.encode(&messages, &layouts, false)?;
    let mut answers: Vec<Answer> = Vec::with_capacity(sample.turns.len());
    let mut open = false;
    for (at, learn) in chat.answer_mask(&ids)?.into_iter().enumerate() {
        if learn && !open {
            let turn = answers.len().min(sample.turns.len() - 1);
            let task = sample.turns[turn].task;
            answers.push(Answer {
                task,
                places: at..at,
                weights: Vec::new(),
            });
        }
        open = learn && ids[at] != chat.end_of_turn();
        if let Some(answer) = answers.last_mut().filter(|_| learn) {
            answer.places.end = at + 1;
        }
    }
    let open = [
        chat.tokenizer().encode("<", false)?,
        chat.tokenizer().encode(" <", false)?,
    ];
    for answer in &mut answers {
        let starts_name = |at: usize| open.iter().any(|open| *open == ids[at - 1..at]);
        answer.weights = token_weights(answer.places.clone().map(starts_name));
    }
    let probes = probe_loss::find(chat, sample, &ids)?;
    Ok(Encoded {
        ids,
        answers,
        probes,
    })
}

/// The weights of an answer's tokens, which `start` a name or do not.
fn token_weights(starts: impl Iterator<Item = bool>) -> Vec<f32> {
    let raw: Vec<f32> = starts
        .map(|name| if name { NAME_WEIGHT } else { 1.0 })
        .collect();
    let sum: f32 = raw.iter().sum();
    raw.into_iter().map(|weight| weight / sum).collect()
}

/// Reference photos in the order of the concepts, then the photo.
pub(super) fn photos_in_order(sample: &Sample) -> Vec<&Rgb> {
    sample
        .concepts
        .iter()
        .map(|concept| &concept.image)
        .chain(std::iter::once(&sample.photo))
        .collect()
}

/// The chat of a sample: concepts with what the retriever says of them, photo and first question in the first turn,
/// then the others.
fn messages(sample: &Sample, hints: &[Hint]) -> Vec<Message> {
    let concepts: Vec<PromptConcept> = sample
        .concepts
        .iter()
        .zip(hints)
        .map(|(concept, &hint)| PromptConcept {
            name: concept.name.clone(),
            aliases: Vec::new(),
            info: concept.info.clone(),
            hint,
        })
        .collect();
    let Some((last, earlier)) = sample.turns.split_last() else {
        return Vec::new();
    };
    let earlier: Vec<Exchange> = earlier
        .iter()
        .map(|turn| Exchange {
            question: turn.question.clone(),
            answer: turn.answer.clone(),
        })
        .collect();
    messages::build(PromptStyle::NameLens, &concepts, &earlier, &last.question)
        .iter()
        .map(|message| message.for_template().0)
        .chain(std::iter::once(Message {
            role: "assistant".into(),
            content: vec![Part::Text(last.answer.clone())],
        }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_weighs_one_and_names_weigh_more() {
        let weights = token_weights([false, true, false, false].into_iter());
        // Float noise of four terms.
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((weights[1] / weights[0] - NAME_WEIGHT).abs() < 1e-4);
        assert!(token_weights(std::iter::empty()).is_empty());
    }
}
