//! How names are compared and found in text: one rule for the library, retrieval and mentions.
//!
//! Comparison ignores case, surrounding `<>` and runs of white space. A name is found on word
//! boundaries, except where a script writes no spaces (Han, kana, Thai ...); Hangul particles are
//! attached to the end of a word, so a Korean name needs a boundary on its left only.

use std::ops::Range;

/// Opening and closing marks around a name in prompts and answers.
pub const MARKS: [char; 2] = ['<', '>'];

/// What a character becomes in a prompt: `None` is dropped, a space separates.
///
/// Angle brackets turn into their single-guillemet look-alikes, so that nothing a person typed can
/// read as markup or as a special token. Controls become spaces; the invisible direction
/// overrides, which only serve to disguise text, go away.
pub fn neutral_char(c: char) -> Option<char> {
    match c {
        '<' => Some('‹'),
        '>' => Some('›'),
        '\u{200e}'
        | '\u{200f}'
        | '\u{061c}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => None,
        c if c.is_control() || c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

/// Text with every character neutralised, white space collapsed and trimmed.
pub fn neutral(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter_map(neutral_char) {
        if c != ' ' || !(out.is_empty() || out.ends_with(' ')) {
            out.push(c);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The name without the one pair of `<>` that database keys carry by convention.
pub fn bare(name: &str) -> &str {
    let name = name.trim();
    name.strip_prefix(MARKS[0])
        .and_then(|inner| inner.strip_suffix(MARKS[1]))
        .map_or(name, str::trim)
}

/// Lower case, character by character, so that it does not depend on the neighbours.
///
/// The final sigma is folded too: `to_lowercase` alone would keep ς and σ apart.
pub fn fold_char(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c })
}

/// The key under which a name is unique: what the prompt would show, without case.
pub fn key(name: &str) -> String {
    neutral(bare(name)).chars().flat_map(fold_char).collect()
}

/// Letters, digits, and marks that continue a letter.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '\u{300}'..='\u{36f}' | '\u{200d}')
}

/// Scripts written without spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'         // Thai, Lao
        | '\u{1000}'..='\u{109f}'       // Myanmar
        | '\u{1780}'..='\u{17ff}'       // Khmer
        | '\u{2e80}'..='\u{30ff}'       // CJK radicals, punctuation, kana
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'       // half-width kana
        | '\u{20000}'..='\u{3ffff}')
}

fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}')
}

/// Whether a word can end between `left` and `right`.
pub(crate) fn separates(left: Option<char>, right: Option<char>) -> bool {
    match (left, right) {
        (Some(l), Some(r)) => !(is_word(l) && is_word(r)) || is_unspaced(l) || is_unspaced(r),
        _ => true,
    }
}

/// Whether upper and lower case count as the same letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `mochi` finds `Mochi`.
    Ignore,
    /// Only the exact spelling is found.
    Exact,
}

/// A text prepared for finding names in it.
#[derive(Debug, Clone)]
pub struct Haystack {
    /// Characters with the byte range each came from; one original character may fold into two.
    chars: Vec<(char, Range<usize>)>,
    case: Case,
}

impl Haystack {
    /// Prepares `text`, neutralised: names are found as a prompt or an answer would show them.
    pub fn new(text: &str, case: Case) -> Self {
        let mut chars = Vec::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            let bytes = at..at + c.len_utf8();
            let Some(c) = neutral_char(c) else { continue };
            match case {
                Case::Exact => chars.push((c, bytes)),
                Case::Ignore => chars.extend(fold_char(c).map(|c| (c, bytes.clone()))),
            }
        }
        Self { chars, case }
    }

    /// Byte ranges of every occurrence of `name` on word boundaries, left to right, not overlapping.
    ///
    /// `name` is taken without its `<>`; a space in it matches any white space.
    pub fn find(&self, name: &str) -> Vec<Range<usize>> {
        let name = neutral(bare(name));
        let needle: Vec<char> = match self.case {
            Case::Exact => name.chars().collect(),
            Case::Ignore => name.chars().flat_map(fold_char).collect(),
        };
        let mut found = Vec::new();
        let mut at = 0;
        while !needle.is_empty() && at + needle.len() <= self.chars.len() {
            if self.matches(at, &needle) {
                let end = at + needle.len();
                found.push(self.chars[at].1.start..self.chars[end - 1].1.end);
                at = end;
            } else {
                at += 1;
            }
        }
        found
    }

    fn matches(&self, at: usize, needle: &[char]) -> bool {
        let end = at + needle.len();
        let window = &self.chars[at..end];
        if !window.iter().zip(needle).all(|((c, _), n)| c == n) {
            return false;
        }
        let char_at = |i: usize| self.chars.get(i).map(|(c, _)| *c);
        let before = at.checked_sub(1).and_then(char_at);
        let last = needle.last().copied();
        let particle = last.is_some_and(is_hangul) && char_at(end).is_some_and(is_hangul);
        separates(before, needle.first().copied()) && (particle || separates(last, char_at(end)))
    }
}

