//! What visual tokens should call to mind: names and categories of the things they lie on, asked patch by patch.

use anyhow::Result;
use burn::tensor::Tensor;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::ChatEncoder;
use playroom::Sample;

use super::batch::indices;
use super::looks;
use super::supervised::token_losses;

/// What a visual token should call to mind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// Place in the chat.
    pub at: usize,
    /// The token to think of.
    pub word: u32,
    /// Which figure it counts for.
    pub kind: &'static str,
}

/// What the visual tokens of one chat should call to mind.
#[derive(Debug)]
pub(super) struct Sights {
    /// The middle of each reference: the name that stands before it.
    pub references: Vec<Sight>,
    /// The photo: where it shows a thing, the first token of its name, or of its category where nobody gave a name;
    /// and as many places without a thing, with the token that ends a turn.
    pub photo: Vec<Sight>,
}

/// Finds the visual tokens of the chat `ids` about `sample` that are asked for something.
pub(super) fn find(chat: &ChatEncoder, sample: &Sample, ids: &[u32]) -> Result<Sights> {
    let tokenizer = chat.tokenizer();
    let image = chat.image_token();
    let places: Vec<usize> = (0..ids.len()).filter(|&at| ids[at] == image).collect();
    let tokens = places.len() / (sample.concepts.len() + 1);
    let side = tokens.isqrt();
    let word = |word: String| -> Result<Option<u32>> {
        Ok(tokenizer.encode(&word, false)?.get(1).copied())
    };
    let mut references = Vec::new();
    for (concept, reference) in sample.concepts.iter().zip(places.chunks_exact(tokens)) {
        let Some(name) = word(format!("<{}>", concept.name))? else {
            continue;
        };
        references.extend(middle(side).map(|cell| Sight {
            at: reference[cell],
            word: name,
            kind: "sight/Reference",
        }));
    }
    // The photo comes last, after the references.
    let photo = &places[places.len() - tokens..];
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
        words.push(word(text)?.map(|word| (word, kind)));
    }
    let boxes: Vec<[f32; 4]> = sample.things.iter().map(|thing| thing.box_px).collect();
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for (cell, &at) in photo.iter().enumerate() {
        match looks::thing_at(&boxes, cell, side).and_then(|thing| words[thing]) {
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
    Ok(Sights {
        references,
        photo: on,
    })
}

/// What visual tokens call to mind, read out by the language head; returns the loss and, by kind,
/// the share that is right.
///
/// An answer must go from the question to the photo, from there to a reference that looks alike, and from there
/// to a name. From answers alone a small model finds this way late; here each patch is asked for its part of it.
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
    let mut figures: Vec<(String, f64, u32)> = Vec::new();
    for ((_, sight), guess) in sights.iter().zip(guesses) {
        let right = f64::from(guess == i64::from(sight.word));
        match figures.iter_mut().find(|(name, ..)| name == sight.kind) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + right, *count + 1),
            None => figures.push((sight.kind.to_owned(), right, 1)),
        }
    }
    let figures = figures.into_iter();
    let shares = figures.map(|(name, sum, count)| (name, sum / f64::from(count)));
    (losses.mean(), shares.collect())
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
