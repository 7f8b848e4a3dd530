//! Captions in a few fixed forms; which form is asked for by the wording of the question.

use crate::place::Place;
use crate::sample::ThingTruth;
use crate::wording::article;

/// A question for a caption and the form of its answer.
pub(crate) type Asking = (&'static str, usize);

pub(crate) const CAPTION: &[Asking] = &[
    ("Give a caption of the image.", 0),
    ("Give a personalized caption of this image.", 0),
    ("Can you provide a personalized caption of this photo?", 1),
    ("Provide a caption of the given image.", 1),
    ("Who is in this photo?", 2),
    ("Introduce everyone in the image.", 2),
];

pub(crate) const PLAIN: &[Asking] = &[
    ("Describe the image without names.", 0),
    ("Give a caption without names.", 0),
    ("What does this photo show?", 1),
];

/// Upper-case first letter and a full stop: "jam" gives "Jam.".
pub(crate) fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first = letters
        .next()
        .map(|c| c.to_uppercase().collect::<String>())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// "a", "a and b", "a, b and c".
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [start @ .., last] => {
            // A named look brings its own comma.
            let start = start.join(", ").replace(",,", ",");
            format!("{start} and {last}")
        }
    }
}

/// How a thing is referred to. Long forms only where at most two share the sentence.
fn refer(thing: &ThingTruth, names: &[&str], crowd: bool) -> String {
    let look = if crowd {
        thing.identity.brief()
    } else {
        thing.description.clone()
    };
    match thing.concept.and_then(|index| names.get(index)) {
        Some(name) => format!("<{name}>, the {look},"),
        None => article(&look),
    }
}

/// The caption with names. `things` run from left to right; `names` are the concepts' names.
///
/// Every named thing is named once, from left to right; at most one unnamed thing is mentioned, at the end.
pub(crate) fn caption(things: &[ThingTruth], names: &[&str], place: Place, form: usize) -> String {
    let named: Vec<&ThingTruth> = things
        .iter()
        .filter(|thing| thing.concept.is_some())
        .collect();
    if named.is_empty() {
        return plain(things, place, form.min(1));
    }
    let extra = things
        .iter()
        .find(|thing| thing.concept.is_none())
        .map(|thing| format!(" next to {}", article(&thing.identity.brief())))
        .unwrap_or_default();
    compose(&named, names, place.word(), &extra, form)
}

/// The caption without names, of all things from left to right.
pub(crate) fn plain(things: &[ThingTruth], place: Place, form: usize) -> String {
    let all: Vec<&ThingTruth> = things.iter().collect();
    compose(&all, &[], place.word(), "", form)
}

/// The caption without names that says no more of things than their kinds: "A bear and a car in the kitchen."
pub(crate) fn brief(things: &[ThingTruth], place: Place) -> String {
    let kinds: Vec<String> = things
        .iter()
        .map(|thing| article(thing.identity.category.word()))
        .collect();
    sentence(&format!("{} {}", list(&kinds), place.word()))
}

fn compose(
    things: &[&ThingTruth],
    names: &[&str],
    place: &str,
    extra: &str,
    form: usize,
) -> String {
    let crowd = things.len() > 2;
    let looks: Vec<String> = things
        .iter()
        .map(|thing| refer(thing, names, crowd))
        .collect();
    let text = match form {
        // "<A>, the red cat, is sitting left of <B>, the blue mug, on the beach next to a doll."
        0 => {
            let pose = things.first().map_or("", |thing| thing.pose.as_str());
            let first = looks.first().cloned().unwrap_or_default();
            match looks.get(1..) {
                Some(rest @ [_, ..]) => {
                    format!("{first} is {pose} left of {} {place}{extra}", list(rest))
                }
                _ => format!("{first} is {pose} {place}{extra}"),
            }
        }
        // "On the beach, <A>, the red cat, is sitting and <B>, the blue mug, is standing next to a doll."
        1 => {
            let clauses: Vec<String> = looks
                .iter()
                .zip(things)
                .map(|(look, thing)| format!("{look} is {}", thing.pose))
                .collect();
            format!("{place}, {}{extra}", list(&clauses))
        }
        // "This is <A>, the red cat, with <B>, the blue mug, on the beach next to a doll."
        _ => match looks.split_first() {
            Some((first, rest @ [_, ..])) => {
                format!("this is {first} with {} {place}{extra}", list(rest))
            }
            _ => format!("this is {} {place}{extra}", list(&looks)),
        },
    };
    // A look may close the sentence; its comma may not.
    sentence(text.trim_end_matches(','))
}
