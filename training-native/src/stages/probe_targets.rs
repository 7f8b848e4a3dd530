//! Targets of the probe loss for words: the concept of an entry, question or box, and what an entry says of a name.

use anyhow::{Result, ensure};
use namelens_engine::text::ChatEncoder;

use super::probe::{Probe, Probes};

/// An entry of the prompt, as its tokens.
struct Entry<'a> {
    name: &'a [u32],
    /// Place behind the name.
    behind: usize,
    /// First token of the name that is to the right of it.
    next: Option<u32>,
}

/// Adds the entries of the prompt, which end at `asked_from`, and the names in questions and answers after them.
pub(super) fn names(
    chat: &ChatEncoder,
    ids: &[u32],
    asked_from: usize,
    probes: &mut Probes,
) -> Result<()> {
    let tokenizer = chat.tokenizer();
    let one = |text: &str| -> Result<Option<u32>> {
        let ids = tokenizer.encode(text, false)?;
        Ok(if let [only] = *ids { Some(only) } else { None })
    };
    let (open, spaced, close) = (one("<")?, one(" <")?, one(">")?);
    let (line_end, box_start) = (one("\n")?, one(" [")?);
    let (digits, letters) = alphabet(chat)?;
    let said = chat.answer_mask(ids)?;
    let probe = |at, word, kind| Probe { at, word, kind };
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let (mut start, mut in_entry) = (None, false);
    // The first token of the name asked for last, and the place behind it in its entry.
    let mut asked: Option<(u32, Option<usize>)> = None;
    for (at, &id) in ids.iter().enumerate() {
        in_entry &= Some(id) != line_end;
        if let (Some((word, entry)), true, true) = (asked, said[at], Some(id) == box_start) {
            let end = (at..ids.len()).find(|&at| !said[at]).unwrap_or(ids.len());
            let owned = (at..end).map(|at| probe(at, word, "text_probe/box_owner"));
            probes.owners.extend(owned);
            let hinted = entry.filter(|&entry| Some(ids[entry]) == box_start);
            if let Some(hinted) = hinted.map(|entry| &ids[entry..]) {
                let copied = spelled_alike(&digits, &ids[at..end], hinted);
                let slots = slots(&digits, &hinted[..copied]);
                for i in 1..slots.len() {
                    let next = probe(at + i - 1, hinted[i], "text_probe/box_copy");
                    probes.contents.push(next);
                    let slot = letters[slots[i]];
                    probes
                        .box_slots
                        .push(probe(at + i - 1, slot, "text_probe/box_slot"));
                }
            }
        }
        if Some(id) == open || Some(id) == spaced {
            start = Some(at + 1);
            continue;
        }
        let Some(name) = start
            .take_if(|_| Some(id) == close)
            .map(|from| &ids[from..at])
        else {
            continue;
        };
        let Some(&word) = name.first() else {
            continue;
        };
        let entry = entries.iter().find(|entry| entry.name == name);
        if at < asked_from && in_entry {
            // Another name in an entry is the one to the right.
            let own = entries.last_mut();
            own.into_iter().for_each(|own| own.next = Some(word));
        } else if at < asked_from {
            in_entry = true;
            let (behind, next) = (at + 1, None);
            entries.push(Entry { name, behind, next });
            let entry = (behind..asked_from).take_while(|&at| Some(ids[at]) != line_end);
            let entry: Vec<usize> = entry.collect();
            let end = entry.last().map_or(behind, |last| last + 1);
            if Some(ids[behind]) == box_start {
                let box_ = slots(&digits, &ids[behind..end]);
                let box_ = box_.iter().enumerate();
                let box_ =
                    box_.map(|(i, &slot)| probe(behind + i, letters[slot], "text_probe/box_slot"));
                probes.box_slots.extend(box_);
            }
            let entry = entry.iter().map(|&at| probe(at, word, "text_probe/entry"));
            probes.owners.extend(entry);
        } else if said[at] {
            probes
                .owners
                .push(probe(at, word, "text_probe/answer_name"));
            let placed = entry.filter(|entry| Some(ids[entry.behind]) == box_start);
            let next = placed.map(|entry| entry.next.unwrap_or(chat.end_of_turn()));
            let next = next.map(|next| probe(at, next, "text_probe/next_name"));
            probes.contents.extend(next);
        } else {
            probes
                .owners
                .push(probe(at, word, "text_probe/question_name"));
            let behind = entry.map(|entry| entry.behind);
            asked = Some((word, behind));
            let next = behind.map_or(chat.end_of_turn(), |behind| ids[behind]);
            probes.contents.push(probe(at, next, "text_probe/lookup"));
        }
    }
    Ok(())
}

