//! Binding F1: a name counts when what is said with it, its kind and colour or its box, is true of the thing that bears it.
//!
//! Strict F1 asks who is named; whoever writes all the names that are there scores 1.0 whichever thing each is given to. Here a name
//! of a thing that is there is right where the look said with it is the thing's, and counts as wrong *and* missed where it is
//! another's or nothing is said. Said with a name is: a noun phrase behind it (`<A>, the red striped cat`, `<A> is a red cat`) or in front of it
//! (`the red cat <A>`, `a red cat named <A>`), of which the first colour and the first kind count, so that a list of all
//! colours is one guess; and a box behind it (`<A> [12, 30, 45, 77]`, in hundredths of the side). A name that is said twice must be right
//! each time that something is said with it.

use std::collections::BTreeMap;

use namelens_engine::concepts::regions::iou;
use namelens_engine::personalize::mentions::{KnownName, read};
use playroom::ThingTruth;
use playroom::identity::{Category, Colour};
use serde::{Deserialize, Serialize};

use super::answers::HIT_IOU;
use super::rates::Counts;

/// A named thing that is in the photo, and what is true of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Id of the concept.
    pub id: String,
    /// Its kind, one word.
    pub category: String,
    /// Its body colour, one word.
    pub colour: String,
    /// Its box `x0, y0, x1, y1` in shares of the side.
    pub box_px: [f32; 4],
}

impl Bound {
    /// What is true of `thing`, which bears the name of concept `id`.
    pub fn of(thing: &ThingTruth, id: String) -> Self {
        Self {
            id,
            category: thing.identity.category.word().to_owned(),
            colour: thing.identity.body.word().to_owned(),
            box_px: thing.box_px,
        }
    }
}

/// Most words of a noun phrase between its article and its noun.
const PHRASE: usize = 6;
/// Words that end what is said of a thing and begin what is beside it.
const BESIDE: [&str; 3] = [" next to ", " left of ", " right of "];

/// Compares one caption with the things that should be named.
///
/// `known` are all concepts that could be named. A name of one that is not among `present` is wrong, and so is an invented one.
pub fn count(caption: &str, known: &[KnownName], present: &[Bound]) -> Counts {
    let parser = read(caption, known.iter().cloned());
    let text: Vec<char> = parser.text().chars().collect();
    let mentions = parser.mentions();
    let invented: Vec<Vec<char>> = parser
        .unknown_names()
        .map(|n| n.chars().collect())
        .collect();
    let strangers = places(&text, &invented);
    let mut said: BTreeMap<&str, Vec<Option<bool>>> = BTreeMap::new();
    for (at, mention) in mentions.iter().enumerate() {
        let ends = mentions[at + 1..].iter().map(|m| m.chars.start);
        let ends = ends.chain(
            strangers
                .iter()
                .map(|s| s.0)
                .filter(|s| *s >= mention.chars.end),
        );
        let end = ends.min().unwrap_or(text.len());
        let starts = mentions[..at].iter().map(|m| m.chars.end);
        let starts = starts.chain(
            strangers
                .iter()
                .map(|s| s.1)
                .filter(|s| *s <= mention.chars.start),
        );
        let start = starts.max().unwrap_or(0);
        let before: String = text[start..mention.chars.start].iter().collect();
        let behind: String = text[mention.chars.end..end].iter().collect();
        let truth = present.iter().find(|thing| thing.id == mention.concept);
        let verdict = truth.and_then(|thing| verdict(&before, &behind, thing));
        said.entry(&mention.concept).or_default().push(verdict);
    }
    let right = |verdicts: &Vec<Option<bool>>| {
        verdicts.contains(&Some(true)) && !verdicts.contains(&Some(false))
    };
    let correct = present
        .iter()
        .filter(|thing| said.get(thing.id.as_str()).is_some_and(right))
        .count();
    let invented: std::collections::BTreeSet<&Vec<char>> = invented.iter().collect();
    Counts {
        correct,
        wrong: said.len() - correct + invented.len(),
        missed: present.len() - correct,
    }
}

/// Whether what stands around a name is true of `thing`; `None` where it says nothing of a look or a place.
fn verdict(before: &str, behind: &str, thing: &Bound) -> Option<bool> {
    let behind = behind
        .split(['.', ';', '!', '?'])
        .next()
        .unwrap_or_default();
    let ends = BESIDE.iter().filter_map(|words| behind.find(words)).min();
    let behind = &behind[..ends.unwrap_or(behind.len())];
    let look = phrase_behind(behind).or_else(|| phrase_before(before));
    let look =
        look.map(|(colour, kind)| colour == Some(thing.colour.as_str()) && kind == thing.category);
    let place = first_box(behind).map(|found| iou(&found, &thing.box_px) >= HIT_IOU);
    match (look, place) {
        (None, None) => None,
        (look, place) => Some(look == Some(true) || place == Some(true)),
    }
}

