//! The probe loss: tokens inside the decoder predict which concept they belong to, and what is known of it.
//!
//! This file has the loss and the targets of visual tokens; [`super::probe_targets`] has those of words.

use anyhow::Result;
use burn::tensor::{Tensor, TensorData};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::ChatEncoder;
use playroom::Sample;

use super::batch::indices;
use super::probe::{Probe, Probes};
use super::token_loss::token_losses;
use super::{attribute_loss, probe_targets};

/// Finds the tokens of the chat `ids` about `sample` that have something to predict.
pub(super) fn find(chat: &ChatEncoder, sample: &Sample, ids: &[u32]) -> Result<Probes> {
    let image = chat.image_token();
    let places: Vec<usize> = (0..ids.len())
        .filter(|&at| Some(ids[at]) == image)
        .collect();
    let tokens = places.len() / (sample.concepts.len() + 1);
    // The photo comes last, after the references.
    let (references, photo) = places.split_at(places.len() - tokens);
    let mut probes = Probes::default();
    let side = tokens.isqrt();
    for (concept, reference) in sample.concepts.iter().zip(references.chunks_exact(tokens)) {
        if let Some(word) = first_word(chat, &format!("<{}>", concept.name))? {
            probes.owners.extend(middle(side).map(|cell| Probe {
                at: reference[cell],
                word,
                kind: "visual_probe/reference",
            }));
        }
    }
    probes.contents = in_photo(chat, sample, photo)?;
    let asked_from = photo.last().map_or(0, |last| last + 1);
    probe_targets::names(chat, ids, asked_from, &mut probes)?;
    Ok(probes)
}

/// The token behind the opening bracket of `marked`.
fn first_word(chat: &ChatEncoder, marked: &str) -> Result<Option<u32>> {
    Ok(chat.tokenizer().encode(marked, false)?.get(1).copied())
}

/// What the visual tokens `photo` show.
fn in_photo(chat: &ChatEncoder, sample: &Sample, photo: &[usize]) -> Result<Vec<Probe>> {
    let mut words = Vec::with_capacity(sample.things.len());
    for thing in &sample.things {
        let (text, kind) = match thing.concept {
            Some(concept) => (
                format!("<{}>", sample.concepts[concept].name),
                "visual_probe/named",
            ),
            None => (
                format!("< {}", thing.identity.category.word()),
                "visual_probe/unnamed",
            ),
        };
        words.push(first_word(chat, &text)?.map(|word| (word, kind)));
    }
    let boxes: Vec<[f32; 4]> = sample.things.iter().map(|thing| thing.box_px).collect();
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for (cell, &at) in photo.iter().enumerate() {
        match attribute_loss::thing_at(&boxes, cell, photo.len().isqrt())
            .and_then(|thing| words[thing])
        {
            Some((word, kind)) => on.push(Probe { at, word, kind }),
            None => off.push(Probe {
                at,
                word: chat.end_of_turn(),
                kind: "visual_probe/background",
            }),
        }
    }
    // Spread over the photo, not its first rows.
    let wanted = on.len().min(off.len());
    on.extend((0..wanted).map(|i| off[i * off.len() / wanted]));
    Ok(on)
}

/// Cross-entropy of what tokens should predict, read out by the language head; returns the loss and, by kind, the share that
/// is right.
///
/// An answer takes several steps: from the question to the photo, from there to a reference photo that looks the same, and
/// from there to a name; or from a name in the question to its entry. From answers alone a small model finds these
/// steps late; here each of them is supervised.
pub(super) fn loss(
    model: &Vlm,
    hidden: &Tensor<3>,
    chats: &[&[Probe]],
    width: usize,
) -> (Tensor<1>, Vec<(String, f64)>) {
    let mut probes = Vec::new();
    for (row, chat) in chats.iter().enumerate() {
        probes.extend(chat.iter().map(|probe| (row * width + probe.at, probe)));
    }
    if probes.is_empty() {
        return (Tensor::zeros([1], &hidden.device()), Vec::new());
    }
    let places: Vec<usize> = probes.iter().map(|(place, _)| *place).collect();
    let targets: Vec<i64> = probes
        .iter()
        .map(|(_, probe)| i64::from(probe.word))
        .collect();
    let ([rows, _, wide], device) = (hidden.dims(), hidden.device());
    let hidden = hidden.clone().reshape([rows * width, wide]);
    let hidden = hidden.select(0, indices(&places, &device));
    let (losses, guesses) = token_losses(model, hidden, &targets);
    let mut figures: Vec<(&'static str, f64, usize)> = Vec::new();
    for ((_, probe), guess) in probes.iter().zip(guesses) {
        let right = f64::from(guess == i64::from(probe.word));
        match figures.iter_mut().find(|(kind, ..)| *kind == probe.kind) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + right, *count + 1),
            None => figures.push((probe.kind, right, 1)),
        }
    }
    // Kinds weigh the same, however many tokens they have: patches are many, names in questions few.
    let weight = |probe: &Probe| {
        let count = figures.iter().find(|(kind, ..)| *kind == probe.kind);
        1.0 / (figures.len() * count.map_or(1, |(.., count)| *count)) as f32
    };
    let weights: Vec<f32> = probes.iter().map(|(_, probe)| weight(probe)).collect();
    let weights = TensorData::new(weights, [probes.len()]);
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
