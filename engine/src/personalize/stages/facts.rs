//! The answer without a captioner: what recognition found, in plain sentences that say where and how sure.

use super::place::place;
use super::question::asked_name;
use crate::Result;
use crate::concepts::{Concept, Library, Reason, Retrieved};
use crate::generate::Finish;
use crate::personalize::types::{
    Kind, MentionView, Outcome, Request, Source, Timings, TokenCounts,
};

/// A thing that was looked for, as sentences speak of it.
struct Fact<'a> {
    concept: &'a Concept,
    found: Option<&'a Retrieved>,
}

impl Fact<'_> {
    /// Where it is, if it was found.
    fn box_(&self) -> Option<[f32; 4]> {
        self.found.and_then(|found| found.box_)
    }

    /// What it is called.
    fn name(&self) -> &str {
        &self.concept.name
    }
}

/// Sentences as they grow, and the names in them.
#[derive(Default)]
struct Text {
    text: String,
    mentions: Vec<MentionView>,
}

/// The answer to a request, made of what retrieval found.
pub(super) fn facts(
    request: &Request,
    retrieved: &[Retrieved],
    library: &Library,
    timings: Timings,
) -> Result<Outcome> {
    let facts: Vec<Fact<'_>> = retrieved
        .iter()
        .filter_map(|found| {
            let concept = library.get(&found.id)?;
            let found = found.is_found().then_some(found);
            Some(Fact { concept, found })
        })
        .collect();
    let mut text = Text::default();
    let mut refused = None;
    match request.kind {
        Kind::Caption => text.all(&facts, "None of your things was found in this photo."),
        Kind::Ask => {
            let named = retrieved.iter().any(|r| r.reason == Reason::Named);
            text.all(&facts, "None of your things was found in this photo.");
            if !named {
                text.say(" Other questions need a model that writes captions.");
            }
        }
        Kind::Recognize | Kind::Locate => match facts.first() {
            Some(fact) => {
                if request.kind == Kind::Recognize && fact.found.is_some() {
                    text.say(if is_sure(fact) { "Yes. " } else { "" });
                } else if request.kind == Kind::Recognize {
                    text.say("No. ");
                }
                text.all(&facts[..1], "");
                refused = fact.found.is_none().then_some("absent");
            }
            None => {
                let name = asked_name(request, library).unwrap_or_default();
                text.say(&format!("Nothing is known by the name {name}."));
                refused = Some("unknown");
            }
        },
    }
    let first = facts.first();
    let answer = match (request.kind, first) {
        (Kind::Recognize, Some(fact)) => Some(fact.found.is_some_and(Retrieved::is_sure)),
        (Kind::Recognize, None) => Some(false),
        _ => None,
    };
    let box_ = match request.kind {
        Kind::Locate => first.and_then(Fact::box_),
        _ => None,
    };
    let least = facts.iter().filter_map(|fact| fact.found?.confidence);
    Ok(Outcome {
        raw: text.text.clone(),
        text: text.text,
        source: Source::Recognition,
        mentions: text.mentions,
        retrieved: retrieved.iter().map(Into::into).collect(),
        answer,
        box_,
        confidence: least.fold(1.0, f32::min),
        refused,
        finish: Finish::Stop,
        seed: None,
        logprobs: None,
        timings,
        tokens: TokenCounts::default(),
    })
}

fn is_sure(fact: &Fact<'_>) -> bool {
    fact.found.is_some_and(Retrieved::is_sure)
}

impl Text {
    fn say(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A sentence a thing, or `nothing` where there is none.
    fn all(&mut self, facts: &[Fact<'_>], nothing: &str) {
        if facts.is_empty() {
            self.say(nothing);
        }
        let located: Vec<(&str, [f32; 4])> = facts
            .iter()
            .filter_map(|fact| Some((fact.name(), fact.box_()?)))
            .collect();
        for (at, fact) in facts.iter().enumerate() {
            if at > 0 {
                self.say(" ");
            }
            let place = fact.box_().map(|box_| place(box_, &located));
            self.sentence(fact, place.as_deref().unwrap_or("somewhere in the photo"));
            self.others(fact);
        }
    }

    fn sentence(&mut self, fact: &Fact<'_>, place: &str) {
        let Some(found) = fact.found else {
            self.name(fact);
            self.say(" was not found in this photo.");
            return;
        };
        let sure = found.is_sure();
        if !sure {
            self.say("Perhaps ");
        }
        self.name(fact);
        if !fact.concept.category.is_empty() {
            self.say(&format!(" ({})", fact.concept.category));
        }
        self.say(" is ");
        self.say(place);
        match found.confidence {
            Some(confidence) => self.say(&format!(", {} % sure.", percent(confidence))),
            None => self.say("."),
        }
    }

    /// A sentence of what is as like the thing as the thing itself.
    fn others(&mut self, fact: &Fact<'_>) {
        let boxes = fact.found.map_or(&[][..], |found| &found.more_boxes);
        let places: Vec<String> = boxes.iter().map(|box_| place(*box_, &[])).collect();
        match places.as_slice() {
            [] => {}
            [place] => self.say(&format!(" Another one like it is {place}.")),
            [first @ .., last] => {
                let first = first.join(", ");
                self.say(&format!(" Others like it are {first} and {last}."));
            }
        }
    }

    /// Writes the name and remembers where it stands.
    fn name(&mut self, fact: &Fact<'_>) {
        let name = fact.name();
        let (start, start_char) = self.length();
        self.say(name);
        let (end, end_char) = self.length();
        self.mentions.push(MentionView {
            id: fact.concept.id.clone(),
            name: name.to_owned(),
            start,
            end,
            start_char,
            end_char,
            box_: fact.box_(),
            confidence: fact
                .found
                .map_or(0.0, |found| found.confidence.unwrap_or(found.score)),
        });
    }

    /// UTF-16 code units and characters so far.
    fn length(&self) -> (usize, usize) {
        (self.text.encode_utf16().count(), self.text.chars().count())
    }
}

/// Whole percents, never a certainty that was not measured.
fn percent(confidence: f32) -> u32 {
    ((confidence * 100.0).round() as u32).clamp(1, 99)
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
