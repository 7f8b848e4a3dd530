//! What a caption takes over from the notes on a concept instead of from the photo.
//!
//! Two rewards from 0 down to -1: `attribute-leak` for phrases of the notes that this photo does not show, and
//! `copied-info` for wording taken over verbatim.

use std::collections::HashSet;

use anyhow::Result;
use namelens_engine::concepts::spelling::{Case, Haystack};

use super::columns;
use super::{PerRow, Reward, Row};

/// Words in a row that count as copied: shorter runs are how everybody speaks.
const RUN: usize = 4;

/// The reward `attribute-leak`: minus the share of the phrases in `concepts[].hidden` that the caption says.
///
/// Rows without such phrases are none of its business.
pub fn attribute_leak() -> impl Reward {
    PerRow::new("attribute-leak", leak)
}

/// The reward `copied-info`: minus the largest share of a concept's `info` that stands in the caption, in runs of at least
/// four words.
///
/// Rows whose concepts have no `info` of that length are none of its business.
pub fn copied_info() -> impl Reward {
    PerRow::new("copied-info", copied)
}

fn leak(row: &Row) -> Result<Option<f32>> {
    let concepts = columns::concepts(row)?;
    let phrases: Vec<&String> = concepts.iter().flat_map(|c| &c.hidden).collect();
    if phrases.is_empty() {
        return Ok(None);
    }
    let caption = Haystack::new(&row.completion, Case::Ignore);
    let said = phrases
        .iter()
        .filter(|phrase| !caption.find(phrase).is_empty());
    Ok(Some(0.0 - said.count() as f32 / phrases.len() as f32))
}

fn copied(row: &Row) -> Result<Option<f32>> {
    let caption = words(&row.completion);
    let runs: HashSet<&[String]> = caption.windows(RUN).collect();
    let shares = columns::concepts(row)?
        .iter()
        .filter_map(|concept| copied_share(&words(&concept.info), &runs))
        .reduce(f32::max);
    // Not `-share`, which prints as -0.
    Ok(shares.map(|share| 0.0 - share))
}

/// Share of the words of `info` that lie in a run of the caption; none where it is shorter than a run.
fn copied_share(info: &[String], runs: &HashSet<&[String]>) -> Option<f32> {
    if info.len() < RUN {
        return None;
    }
    let mut taken = vec![false; info.len()];
    for (at, window) in info.windows(RUN).enumerate() {
        if runs.contains(window) {
            taken[at..at + RUN].fill(true);
        }
    }
    Some(taken.iter().filter(|t| **t).count() as f32 / info.len() as f32)
}

/// Words in lower case, without punctuation.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(text: &str) -> Row {
        Row::from_json(json!({
            "completion": text,
            "concepts": [
                {"name": "Bo", "info": "A red teapot that loves jam and wears a top hat.", "hidden": ["top hat", "jam"]},
                {"name": "Mia", "info": "tall"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn what_the_photo_does_not_show_is_a_leak() {
        assert_eq!(leak(&row("<Bo> stands on a mat")).unwrap(), Some(0.0));
        assert_eq!(leak(&row("<Bo> in a Top Hat")).unwrap(), Some(-0.5));
        assert_eq!(
            leak(&row("<Bo> with jam and a top hat")).unwrap(),
            Some(-1.0)
        );
        assert_eq!(leak(&row("pyjamas")).unwrap(), Some(0.0), "inside a word");
        let none = Row::from_json(json!({"completion": "", "concepts": ["Bo"]})).unwrap();
        assert_eq!(leak(&none).unwrap(), None);
    }

    #[test]
    fn copying_the_notes_costs_and_their_words_alone_do_not() {
        assert_eq!(copied(&row("a teapot, red, wears jam")).unwrap(), Some(0.0));
        let all = copied(&row(
            "Here is Bo: a red teapot that loves jam and wears a top hat!",
        ))
        .unwrap();
        assert_eq!(all, Some(-1.0));
        let part = copied(&row("<Bo>, a red teapot that shines"))
            .unwrap()
            .unwrap();
        // Four of eleven words.
        assert!((part + 4.0 / 11.0).abs() < 1e-6);
        let none = Row::from_json(
            json!({"completion": "tall", "concepts": [{"name": "Mia", "info": "tall"}]}),
        )
        .unwrap();
        assert_eq!(copied(&none).unwrap(), None);
    }
}