/// Which of the names occur where: leftmost first, the longest where several start or overlap.
///
/// `names` are (tag, name) pairs; the result holds byte ranges with the tag of the name found.
pub fn find_names<'a, T: Copy>(
    text: &str,
    case: Case,
    names: impl IntoIterator<Item = (T, &'a str)>,
) -> Vec<(Range<usize>, T)> {
    let haystack = Haystack::new(text, case);
    let mut found: Vec<(Range<usize>, T)> = names
        .into_iter()
        .flat_map(|(tag, name)| {
            haystack
                .find(name)
                .into_iter()
                .map(move |range| (range, tag))
        })
        .collect();
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    found.retain(|(range, _)| {
        let free = range.start >= end;
        if free {
            end = range.end;
        }
        free
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, name: &str) -> Option<String> {
        Haystack::new(text, Case::Ignore)
            .find(name)
            .first()
            .map(|r| text[r.clone()].to_owned())
    }

    #[test]
    fn word_boundaries_hold_in_spaced_scripts() {
        assert_eq!(
            first("Where is MOCHI's hat?", "Mochi").as_deref(),
            Some("MOCHI")
        );
        assert_eq!(
            first("Is <mochi> here?", "<Mochi>").as_deref(),
            Some("mochi")
        );
        assert_eq!(
            first("mochis are sweet", "Mochi"),
            None,
            "inside a longer word"
        );
        assert_eq!(first("Ana Maria", "Ana").as_deref(), Some("Ana"));
        assert_eq!(first("Anai\u{308}s", "Ana"), None);
        assert_eq!(first("où est Élodie", "élodie").as_deref(), Some("Élodie"));
        assert_eq!(first("где МИША?", "Миша").as_deref(), Some("МИША"));
        assert_eq!(first("ΟΔΥΣΣΕΥΣ", "Οδυσσευς").as_deref(), Some("ΟΔΥΣΣΕΥΣ"));
        assert_eq!(
            first("captain \n biscuit", "Captain Biscuit"),
            None,
            "one space is one space"
        );
        assert_eq!(
            first("captain\nbiscuit", "Captain  Biscuit").as_deref(),
            Some("captain\nbiscuit")
        );
    }

    #[test]
    fn unspaced_scripts_match_as_substrings() {
        assert_eq!(first("小白在哪里？", "小白").as_deref(), Some("小白"));
        assert_eq!(first("たまはどこ", "たま").as_deref(), Some("たま"));
        assert_eq!(first("보리는 어디에", "보리").as_deref(), Some("보리"));
        assert_eq!(
            first("왕보리", "보리"),
            None,
            "Korean words start at a boundary"
        );
        assert_eq!(first("I ❤️🐈 you", "🐈").as_deref(), Some("🐈"));
    }

    #[test]
    fn ranges_point_into_the_original_text() {
        // 'İ' folds into two characters: ranges must still be those of the original.
        let text = "İzmir İzmir";
        let found = Haystack::new(text, Case::Ignore).find("İzmir");
        assert_eq!(
            found.iter().map(|r| &text[r.clone()]).collect::<Vec<_>>(),
            ["İzmir", "İzmir"]
        );
        assert!(Haystack::new("mochi", Case::Exact).find("Mochi").is_empty());
        assert!(Haystack::new("anything", Case::Ignore).find(" ").is_empty());
    }

    #[test]
    fn the_longest_name_wins() {
        let names = [(0, "Ana"), (1, "Ana Maria"), (2, "Maria")];
        let found = find_names("maria met Ana Maria and ana", Case::Ignore, names);
        assert_eq!(found, [(0..5, 2), (10..19, 1), (24..27, 0)]);
    }

    #[test]
    fn keys_are_what_the_prompt_shows_without_case() {
        assert_eq!(key("<Anya>"), key(" anya "));
        assert_eq!(key("Captain\u{202e}  Biscuit"), "captain biscuit");
        assert_ne!(key("Ana"), key("Aña"));
        assert_eq!(neutral("a<|im_end|>\n b\u{7}"), "a‹|im_end|› b");
    }
}
