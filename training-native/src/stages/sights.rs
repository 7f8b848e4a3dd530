//! What tokens should call to mind on the way to an answer: whose they are, what they show, what is known of a name.

use anyhow::{Result, ensure};
use burn::tensor::{Tensor, TensorData};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::ChatEncoder;
use playroom::Sample;

use super::batch::indices;
use super::looks;
use super::supervised::token_losses;

/// What a token should call to mind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// Place in the chat.
    pub at: usize,
    /// The token to think of.
    pub word: u32,
    /// Which figure it counts for.
    pub kind: &'static str,
}

/// What the tokens of one chat should call to mind.
#[derive(Debug, Default)]
pub(super) struct Sights {
    /// Which number of a box it is, as a letter: the tokens of boxes in entries; and of those in answers, which comes next.
    pub slots: Vec<Sight>,
    /// Whose it is, as the first token of the name: the middle of each reference, what an entry says behind its name, the
    /// closing bracket of a name in a question or answer, and the box that answers.
    pub whose: Vec<Sight>,
    /// What is known of it. The photo, where it shows a thing: the first token of its name, or of its category where nobody
    /// gave a name; and as many places without a thing, with the token that ends a turn. The closing bracket of a
    /// name in a question: what follows that name in its entry, or the end of a turn where there is no such entry. A box
    /// in an answer: the next token of the box in the entry. The closing bracket of a name in an answer: the name to the
    /// right of it, or the end of a turn.
    pub known: Vec<Sight>,
}

/// Finds the tokens of the chat `ids` about `sample` that are asked for something.
pub(super) fn find(chat: &ChatEncoder, sample: &Sample, ids: &[u32]) -> Result<Sights> {
    let image = chat.image_token();
    let places: Vec<usize> = (0..ids.len()).filter(|&at| ids[at] == image).collect();
    let tokens = places.len() / (sample.concepts.len() + 1);
    // The photo comes last, after the references.
    let (references, photo) = places.split_at(places.len() - tokens);
    let mut sights = Sights::default();
    let side = tokens.isqrt();
    for (concept, reference) in sample.concepts.iter().zip(references.chunks_exact(tokens)) {
        if let Some(word) = first_word(chat, &format!("<{}>", concept.name))? {
            sights.whose.extend(middle(side).map(|cell| Sight {
                at: reference[cell],
                word,
                kind: "sight/Reference",
            }));
        }
    }
    sights.known = in_photo(chat, sample, photo)?;
    let asked_from = photo.last().map_or(0, |last| last + 1);
    names(chat, ids, asked_from, &mut sights)?;
    Ok(sights)
}

/// The token behind the opening bracket of `marked`.
fn first_word(chat: &ChatEncoder, marked: &str) -> Result<Option<u32>> {
    Ok(chat.tokenizer().encode(marked, false)?.get(1).copied())
}

/// What the visual tokens `photo` show.
fn in_photo(chat: &ChatEncoder, sample: &Sample, photo: &[usize]) -> Result<Vec<Sight>> {
    let mut words = Vec::with_capacity(sample.things.len());
    for thing in &sample.things {
        let (text, kind) = match thing.concept {
            Some(concept) => (
                format!("<{}>", sample.concepts[concept].name),
                "sight/Named",
            ),
            None => (
                format!("< {}", thing.identity.category.word()),
                "sight/Unnamed",
            ),
        };
        words.push(first_word(chat, &text)?.map(|word| (word, kind)));
    }
    let boxes: Vec<[f32; 4]> = sample.things.iter().map(|thing| thing.box_px).collect();
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for (cell, &at) in photo.iter().enumerate() {
        match looks::thing_at(&boxes, cell, photo.len().isqrt()).and_then(|thing| words[thing]) {
            Some((word, kind)) => on.push(Sight { at, word, kind }),
            None => off.push(Sight {
                at,
                word: chat.end_of_turn(),
                kind: "sight/Nothing",
            }),
        }
    }
    // Spread over the photo, not its first rows.
    let wanted = on.len().min(off.len());
    on.extend((0..wanted).map(|i| off[i * off.len() / wanted]));
    Ok(on)
}

/// An entry of the prompt, as its tokens.
struct Entry<'a> {
    name: &'a [u32],
    /// Place behind the name.
    behind: usize,
    /// First token of the name that is to the right of it.
    next: Option<u32>,
}

