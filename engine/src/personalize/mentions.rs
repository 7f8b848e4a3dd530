//! Answers with `<name>` marks, read while they stream: text to show and who is mentioned where.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

pub use super::known_names::KnownName;
use super::known_names::Spelling;
use crate::concepts::record::MAX_NAME;
use crate::concepts::spelling::{self, Case, Haystack, bare, neutral_char};

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
///
/// The model reads and writes names neutralised (see [`super::sanitize`]); what is shown is the name as the person typed it. Where
/// the two differ, a piece that may become such a name is held back until that is known.
#[derive(Debug, Clone)]
pub struct MentionParser {
    ids: Vec<String>,
    spellings: Vec<Spelling>,
    /// Positions in `spellings`.
    by_key: HashMap<String, usize>,
    /// The answer as the model wrote it, without brackets.
    plain: String,
    /// Byte ranges of `plain` that were in brackets, with the spelling if it is known.
    marked: Vec<(Range<usize>, Option<usize>)>,
    /// What came after a `<` that is still open.
    open: Option<String>,
    finished: bool,
    /// Bytes of `plain` that are shown.
    settled: usize,
    /// Those bytes, names as they were typed.
    shown: String,
}

impl MentionParser {
    /// A parser for answers about these concepts, each with its name first. Where two share a spelling the first has it.
    pub fn new(known: impl IntoIterator<Item = KnownName>) -> Self {
        let (mut ids, mut spellings) = (Vec::new(), Vec::new());
        for (at, known) in known.into_iter().enumerate() {
            ids.push(known.id);
            for (position, name) in known.spellings.iter().enumerate() {
                // The brackets of an alias are the convention of database keys, not part of a name.
                let name = if position == 0 {
                    name.trim()
                } else {
                    bare(name)
                };
                spellings.push(Spelling::new(Some(at), name));
            }
        }
        let mut parser = Self {
            ids,
            spellings: Vec::with_capacity(spellings.len()),
            by_key: HashMap::new(),
            plain: String::new(),
            marked: Vec::new(),
            open: None,
            finished: false,
            settled: 0,
            shown: String::new(),
        };
        for spelling in spellings {
            parser.know(spelling);
        }
        parser
    }

    /// Shows this name as it is typed, too, though it is that of no concept: somebody asked about it.
    #[must_use]
    pub fn and_show(mut self, typed: &str) -> Self {
        self.know(Spelling::new(None, typed.trim()));
        self
    }

    fn know(&mut self, spelling: Spelling) {
        let key = spelling::key(&spelling.form);
        self.by_key.entry(key).or_insert(self.spellings.len());
        self.spellings.push(spelling);
    }

    /// Takes the next piece of the answer and returns what can be shown of it.
    pub fn push(&mut self, piece: &str) -> &str {
        for c in piece.chars() {
            self.take(c);
        }
        self.settle()
    }

    /// The answer is over: what was held back is shown, that of an open bracket without it.
    pub fn finish(&mut self) -> &str {
        self.plain.push_str(&self.open.take().unwrap_or_default());
        self.finished = true;
        self.settle()
    }

    /// The text so far: without brackets, names as they were typed.
    pub fn text(&self) -> &str {
        &self.shown
    }

    /// The mentions so far, in order of the text.
    ///
    /// Before [`MentionParser::finish`] a name without brackets at the very end does not count yet:
    /// `Ana` may become `Anabel`.
    pub fn mentions(&self) -> Vec<Mention> {
        let (mut chars, mut utf16) = (0, 0);
        let mut mentions = Vec::new();
        for (piece, concept) in self.pieces(0..self.settled) {
            let (char_start, utf16_start) = (chars, utf16);
            for c in piece.chars() {
                chars += 1;
                utf16 += c.len_utf16();
            }
            if let Some(at) = concept {
                mentions.push(Mention {
                    concept: self.ids[at].clone(),
                    chars: char_start..chars,
                    utf16: utf16_start..utf16,
                });
            }
        }
        mentions
    }

    /// What was in brackets but is the name of no concept, as the model wrote it.
    pub fn unknown_names(&self) -> impl Iterator<Item = &str> {
        let unknown = |at: &Option<usize>| at.is_none_or(|at| self.spellings[at].concept.is_none());
        self.marked
            .iter()
            .filter(move |(_, at)| unknown(at))
            .map(|(range, _)| &self.plain[range.clone()])
    }

    fn take(&mut self, c: char) {
        match (&mut self.open, c) {
            (None, '<') => self.open = Some(String::new()),
            (None, c) => self.plain.push(c),
            // A comparison or an arrow, not a name.
            (Some(inner), c)
                if inner.is_empty() && (c.is_whitespace() || matches!(c, '>' | '=' | '-')) =>
            {
                self.plain.extend(['<', c]);
                self.open = None;
            }
            (Some(_), '>') => self.close(),
            (Some(inner), '<') => {
                self.plain.push_str(inner);
                inner.clear();
            }
            (Some(inner), c) => {
                inner.push(c);
                if c == '\n' || inner.chars().count() > MAX_NAME {
                    self.plain.push_str(inner);
                    self.open = None;
                }
            }
        }
    }

