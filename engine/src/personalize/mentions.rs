//! Answers with `<name>` marks, read while they stream: text to show and who is mentioned where.

use std::collections::HashMap;
use std::ops::Range;

use super::sanitize;
use crate::concepts::Concept;
use crate::concepts::record::MAX_NAME;
use crate::concepts::spelling::{self, Case, find_names};

/// A concept by the names an answer may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownName {
    /// The concept's id.
    pub id: String,
    /// Its name and aliases.
    pub spellings: Vec<String>,
}

impl From<&Concept> for KnownName {
    fn from(concept: &Concept) -> Self {
        Self {
            id: concept.id.clone(),
            spellings: concept.names().map(str::to_owned).collect(),
        }
    }
}

/// A place of the shown text that names a concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The concept's id.
    pub concept: String,
    /// Where, in characters.
    pub chars: Range<usize>,
    /// Where, in UTF-16 code units: what JavaScript counts in.
    pub utf16: Range<usize>,
}

/// Reads an answer piece by piece.
///
/// Nothing between `<` and `>` is shown before the closing bracket has come, and the brackets
/// themselves never are. A bracketed name counts in any case; a name without brackets counts on
/// word boundaries in its exact spelling, because `Rose` is a name and `rose` a flower.
#[derive(Debug, Clone)]
pub struct MentionParser {
    ids: Vec<String>,
    /// (index into `ids`, spelling as prompts write it).
    spellings: Vec<(usize, String)>,
    by_key: HashMap<String, usize>,
    shown: String,
    /// Byte ranges of `shown` that were in brackets, with the concept if it is known.
    marked: Vec<(Range<usize>, Option<usize>)>,
    /// What came after a `<` that is still open.
    open: Option<String>,
    finished: bool,
}

impl MentionParser {
    /// A parser for answers about these concepts. Where two share a spelling the first has it.
    pub fn new(known: impl IntoIterator<Item = KnownName>) -> Self {
        let (mut ids, mut spellings, mut by_key) = (Vec::new(), Vec::new(), HashMap::new());
        for (
            at,
            KnownName {
                id,
                spellings: names,
            },
        ) in known.into_iter().enumerate()
        {
            ids.push(id);
            for name in names {
                let name = sanitize::name(&name);
                by_key.entry(spelling::key(&name)).or_insert(at);
                spellings.push((at, name));
            }
        }
        Self {
            ids,
            spellings,
            by_key,
            shown: String::new(),
            marked: Vec::new(),
            open: None,
            finished: false,
        }
    }

    /// Takes the next piece of the answer and returns what can be shown of it.
    pub fn push(&mut self, piece: &str) -> &str {
        let start = self.shown.len();
        for c in piece.chars() {
            self.take(c);
        }
        &self.shown[start..]
    }

    /// The answer is over: what an open bracket held back is shown without it.
    pub fn finish(&mut self) -> &str {
        let start = self.shown.len();
        self.shown.push_str(&self.open.take().unwrap_or_default());
        self.finished = true;
        &self.shown[start..]
    }

    /// The text so far, without brackets.
    pub fn text(&self) -> &str {
        &self.shown
    }

    /// The mentions so far, in order of the text.
    ///
    /// Before [`MentionParser::finish`] a name without brackets at the very end does not count yet:
    /// `Ana` may become `Anabel`.
    pub fn mentions(&self) -> Vec<Mention> {
        let mut found: Vec<(Range<usize>, usize)> = self
            .marked
            .iter()
            .filter_map(|(range, at)| Some((range.clone(), (*at)?)))
            .collect();
        let names = self.spellings.iter().map(|(at, name)| (*at, name.as_str()));
        let open_end = |range: &Range<usize>| !self.finished && range.end == self.shown.len();
        let free = |range: &Range<usize>| {
            self.marked
                .iter()
                .all(|(m, _)| range.end <= m.start || m.end <= range.start)
        };
        found.extend(
            find_names(&self.shown, Case::Exact, names)
                .into_iter()
                .filter(|(r, _)| free(r) && !open_end(r)),
        );
        found.sort_by_key(|(range, _)| range.start);
        self.spans(&found)
    }

    /// What was in brackets but is the name of no concept.
    pub fn unknown_names(&self) -> impl Iterator<Item = &str> {
        self.marked
            .iter()
            .filter(|(_, at)| at.is_none())
            .map(|(range, _)| &self.shown[range.clone()])
    }

    fn take(&mut self, c: char) {
        match (&mut self.open, c) {
            (None, '<') => self.open = Some(String::new()),
            (None, c) => self.shown.push(c),
            // A comparison or an arrow, not a name.
            (Some(inner), c)
                if inner.is_empty() && (c.is_whitespace() || matches!(c, '>' | '=' | '-')) =>
            {
                self.shown.extend(['<', c]);
                self.open = None;
            }
            (Some(_), '>') => self.close(),
            (Some(inner), '<') => {
                self.shown.push_str(inner);
                inner.clear();
            }
            (Some(inner), c) => {
                inner.push(c);
                if c == '\n' || inner.chars().count() > MAX_NAME {
                    self.shown.push_str(inner);
                    self.open = None;
                }
            }
        }
    }

    fn close(&mut self) {
        let inner = self.open.take().unwrap_or_default();
        let start = self.shown.len();
        self.shown.push_str(&inner);
        let exact = self
            .spellings
            .iter()
            .find(|(_, name)| *name == inner)
            .map(|(at, _)| *at);
        let at = exact.or_else(|| self.by_key.get(&spelling::key(&inner)).copied());
        self.marked.push((start..self.shown.len(), at));
    }

    /// Byte ranges of the shown text, ascending, in the units of callers.
    fn spans(&self, found: &[(Range<usize>, usize)]) -> Vec<Mention> {
        let (mut byte, mut chars, mut utf16) = (0, 0, 0);
        let mut advance = |to: usize| {
            for c in self.shown[byte..to].chars() {
                chars += 1;
                utf16 += c.len_utf16();
            }
            byte = to;
            (chars, utf16)
        };
        found
            .iter()
            .map(|(range, at)| {
                let ((char_start, utf16_start), (char_end, utf16_end)) =
                    (advance(range.start), advance(range.end));
                Mention {
                    concept: self.ids[*at].clone(),
                    chars: char_start..char_end,
                    utf16: utf16_start..utf16_end,
                }
            })
            .collect()
    }
}

/// A whole answer at once: the finished parser.
pub fn read(answer: &str, known: impl IntoIterator<Item = KnownName>) -> MentionParser {
    let mut parser = MentionParser::new(known);
    parser.push(answer);
    parser.finish();
    parser
}

#[cfg(test)]
#[path = "mentions_tests.rs"]
mod tests;