/// Adds the entries of the prompt, which end at `asked_from`, and the names in questions and answers after them.
fn names(chat: &ChatEncoder, ids: &[u32], asked_from: usize, sights: &mut Sights) -> Result<()> {
    let tokenizer = chat.tokenizer();
    let one = |text: &str| -> Result<Option<u32>> {
        let ids = tokenizer.encode(text, false)?;
        Ok(if let [only] = *ids { Some(only) } else { None })
    };
    let (open, spaced, close) = (one("<")?, one(" <")?, one(">")?);
    let (line_end, box_start) = (one("\n")?, one(" [")?);
    let (digits, letters) = alphabet(chat)?;
    let said = chat.answer_mask(ids)?;
    let sight = |at, word, kind| Sight { at, word, kind };
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let (mut start, mut in_entry) = (None, false);
    // The first token of the name asked for last, and the place behind it in its entry.
    let mut asked: Option<(u32, Option<usize>)> = None;
    for (at, &id) in ids.iter().enumerate() {
        in_entry &= Some(id) != line_end;
        if let (Some((word, entry)), true, true) = (asked, said[at], Some(id) == box_start) {
            let end = (at..ids.len()).find(|&at| !said[at]).unwrap_or(ids.len());
            let whose = (at..end).map(|at| sight(at, word, "sight/Box"));
            sights.whose.extend(whose);
            let told = entry.filter(|&entry| Some(ids[entry]) == box_start);
            if let Some(told) = told.map(|entry| &ids[entry..]) {
                let copied = spelled_alike(&digits, &ids[at..end], told);
                let slots = slots(&digits, &told[..copied]);
                for i in 1..slots.len() {
                    let next = sight(at + i - 1, told[i], "sight/Copy");
                    sights.known.push(next);
                    let slot = letters[slots[i]];
                    sights.slots.push(sight(at + i - 1, slot, "sight/Slot"));
                }
            }
        }
        if Some(id) == open || Some(id) == spaced {
            start = Some(at + 1);
            continue;
        }
        let Some(name) = start.take_if(|_| Some(id) == close).map(|from| &ids[from..at]) else {
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
                let box_ = box_.map(|(i, &slot)| sight(behind + i, letters[slot], "sight/Slot"));
                sights.slots.extend(box_);
            }
            let entry = entry.iter().map(|&at| sight(at, word, "sight/Entry"));
            sights.whose.extend(entry);
        } else if said[at] {
            sights.whose.push(sight(at, word, "sight/Said"));
            let placed = entry.filter(|entry| Some(ids[entry.behind]) == box_start);
            let next = placed.map(|entry| entry.next.unwrap_or(chat.end_of_turn()));
            let next = next.map(|next| sight(at, next, "sight/Next"));
            sights.known.extend(next);
        } else {
            sights.whose.push(sight(at, word, "sight/Question"));
            let behind = entry.map(|entry| entry.behind);
            asked = Some((word, behind));
            let next = behind.map_or(chat.end_of_turn(), |behind| ids[behind]);
            sights.known.push(sight(at, next, "sight/Asked"));
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

/// What tokens call to mind, read out by the language head; returns the loss and, by kind,
/// the share that is right.
///
/// An answer must go from the question to the photo, from there to a reference that looks alike, and from there
/// to a name; or from a name in the question to its entry. From answers alone a small model finds these ways late; here
/// each token is asked for its part of them.
pub(super) fn loss(
    model: &Vlm,
    hidden: &Tensor<3>,
    chats: &[&[Sight]],
    width: usize,
) -> (Tensor<1>, Vec<(String, f64)>) {
    let mut sights = Vec::new();
    for (row, chat) in chats.iter().enumerate() {
        sights.extend(chat.iter().map(|sight| (row * width + sight.at, sight)));
    }
    if sights.is_empty() {
        return (Tensor::zeros([1], &hidden.device()), Vec::new());
    }
    let places: Vec<usize> = sights.iter().map(|(place, _)| *place).collect();
    let targets: Vec<i64> = sights
        .iter()
        .map(|(_, sight)| i64::from(sight.word))
        .collect();
    let ([rows, _, wide], device) = (hidden.dims(), hidden.device());
    let hidden = hidden.clone().reshape([rows * width, wide]);
    let hidden = hidden.select(0, indices(&places, &device));
    let (losses, guesses) = token_losses(model, hidden, &targets);
    let mut figures: Vec<(&'static str, f64, usize)> = Vec::new();
    for ((_, sight), guess) in sights.iter().zip(guesses) {
        let right = f64::from(guess == i64::from(sight.word));
        match figures.iter_mut().find(|(kind, ..)| *kind == sight.kind) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + right, *count + 1),
            None => figures.push((sight.kind, right, 1)),
        }
    }
    // Kinds weigh the same, however many tokens they have: patches are many, names in questions few.
    let weight = |sight: &Sight| {
        let count = figures.iter().find(|(kind, ..)| *kind == sight.kind);
        1.0 / (figures.len() * count.map_or(1, |(.., count)| *count)) as f32
    };
    let weights: Vec<f32> = sights.iter().map(|(_, sight)| weight(sight)).collect();
    let weights = TensorData::new(weights, [sights.len()]);
    let loss = (losses * Tensor::from_data(weights, &device)).sum();
    let shares = figures
        .into_iter()
        .map(|(kind, sum, count)| (kind.to_owned(), sum / count as f64));
    (loss, shares.collect())
}

/// The four cells in the middle of a grid.
fn middle(side: usize) -> impl Iterator<Item = usize> {
    let start = (side / 2).saturating_sub(1);
    (0..4)
        .map(move |i| (start + i / 2) * side + start + i % 2)
        .filter(move |&cell| cell < side * side)
}

#[cfg(test)]
mod tests {
    use namelens_engine::personalize::prompt::Seen;

    use super::*;

    #[test]
    fn the_middle_of_a_grid_is_its_four_inner_cells() {
        assert_eq!(middle(6).collect::<Vec<_>>(), [14, 15, 20, 21]);
        assert_eq!(middle(2).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(middle(1).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn the_places_of_a_box_are_numbered() {
        let (open, comma) = (100, 101);
        let box_ = [open, 1, 2, comma, 3, comma, 4, 5, comma, 6, 7, open, 9];
        let places = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12];
        assert_eq!(slots(&[1, 2, 3, 4, 5, 6, 7, 9], &box_), places);
    }

    #[test]
    fn names_in_questions_recall_their_entries() {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let model = std::path::Path::new(&folder).join("../models/playroom");
        let chat = crate::bundle::chat(&model, 36).unwrap();
        let only = |text: &str| match *chat.tokenizer().encode(text, false).unwrap() {
            [only] => only,
            _ => panic!("{text} is not one token"),
        };
        let wanted = [
            (Seen::At([0.1, 0.2, 0.3, 0.4]), only(" [")),
            (Seen::Nowhere, only(" not")),
        ];
        let (mut asked, mut strangers, mut captions) = (0, 0, 0);
        for seed in 0..20 {
            let sample = playroom::sample(seed, &playroom::SampleOptions::default());
            let seen: Vec<Seen> = (0..sample.concepts.len())
                .map(|concept| wanted[concept % 2].0)
                .collect();
            let encoded = super::super::chats::encode(&chat, &sample, &seen).unwrap();
            let of = |kind: &str| -> Vec<u32> {
                let known = encoded.sights.known.iter();
                known.filter(|s| s.kind == kind).map(|s| s.word).collect()
            };
            // A caption goes on with the next thing that was seen, and ends after the last.
            for (at, turn) in encoded.answers.iter().zip(&sample.turns) {
                let next = encoded.sights.known.iter();
                let next = next.filter(|s| s.kind == "sight/Next" && at.places.contains(&s.at));
                if turn.task == playroom::Task::Caption {
                    let placed = seen.iter().filter(|seen| **seen != Seen::Nowhere).count();
                    let said = sample.things.iter().filter(|thing| {
                        thing.concept.is_some_and(|concept| concept % 2 == 0)
                    });
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
            assert_eq!(of("sight/Asked"), words, "{:?}", sample.turns);
            asked += words.len();
            strangers += words.iter().filter(|&&w| w == chat.end_of_turn()).count();
            let entries = encoded.sights.whose.iter();
            let entries = entries.filter(|s| s.kind == "sight/Entry").count();
            assert!(entries >= 4 * sample.concepts.len(), "{entries}");
        }
        assert!(
            asked > 40 && strangers > 3 && captions > 10,
            "{asked}, {strangers}, {captions}"
        );
    }
}