/// The tokens of digits, and letters to number the places of a box with.
fn alphabet(chat: &ChatEncoder) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut digits = Vec::with_capacity(20);
    for digit in 0..10 {
        for text in [format!("{digit}"), format!(" {digit}")] {
            digits.extend(chat.tokenizer().encode(&text, false)?);
        }
    }
    let mut letters = Vec::with_capacity(SLOTS);
    for letter in ('a'..='z').take(SLOTS) {
        letters.extend(chat.tokenizer().encode(&letter.to_string(), false)?);
    }
    ensure!(letters.len() == SLOTS, "a letter is more than one token");
    Ok((digits, letters))
}

/// Places of a box: its bracket, and of each number two digits and what follows.
const SLOTS: usize = 13;

/// The place of each token of a box, up to its closing bracket.
fn slots(digits: &[u32], box_: &[u32]) -> Vec<usize> {
    let (mut slots, mut number, mut digit) = (vec![0], 0, 0);
    for id in box_.iter().skip(1) {
        if number == 4 {
            break;
        }
        if digits.contains(id) && digit < 2 {
            slots.push(1 + 3 * number + digit);
            digit += 1;
        } else {
            slots.push(3 + 3 * number);
            (number, digit) = (number + 1, 0);
        }
    }
    slots
}

/// How many tokens two boxes begin with that are the same, or both a digit.
fn spelled_alike(digits: &[u32], a: &[u32], b: &[u32]) -> usize {
    let alike = |(a, b): &(&u32, &u32)| a == b || (digits.contains(a) && digits.contains(b));
    a.iter().zip(b).take_while(alike).count()
}

#[cfg(test)]
mod tests {
    use namelens_engine::personalize::hint::Hint;

    use super::super::chats;
    use super::*;

    #[test]
    fn the_places_of_a_box_are_numbered() {
        let (open, comma) = (100, 101);
        let box_ = [open, 1, 2, comma, 3, comma, 4, 5, comma, 6, 7, open, 9];
        let places = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12];
        assert_eq!(slots(&[1, 2, 3, 4, 5, 6, 7, 9], &box_), places);
    }

    #[test]
    fn names_in_questions_look_up_their_entries() {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let model = std::path::Path::new(&folder).join("../models/playroom");
        let chat = crate::bundle::chat(&model, 36).unwrap();
        let only = |text: &str| match *chat.tokenizer().encode(text, false).unwrap() {
            [only] => only,
            _ => panic!("{text} is not one token"),
        };
        let wanted = [
            (Hint::At([0.1, 0.2, 0.3, 0.4]), only(" [")),
            (Hint::Absent, only(" not")),
        ];
        let (mut asked, mut strangers, mut captions) = (0, 0, 0);
        for seed in 0..20 {
            let sample = playroom::sample(seed, &playroom::SampleOptions::default());
            let hints: Vec<Hint> = (0..sample.concepts.len())
                .map(|concept| wanted[concept % 2].0)
                .collect();
            let encoded = chats::encode(&chat, &sample, &hints).unwrap();
            let of = |kind: &str| -> Vec<u32> {
                let known = encoded.probes.contents.iter();
                known.filter(|s| s.kind == kind).map(|s| s.word).collect()
            };
            // A caption continues with the next thing that has a box, and ends after the last.
            for (at, turn) in encoded.answers.iter().zip(&sample.turns) {
                let next = encoded.probes.contents.iter();
                let next =
                    next.filter(|s| s.kind == "text_probe/next_name" && at.places.contains(&s.at));
                if turn.task == playroom::Task::Caption {
                    let placed = hints.iter().filter(|hint| **hint != Hint::Absent).count();
                    let said = sample
                        .things
                        .iter()
                        .filter(|thing| thing.concept.is_some_and(|concept| concept % 2 == 0));
                    let (said, next) = (said.count(), next.collect::<Vec<_>>());
                    assert_eq!(next.len(), said, "{turn:?}");
                    let ends = next.iter().filter(|s| s.word == chat.end_of_turn());
                    assert!(ends.count() <= 1 && said <= placed, "{turn:?}");
                    captions += 1;
                }
            }
            // One bracketed name at most is in a question.
            let questions = sample.turns.iter().filter(|t| t.question.contains('<'));
            let words: Vec<u32> = questions
                .map(|turn| match turn.subject {
                    Some(concept) => wanted[concept % 2].1,
                    None if turn.task == playroom::Task::RefuseUnknown => chat.end_of_turn(),
                    None => panic!("{turn:?}"),
                })
                .collect();
            assert_eq!(of("text_probe/lookup"), words, "{:?}", sample.turns);
            asked += words.len();
            strangers += words.iter().filter(|&&w| w == chat.end_of_turn()).count();
            let entries = encoded.probes.owners.iter();
            let entries = entries.filter(|s| s.kind == "text_probe/entry").count();
            assert!(entries >= 4 * sample.concepts.len(), "{entries}");
        }
        assert!(
            asked > 40 && strangers > 3 && captions > 10,
            "{asked}, {strangers}, {captions}"
        );
    }
}