/// Colour and kind of the noun phrase that `text` begins with: ", the red striped cat, is ...".
fn phrase_behind(text: &str) -> Option<(Option<&'static str>, &'static str)> {
    let text = text.trim_start();
    let text = text.strip_prefix(',').unwrap_or(text).trim_start();
    // A comma ends the phrase.
    let words = text.split(',').next()?.split_whitespace();
    let mut words = words.skip_while(|word| ["is", "was"].contains(word));
    article(words.next()?).then(|| noun(words))?
}

/// The same of the phrase that `text` ends with: "... a red striped cat named ".
fn phrase_before(text: &str) -> Option<(Option<&'static str>, &'static str)> {
    let words: Vec<&str> = text
        .rsplit([',', '.', ';'])
        .next()?
        .split_whitespace()
        .collect();
    let words = match words.as_slice() {
        [front @ .., "named" | "called"] => front,
        all => all,
    };
    kind(words.last()?)?;
    let start = words.iter().rposition(|word| article(word))?;
    noun(words[start + 1..].iter().copied())
}

fn noun<'a>(words: impl Iterator<Item = &'a str>) -> Option<(Option<&'static str>, &'static str)> {
    let mut first = None;
    for word in words.take(PHRASE + 1) {
        if let Some(kind) = kind(word) {
            return Some((first, kind));
        }
        first = first.or_else(|| colour(word));
    }
    None
}

fn article(word: &str) -> bool {
    ["the", "a", "an"]
        .iter()
        .any(|a| word.eq_ignore_ascii_case(a))
}

fn kind(word: &str) -> Option<&'static str> {
    let mut all = Category::ALL.iter().map(|category| category.word());
    all.find(|kind| word.eq_ignore_ascii_case(kind))
}

fn colour(word: &str) -> Option<&'static str> {
    let mut all = Colour::ALL.iter().map(|colour| colour.word());
    all.find(|colour| word.eq_ignore_ascii_case(colour))
}

/// The first box of four numbers in `text`, in shares of the side.
fn first_box(text: &str) -> Option<[f32; 4]> {
    let inner = text.split_once('[')?.1.split_once(']')?.0;
    let numbers = inner.split(',').map(|n| n.trim().parse::<f32>());
    let numbers: Vec<f32> = numbers.collect::<Result<_, _>>().ok()?;
    <[f32; 4]>::try_from(numbers)
        .ok()
        .map(|edges| edges.map(|e| e / 100.0))
}

