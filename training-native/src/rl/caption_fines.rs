//! Tokens of a caption that are fined: inside a bad phrase, or of a word that was there before.

use std::collections::HashSet;
use std::ops::Range;

use anyhow::{Result, ensure};

/// The bad phrases that VLRM's families make; see the file.
const BAD_PHRASES: &str = include_str!("bad_phrases.txt");

/// Words that may come again: the paper exempts articles, prepositions and colours, and nothing else (a second "and" is fined).
const EXEMPT: [&str; 3] = [
    "a an the",
    "about above across after against along among around at before behind below beneath beside between beyond by down during \
     for from in inside into near of off on onto out outside over past through to toward towards under underneath up upon \
     with within without",
    "beige black blue brown cyan gold golden gray green grey magenta maroon navy olive orange pink purple red silver tan teal \
     turquoise violet white yellow",
];

/// A list of phrases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPhrases(Vec<Vec<Vec<String>>>);

impl BadPhrases {
    /// The list that comes with the program.
    ///
    /// # Errors
    /// Never; the list is read as any other.
    pub fn vlrm() -> Result<Self> {
        Self::read(BAD_PHRASES)
    }

    /// Reads a list: a phrase a line, `#` begins a comment.
    ///
    /// # Errors
    /// When a word has an empty alternative.
    pub fn read(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim);
        let phrases = lines
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
            .map(|line| {
                let word = |word: &str| word.split('|').map(str::to_lowercase).collect::<Vec<_>>();
                let words: Vec<Vec<String>> = line.split_whitespace().map(word).collect();
                ensure!(
                    words
                        .iter()
                        .flatten()
                        .all(|alternative| !alternative.is_empty()),
                    "the bad phrase '{line}' has an empty alternative"
                );
                Ok(words)
            });
        phrases.collect::<Result<_>>().map(Self)
    }

    /// Byte ranges of `text` that are bad phrases; they may overlap.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let words = words(text);
        let mut found = Vec::new();
        for phrase in &self.0 {
            for window in words.windows(phrase.len()) {
                let fits = |((_, word), slot): (&(Range<usize>, String), &Vec<String>)| {
                    slot.iter()
                        .any(|s| s == word || (s == "dddd" && is_year(word)))
                };
                if let [first, .., last] | [first @ last] = window
                    && window.iter().zip(phrase).all(fits)
                {
                    found.push(first.0.start..last.0.end);
                }
            }
        }
        found
    }
}

/// For each token of a caption whether it is fined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fines {
    /// It lies inside a bad phrase.
    pub bad: Vec<bool>,
    /// It is of a word that occurred before.
    pub repeated: Vec<bool>,
}

/// The fines of `text`, whose tokens lie at `spans` (bytes; an end of text has an empty one).
pub fn fines(text: &str, spans: &[Range<usize>], phrases: &BadPhrases) -> Fines {
    let mut seen = HashSet::new();
    let repeated: Vec<Range<usize>> = words(text)
        .into_iter()
        .filter(|(_, word)| !is_exempt(word) && !seen.insert(word.clone()))
        .map(|(range, _)| range)
        .collect();
    let bad = phrases.find(text);
    let inside = |ranges: &[Range<usize>]| -> Vec<bool> {
        let touches = |span: &Range<usize>| {
            let shares = |range: &Range<usize>| span.start < range.end && range.start < span.end;
            !span.is_empty() && ranges.iter().any(shares)
        };
        spans.iter().map(touches).collect()
    };
    Fines {
        bad: inside(&bad),
        repeated: inside(&repeated),
    }
}

/// Words in lower case with their byte ranges. A hyphen parts words, an apostrophe does not.
fn words(text: &str) -> Vec<(Range<usize>, String)> {
    let mut words: Vec<(Range<usize>, String)> = Vec::new();
    for (at, c) in text.char_indices() {
        if !(c.is_alphanumeric() || c == '\'') {
            continue;
        }
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some((range, word)) if range.end == at => {
                range.end = end;
                word.extend(c.to_lowercase());
            }
            _ => words.push((at..end, c.to_lowercase().collect())),
        }
    }
    words
}

fn is_exempt(word: &str) -> bool {
    let mut all = EXEMPT.iter().flat_map(|words| words.split_whitespace());
    all.any(|exempt| exempt == word)
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> Vec<&str> {
        let phrases = BadPhrases::vlrm().unwrap();
        phrases
            .find(text)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn families_of_the_paper_are_found() {
        for (text, want) in [
            ("An image of a cat", vec!["An image of"]),
            ("a TV shows a cat", vec!["TV shows"]),
            (
                "a zoomed-in picture of a cat",
                vec!["a zoomed-in picture of"],
            ),
            ("a cat in 1987", vec!["1987"]),
            ("a cat in youtube", vec!["in youtube"]),
            ("there is a cat", vec!["there is"]),
            ("a cat, imaging offal", vec![]),
            ("a tv on a shelf", vec![]),
            ("room 19870", vec![]),
        ] {
            assert_eq!(bad(text), want, "{text}");
        }
        assert!(BadPhrases::read("a |b c").is_err());
    }

    #[test]
    fn tokens_of_a_word_are_fined_together() {
        // "shirt" in two tokens, and the end.
        let text = "shirt or shirt";
        let spans = [0..2, 2..5, 5..8, 8..11, 11..14, 14..14];
        let found = fines(text, &spans, &BadPhrases::read("").unwrap());
        assert_eq!(found.repeated, [false, false, false, true, true, false]);
        assert_eq!(found.bad, [false; 6]);
    }

    #[test]
    fn colours_prepositions_and_articles_may_come_again() {
        let repeated = |text: &str| {
            let spans: Vec<_> = words(text).into_iter().map(|(range, _)| range).collect();
            fines(text, &spans, &BadPhrases::read("").unwrap()).repeated
        };
        assert_eq!(repeated("a red hat on a red mat on the Hat"), {
            let mut want = [false; 10];
            want[9] = true;
            want
        });
        assert_eq!(
            repeated("x and y and z"),
            [false, false, false, true, false]
        );
    }
}
