//! What tokens should call to mind on the way to an answer: whose they are, what they show, what is known of a name; and
//! the loss that asks them. [`super::recall`] has the words, this file the photos.

use anyhow::Result;
use burn::tensor::{Tensor, TensorData};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::ChatEncoder;
use playroom::Sample;

use super::batch::indices;
use super::supervised::token_losses;
use super::{looks, recall};

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
    recall::names(chat, ids, asked_from, &mut sights)?;
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
    use super::*;

    #[test]
    fn the_middle_of_a_grid_is_its_four_inner_cells() {
        assert_eq!(middle(6).collect::<Vec<_>>(), [14, 15, 20, 21]);
        assert_eq!(middle(2).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(middle(1).collect::<Vec<_>>(), [0]);
    }
}