/// Beginnings and ends of `words` in `text`.
fn places(text: &[char], words: &[Vec<char>]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for word in words.iter().filter(|word| !word.is_empty()) {
        let starts = text
            .windows(word.len())
            .enumerate()
            .filter(|(_, w)| *w == word.as_slice());
        found.extend(starts.map(|(at, _)| (at, at + word.len())));
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::strict;

    fn known() -> Vec<KnownName> {
        ["Ann", "Bo", "Cy", "Red Cat"]
            .map(|name| KnownName {
                id: name.to_lowercase(),
                spellings: vec![name.to_owned()],
            })
            .to_vec()
    }

    fn thing(id: &str, colour: &str, category: &str, x: f32) -> Bound {
        Bound {
            id: id.into(),
            category: category.into(),
            colour: colour.into(),
            box_px: [x, 0.2, x + 0.3, 0.8],
        }
    }

    /// Ann is a red cat on the left, Bo a blue mug on the right.
    fn present() -> Vec<Bound> {
        vec![
            thing("ann", "red", "cat", 0.1),
            thing("bo", "blue", "mug", 0.6),
        ]
    }

    #[track_caller]
    fn check(caption: &str, correct: usize, wrong: usize, missed: usize) {
        let found = count(caption, &known(), &present());
        assert_eq!(
            found,
            Counts {
                correct,
                wrong,
                missed
            },
            "{caption}"
        );
    }

    #[test]
    fn each_name_is_held_to_the_thing_that_bears_it() {
        check(
            "<Ann>, the red striped cat with a blue hat, is sitting left of <Bo>, the blue mug, on the beach.",
            2,
            0,
            0,
        );
        check(
            "This is <Ann>, the red and blue checked cat, with <Bo>, the blue mug.",
            2,
            0,
            0,
        );
        check("<Ann> is a red cat and <Bo> is a blue mug.", 2, 0, 0);
        check(
            "A red cat named <Ann> sits beside the blue mug <Bo>.",
            2,
            0,
            0,
        );
        // The looks of both, but of the other one.
        check(
            "<Ann>, the blue mug, is left of <Bo>, the red cat.",
            0,
            2,
            2,
        );
        check("<Ann>, the red mug, and <Bo>, the blue cat.", 0, 2, 2);
        check("<Ann>, the cat, and <Bo>, the blue mug.", 1, 1, 1);
        check("", 0, 0, 2);
        // The second colour is not the body's.
        check("<Ann>, the blue cat with a red hat.", 0, 1, 2);
    }

    #[test]
    fn names_alone_guesses_and_neighbours_do_not_count() {
        check("<Ann>, <Bo>, <Cy> and <Red Cat>", 0, 4, 2);
        // Lists of words are one guess, and so is what is said twice.
        check("<Ann>, the blue red green mug cat, sits.", 0, 1, 2);
        check("<Ann>, the red cat, is <Ann>, the blue mug.", 0, 1, 2);
        // A red cat that is beside a name is not the name's.
        check(
            "<Bo> is sitting next to a red cat. <Ann> is sitting next to a red cat.",
            0,
            2,
            2,
        );
        check("<Ann> is sitting and a red cat sleeps.", 0, 1, 2);
        check("<Ann>, <Zorro>, the red cat.", 0, 2, 2);
        // What is in a name is not said of it.
        check("<Red Cat>, the red cat, and <Ann>.", 0, 2, 2);
    }

    #[test]
    fn boxes_bind_too_and_absent_or_invented_names_are_wrong() {
        check("<Ann> [10, 20, 40, 80] and <Bo> [60, 20, 90, 80].", 2, 0, 0);
        check("<Ann> [60, 20, 90, 80] and <Bo> [10, 20, 40, 80].", 0, 2, 2);
        check("<Ann> [10, 20, 40] and <Bo> [a, 20, 90, 80].", 0, 2, 2);
        check(
            "<Ann>, the red cat, <Cy>, the grey dog, and <Zorro>, the black car.",
            1,
            2,
            1,
        );
        check("<Zorro> and <Zorro>, the red cat.", 0, 1, 2);
    }

    /// A caption of `picked` concepts, in that order, each with the look of `looks`.
    fn caption(picked: &[usize], looks: &[(String, String)]) -> String {
        let parts = picked.iter().map(|&at| {
            let (colour, kind) = &looks[at];
            format!("<N{at}x>, the {colour} {kind},")
        });
        format!(
            "{} on the beach.",
            parts.collect::<Vec<_>>().join(" left of ")
        )
    }

    proptest! {
        #[test]
        fn order_changes_nothing_all_names_never_win_and_strict_bounds_it(
            things in proptest::collection::vec((0usize..12, 0usize..16), 2..8),
            here in 1usize..4,
            order in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle(),
            lie in any::<u8>(),
        ) {
            let here = here.min(things.len() - 1);
            let looks: Vec<(String, String)> = things.iter()
                .map(|&(c, k)| (Colour::ALL[c].word().to_owned(), Category::ALL[k].word().to_owned()))
                .collect();
            let known: Vec<KnownName> = (0..looks.len())
                .map(|i| KnownName { id: format!("{i}"), spellings: vec![format!("N{i}x")] })
                .collect();
            let present: Vec<Bound> = looks[..here].iter().enumerate()
                .map(|(i, (colour, kind))| thing(&i.to_string(), colour, kind, 0.1))
                .collect();
            let ids: Vec<String> = (0..here).map(|i| i.to_string()).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let all: Vec<usize> = order.into_iter().filter(|&i| i < looks.len()).collect();
            // Every name with the look of its reference: right of those that are here, and still not perfect.
            let every = count(&caption(&all, &looks), &known, &present);
            prop_assert_eq!(every, Counts { correct: here, wrong: looks.len() - here, missed: 0 });
            prop_assert!(every.f1() < 1.0);
            let right: Vec<usize> = all.iter().copied().filter(|&i| i < here).collect();
            prop_assert_eq!(count(&caption(&right, &looks), &known, &present).f1(), 1.0);
            // Lies about some looks: never more than strict F1, and the same in any order of names and of truths.
            let mut lies = looks.clone();
            for (at, look) in lies.iter_mut().enumerate() {
                if (lie >> at) & 1 == 1 {
                    look.0 = if look.0 == "red" { "blue".into() } else { "red".into() };
                }
            }
            let said = caption(&all, &lies);
            let found = count(&said, &known, &present);
            prop_assert!(found.f1() <= strict::count(&said, &known, &ids).f1());
            let mut turned = all.clone();
            turned.reverse();
            let mut truths = present.clone();
            truths.reverse();
            prop_assert_eq!(found, count(&caption(&turned, &lies), &known, &truths));
        }

        #[test]
        fn any_text_can_be_read(text in "[<>\\[\\]A-Za-z0-9 ,.é]{0,60}") {
            let found = count(&text, &known(), &present());
            prop_assert_eq!(found.correct + found.missed, 2);
        }
    }
}
