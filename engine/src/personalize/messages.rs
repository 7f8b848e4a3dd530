//! The messages a captioner reads: concepts (reference photo, name, info), the photo, the question.

use serde::{Deserialize, Serialize};

use super::answer::format_box;
use super::hint::Hint;
use super::sanitize::{self, Names};
use crate::concepts::Concept;
use crate::concepts::spelling::neutral;
use crate::text;

/// Whose prompt format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PromptStyle {
    /// Ours: what the embedded model is trained on.
    #[default]
    NameLens,
    /// RePIC: interleaved references, the photo, `This is the query image. ...`, with a system text.
    RePic,
    /// RAP: the photo first, then one bracketed block of numbered references, then the question.
    Rap,
}

/// The system text of RePIC.
pub const REPIC_SYSTEM: &str = "You are a captioning assistant. Your task is to generate an accurate caption for the query image.\n\
    Below is additional information about the reference images.";

/// Which picture stands at a place of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageRef {
    /// The reference photo of the concept at this position of the prompt.
    Reference(usize),
    /// The photo that is asked about.
    Photo,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptPart {
    /// The tokens of a picture.
    Image(ImageRef),
    /// Text with things a person typed: encode it with special tokens off.
    User(String),
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The instruction before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<PromptPart>,
}

impl Message {
    /// The same turn as the chat template takes it; its pictures, in order, are the second value.
    pub fn for_template(&self) -> (text::Message, Vec<ImageRef>) {
        let role = match self.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut pictures = Vec::new();
        let content = self
            .parts
            .iter()
            .map(|part| match part {
                PromptPart::Image(picture) => {
                    pictures.push(*picture);
                    text::Part::Image
                }
                PromptPart::User(text) => text::Part::Text(text.clone()),
            })
            .collect();
        let message = text::Message {
            role: role.to_owned(),
            content,
        };
        (message, pictures)
    }
}

/// A concept as a prompt needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptConcept {
    /// The name to write.
    pub name: String,
    /// Other spellings by which a question may call it.
    pub aliases: Vec<String>,
    /// What is known about it; may be empty.
    pub info: String,
    /// Where the retriever saw it; [`PromptStyle::NameLens`] alone says so.
    pub hint: Hint,
}

impl PromptConcept {
    /// A concept of the library and what the retriever says of it.
    pub fn new(concept: &Concept, hint: Hint) -> Self {
        Self {
            name: concept.name.clone(),
            aliases: concept.aliases.clone(),
            info: concept.info.clone(),
            hint,
        }
    }

    fn is_placed(&self) -> bool {
        matches!(self.hint, Hint::At(_))
    }
}

/// A question of the same conversation and the answer the model gave, with its `<name>` marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was asked.
    pub question: String,
    /// The raw text of the answer.
    pub answer: String,
}

/// The messages for `question` on the photo, with concepts in [`super::hint::reading_order`], after the `earlier` exchanges.
///
/// Pictures and concepts are in the first turn of the person; later turns are plain questions.
pub fn build(
    style: PromptStyle,
    concepts: &[PromptConcept],
    earlier: &[Exchange],
    question: &str,
) -> Vec<Message> {
    let mut messages = Vec::with_capacity(2 * earlier.len() + 2);
    if style == PromptStyle::RePic {
        messages.push(Message {
            role: Role::System,
            parts: vec![PromptPart::User(REPIC_SYSTEM.to_owned())],
        });
    }
    let names = if style == PromptStyle::NameLens {
        Names::Mark
    } else {
        Names::Keep
    };
    let known: Vec<(&str, &str)> = concepts
        .iter()
        .flat_map(|c| {
            std::iter::once(&c.name)
                .chain(&c.aliases)
                .map(|n| (n.as_str(), c.name.as_str()))
        })
        .collect();
    let questions = earlier
        .iter()
        .map(|e| e.question.as_str())
        .chain(std::iter::once(question));
    for (turn, question) in questions.enumerate() {
        let question = sanitize::question(question, &known, names);
        let parts = if turn == 0 {
            first_turn(style, concepts, question)
        } else {
            vec![PromptPart::User(question)]
        };
        messages.push(Message {
            role: Role::User,
            parts,
        });
        if let Some(exchange) = earlier.get(turn) {
            let parts = vec![PromptPart::User(exchange.answer.clone())];
            messages.push(Message {
                role: Role::Assistant,
                parts,
            });
        }
    }
    messages
}