    fn close(&mut self) {
        let inner = self.open.take().unwrap_or_default();
        let start = self.plain.len();
        self.plain.push_str(&inner);
        let exact = self.spellings.iter().position(|s| s.form == inner);
        let at = exact.or_else(|| self.by_key.get(&spelling::key(&inner)).copied());
        self.marked.push((start..self.plain.len(), at));
    }

    /// Whether any name is shown otherwise than the model writes it.
    fn as_typed(&self) -> bool {
        self.spellings
            .iter()
            .any(|spelling| spelling.typed.is_some())
    }

    /// Shows what can no longer change; returns what that adds.
    fn settle(&mut self) -> &str {
        let to = if self.finished {
            self.plain.len()
        } else {
            self.certain()
        };
        let start = self.shown.len();
        if self.as_typed() {
            let added: String = self
                .pieces(self.settled..to)
                .map(|(piece, _)| piece)
                .collect();
            self.shown.push_str(&added);
        } else {
            self.shown.push_str(&self.plain[self.settled..to]);
        }
        self.settled = to;
        &self.shown[start..]
    }

    /// How far `plain` reads the same whatever comes: up to what may become a name that is shown in another spelling, or
    /// may become a longer name around one.
    fn certain(&self) -> usize {
        let end = self.plain.len();
        if !self.as_typed() {
            return end;
        }
        let names = self.unmarked();
        let changed = |at: usize| self.spellings[at].typed.is_some();
        let last = names
            .iter()
            .filter(|(_, at)| changed(*at))
            .map(|(range, _)| range.start)
            .max();
        let from = self.marked.last().map_or(0, |(range, _)| range.end);
        let mut before = self.plain[..from].chars().next_back();
        let mut to = end;
        for (at, c) in self.plain[from..].char_indices() {
            let start = from + at;
            let may_begin = spelling::separates(before.replace(c), Some(c));
            let tail = || self.plain[start..].chars().filter_map(neutral_char);
            let holds = |s: &Spelling| {
                let changes = s.typed.is_some() || last.is_some_and(|last| last >= start);
                let mut form = s.form.chars();
                changes && tail().all(|c| form.next() == Some(c))
            };
            if may_begin && self.spellings.iter().any(holds) {
                to = start;
                break;
            }
        }
        // Never in the middle of a name.
        let across = |to: usize| {
            let name = names
                .iter()
                .find(|(range, _)| range.start < to && to < range.end)?;
            Some(name.0.start)
        };
        while let Some(start) = across(to) {
            to = start;
        }
        to
    }

    /// Names without brackets, as (byte range of `plain`, spelling), overlapping ones too.
    fn unmarked(&self) -> Vec<(Range<usize>, usize)> {
        let free = |range: &Range<usize>| {
            let apart = |(m, _): &(Range<usize>, Option<usize>)| {
                range.end <= m.start || m.end <= range.start
            };
            self.marked.iter().all(apart)
        };
        let text = Haystack::new(&self.plain, Case::Exact);
        let named = self.spellings.iter().enumerate();
        named
            .filter(|(_, spelling)| spelling.concept.is_some())
            .flat_map(|(at, s)| text.find(&s.form).into_iter().map(move |range| (range, at)))
            .filter(|(range, _)| free(range))
            .collect()
    }

    /// `plain[part]` in pieces as they are shown, each with its concept if it is a name. The part begins and ends between
    /// names.
    fn pieces(&self, part: Range<usize>) -> impl Iterator<Item = (&str, Option<usize>)> {
        let open_end = |range: &Range<usize>| !self.finished && range.end == self.plain.len();
        let mut names: Vec<(Range<usize>, Option<usize>)> = self.marked.clone();
        let free = self
            .unmarked()
            .into_iter()
            .filter(|(range, _)| !open_end(range));
        names.extend(free.map(|(range, at)| (range, Some(at))));
        names.retain(|(range, _)| part.start <= range.start && range.end <= part.end);
        names.sort_by_key(|(range, _)| (range.start, Reverse(range.end)));
        let mut pieces = Vec::with_capacity(2 * names.len() + 1);
        let mut at = part.start;
        for (range, spelling) in names {
            // Inside a longer name, or an empty pair of brackets.
            if range.start < at || range.is_empty() {
                continue;
            }
            pieces.push((&self.plain[at..range.start], None));
            at = range.end;
            let written = &self.plain[range];
            pieces.push(match spelling.map(|at| &self.spellings[at]) {
                Some(spelling) => (
                    spelling.typed.as_deref().unwrap_or(written),
                    spelling.concept,
                ),
                None => (written, None),
            });
        }
        pieces.push((&self.plain[at..part.end], None));
        pieces.into_iter()
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
