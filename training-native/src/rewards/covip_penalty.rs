//! When CoViP fines a caption: longer than 511 tokens, or repeating its sentences, phrases or stretches.
//!
//! The limits are those of its code. How a share of repetition is reckoned is our reading: one less the distinct ones over
//! all.

use std::collections::HashSet;
use std::hash::Hash;

use super::Row;
use super::info::words;

/// Most tokens.
const MAX_TOKENS: usize = 511;
/// Share of repeated sentences that is too much.
const SENTENCES: f64 = 0.3;
/// Words of a phrase, and the share of repeated ones that is too much.
const PHRASE: (usize, f64) = (5, 0.3);
/// Words of a stretch; stretches lie side by side.
const STRETCHES: [usize; 3] = [10, 20, 30];
/// Share of repeated stretches that is too much.
const STRETCH: f64 = 0.2;

/// Whether the completion is fined. Where its tokens are not known, words are counted.
pub fn degenerate(row: &Row) -> bool {
    let words = words(&row.completion);
    let tokens = row.ids.as_ref().map_or(words.len(), Vec::len);
    let sentences: Vec<&str> = row
        .completion
        .split(['.', '!', '?', '\n'])
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .collect();
    let phrases: Vec<&[String]> = words.windows(PHRASE.0).collect();
    tokens > MAX_TOKENS
        || repeated(&sentences) >= SENTENCES
        || repeated(&phrases) >= PHRASE.1
        || STRETCHES.iter().any(|n| {
            let stretches: Vec<&[String]> = words.chunks_exact(*n).collect();
            repeated(&stretches) >= STRETCH
        })
}

/// Share of the items that stood there before.
fn repeated<T: Hash + Eq>(items: &[T]) -> f64 {
    let distinct: HashSet<&T> = items.iter().collect();
    1.0 - distinct.len() as f64 / items.len().max(1) as f64 - f64::from(u8::from(items.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, tokens: Option<usize>) -> Row {
        Row {
            completion: text.into(),
            ids: tokens.map(|n| vec![0; n]),
            ..Row::default()
        }
    }

    #[test]
    fn length_and_repetition_are_fined() {
        let plain = "<Bo> stands on a shelf. Beside it lies a red ball. Rain falls.";
        assert!(!degenerate(&row(plain, None)));
        assert!(!degenerate(&row("", None)));
        assert!(!degenerate(&row(plain, Some(511))));
        assert!(degenerate(&row(plain, Some(512))));
        assert!(degenerate(&row(
            "This is <Bo>. This is <Bo>. This is <Bo>.",
            None
        )));
        assert!(
            !degenerate(&row("A ball. A ball. A cat. A dog. A hat.", None)),
            "one of five"
        );
        assert!(
            degenerate(&row(&"red ball on a mat ".repeat(4), None)),
            "phrases without full stops"
        );
    }
}