/// The parts as one text, `image` standing for each picture.
pub fn flat(parts: &[PromptPart], image: &str) -> String {
    parts
        .iter()
        .map(|part| match part {
            PromptPart::Image(_) => image,
            PromptPart::User(text) => text,
        })
        .collect()
}

fn first_turn(style: PromptStyle, concepts: &[PromptConcept], question: String) -> Vec<PromptPart> {
    match style {
        PromptStyle::NameLens => named_first(concepts, question),
        PromptStyle::RePic => {
            let text = |at: usize, c: &PromptConcept| format!("{}. {}", at + 1, reference_entry(c));
            interleaved(
                concepts,
                text,
                format!("This is the query image. {question}"),
            )
        }
        PromptStyle::Rap => rap(concepts, question),
    }
}

/// Name, info and reference picture of each concept, then the photo, then the question.
///
/// The name stands before its picture: a causal decoder then knows at every visual token of a reference whose it is.
fn named_first(concepts: &[PromptConcept], question: String) -> Vec<PromptPart> {
    let mut parts = Vec::with_capacity(2 * concepts.len() + 3);
    for (at, concept) in concepts.iter().enumerate() {
        let next = concepts[at + 1..].iter().find(|other| other.is_placed());
        parts.push(PromptPart::User(entry(at, concept, next)));
        parts.push(PromptPart::Image(ImageRef::Reference(at)));
    }
    if !concepts.is_empty() {
        parts.push(PromptPart::User("Photo:\n".to_owned()));
    }
    parts.push(PromptPart::Image(ImageRef::Photo));
    parts.push(PromptPart::User(question));
    parts
}

/// Reference picture and text of each concept, then the photo, then the question.
fn interleaved(
    concepts: &[PromptConcept],
    text: impl Fn(usize, &PromptConcept) -> String,
    question: String,
) -> Vec<PromptPart> {
    let mut parts = Vec::with_capacity(2 * concepts.len() + 2);
    for (at, concept) in concepts.iter().enumerate() {
        parts.push(PromptPart::Image(ImageRef::Reference(at)));
        parts.push(PromptPart::User(text(at, concept)));
    }
    parts.push(PromptPart::Image(ImageRef::Photo));
    parts.push(PromptPart::User(question));
    parts
}

/// Number, name, what the retriever says, info. `next` is the concept seen next to the right, if `concept` was seen: a
/// caption that has named the one goes on with the other.
fn entry(at: usize, concept: &PromptConcept, next: Option<&PromptConcept>) -> String {
    let (number, name, info) = (
        at + 1,
        sanitize::name(&concept.name),
        sanitize::info(&concept.info),
    );
    let hint = match concept.hint {
        Hint::None => String::new(),
        // Right behind the name, where whoever looks the name up finds it.
        Hint::At(region) => {
            let next = next.map_or(String::new(), |next| {
                format!(" left of <{}>", sanitize::name(&next.name))
            });
            format!(" {}{next}", format_box(region))
        }
        Hint::Absent => " not in the image".to_owned(),
    };
    let info = match info.is_empty() {
        true => String::new(),
        false => format!(", Info: {info}"),
    };
    format!("{number}. Name: <{name}>{hint}{info}\n")
}

/// What RAP and RePIC write: the info in full and its label even when it is empty. A line break
/// in it would shift all later entries, so it is one line here too.
fn reference_entry(concept: &PromptConcept) -> String {
    format!(
        "Name: <{}>, Info: {}",
        sanitize::name(&concept.name),
        neutral(&concept.info)
    )
}

/// `<image>\n[1.<image>\n Name: <n>, Info: i\n2.<image>\n ...]question`; without concepts, no block.
fn rap(concepts: &[PromptConcept], question: String) -> Vec<PromptPart> {
    let mut parts = vec![PromptPart::Image(ImageRef::Photo)];
    let mut text = "\n".to_owned();
    for (at, concept) in concepts.iter().enumerate() {
        text.push_str(if at == 0 { "[" } else { "" });
        text.push_str(&format!("{}.", at + 1));
        parts.push(PromptPart::User(std::mem::take(&mut text)));
        parts.push(PromptPart::Image(ImageRef::Reference(at)));
        text = format!("\n {}\n", reference_entry(concept));
    }
    text.push_str(if concepts.is_empty() { "" } else { "]" });
    text.push_str(&question);
    parts.push(PromptPart::User(text));
    parts
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
