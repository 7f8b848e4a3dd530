//! Who wrote which character of a rendered chat: the template or a person.
//!
//! A person's text must never become a control token of the model, and yet templates may trim it, change its case or look
//! into it, as they do in `transformers`. So the chat is rendered twice, once with the texts as they are and once with marks
//! in place of their characters. Where both agree, every character's writer is known. Where the template did something to a
//! text that marks hide, the rendering of the texts counts, with the control tokens that a person spelled broken, and only if
//! it has the control tokens that the template alone writes.

use std::collections::HashMap;

use super::marks::{FIRST_MARK, is_mark};
use super::segment::{Segment, fail};
use super::template::{ChatTemplate, Message, Part, Specials};
use super::tokenizer::Tokenizer;
use crate::Result;

/// How often broken spellings are looked through for further ones.
const ROUNDS: usize = 4;

/// Characters of texts and the marks that stand for them.
#[derive(Default)]
struct Marks {
    by_char: HashMap<(usize, char), char>,
    /// Text and character, in the order of the marks.
    chars: Vec<(usize, char)>,
}

impl Marks {
    fn mark(&mut self, text: usize, c: char) -> Result<char> {
        if let Some(mark) = self.by_char.get(&(text, c)) {
            return Ok(*mark);
        }
        let mark = u32::try_from(self.chars.len())
            .ok()
            .and_then(|n| char::from_u32(FIRST_MARK + n))
            .filter(|mark| is_mark(*mark))
            .ok_or_else(|| {
                fail("the chat has too many different characters; shorten its texts".into())
            })?;
        self.chars.push((text, c));
        self.by_char.insert((text, c), mark);
        Ok(mark)
    }

    fn read(&self, mark: char) -> Option<(usize, char)> {
        let place = (mark as u32).checked_sub(FIRST_MARK)?;
        self.chars.get(place as usize).copied()
    }

    /// A text with marks at the places `chosen`, and at characters that look like marks.
    fn write(
        &mut self,
        number: usize,
        text: &str,
        chosen: impl Fn(usize) -> bool,
    ) -> Result<String> {
        text.char_indices()
            .map(|(at, c)| match chosen(at) || is_mark(c) {
                true => self.mark(number, c),
                false => Ok(c),
            })
            .collect()
    }

    /// What marks stand for, in place.
    fn resolve(&self, rendered: &str) -> String {
        let read = |c| self.read(c).map_or(c, |(_, own)| own);
        rendered.chars().map(read).collect()
    }

    /// Runs of template text and of each person's text.
    fn runs(&self, rendered: &str) -> Vec<(Option<usize>, String)> {
        let mut runs: Vec<(Option<usize>, String)> = Vec::new();
        for c in rendered.chars() {
            let (writer, c) = match self.read(c) {
                Some((text, own)) => (Some(text), own),
                None => (None, c),
            };
            match runs.last_mut() {
                Some((last, run)) if *last == writer => run.push(c),
                _ => runs.push((writer, c.to_string())),
            }
        }
        runs
    }
}

/// One chat on its way through a template.
struct Chat<'a> {
    template: &'a ChatTemplate,
    messages: &'a [Message],
    add_generation_prompt: bool,
    specials: &'a Specials,
    tokenizer: &'a Tokenizer,
}

impl ChatTemplate {
    /// Renders a chat into segments, in order, for a tokenizer, which says what a control token is.
    ///
    /// # Errors
    /// [`crate::Error::Template`] when there is no message, or the template raises, drops or repeats a photo, loses a text,
    /// runs away, or makes a control token of a text.
    pub fn render_segments(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        specials: &Specials,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Segment>> {
        Chat {
            template: self,
            messages,
            add_generation_prompt,
            specials,
            tokenizer,
        }
        .segments()
    }
}

impl Chat<'_> {
    /// Renders the chat into segments that say who wrote them.
    ///
    /// # Errors
    /// [`crate::Error::Template`] when the template loses or repeats a text or a photo, or when a person's text would
    /// become a control token.
    fn segments(&self) -> Result<Vec<Segment>> {
        let mut marks = Marks::default();
        let plain = self.render(&mut marks, |_, _| Ok(Vec::new()))?;
        let marked = self.render(&mut marks, |_, text| {
            // White space at the ends stays: templates trim it.
            let start = text.len() - text.trim_start().len();
            let end = text.trim_end().len();
            Ok((start..end).collect())
        })?;
        self.check_texts(&marks, &marked)?;
        if marks.resolve(&marked) == marks.resolve(&plain) {
            return self.split(&marks, &marked);
        }
        let broken = self.render(&mut marks, |_, text| self.spelled_controls(text))?;
        let own = self.controls(&marked)?;
        let found = self.controls(&broken)?;
        if found != own {
            // The template may look for words in a text and write other tokens then. Without the signs that control tokens
            // are made of, a text can still say such words, but no longer make a token.
            let signs = self.tokenizer.control_tokens();
            let harmless = self.render(&mut marks, |_, text| Ok(token_parts(text, &signs)))?;
            if self.controls(&harmless)? != found {
                return Err(fail(
                    "the text of a message would become a control token of this model; leave out what looks like one".into(),
                ));
            }
        }
        self.split(&marks, &broken)
    }

    /// Renders with marks at the byte places that `choose` names in each text.
    fn render(
        &self,
        marks: &mut Marks,
        choose: impl Fn(usize, &str) -> Result<Vec<usize>>,
    ) -> Result<String> {
        let mut texts = Vec::new();
        let parts = self.messages.iter().flat_map(|message| &message.content);
        for (number, text) in parts.filter_map(text_of).enumerate() {
            let chosen = choose(number, text)?;
            texts.push(marks.write(number, text, |at| chosen.binary_search(&at).is_ok())?);
        }
        self.template.run(
            self.messages,
            &texts,
            self.add_generation_prompt,
            self.specials,
        )
    }

    /// Every text that is not blank must be printed, and none twice: a prompt that lost one is a silent failure.
    fn check_texts(&self, marks: &Marks, marked: &str) -> Result<()> {
        let parts = self.messages.iter().flat_map(|message| &message.content);
        let lengths: Vec<usize> = parts
            .filter_map(text_of)
            .map(|text| text.trim().chars().count())
            .collect();
        let mut shown = vec![0; lengths.len()];
        for (text, _) in marked.chars().filter_map(|c| marks.read(c)) {
            shown[text] += 1;
        }
        for (number, (&shown, &length)) in shown.iter().zip(&lengths).enumerate() {
            if length > 0 && (shown == 0 || shown > length) {
                return Err(fail(format!(
                    "it prints text {} of the chat {} times instead of once",
                    number + 1,
                    shown.div_ceil(length)
                )));
            }
        }
        Ok(())
    }

    /// Places of the first characters of all that is a control token in a text.
    fn spelled_controls(&self, text: &str) -> Result<Vec<usize>> {
        let mut broken = text.to_owned();
        let mut places = Vec::new();
        for _ in 0..ROUNDS {
            let spans = self.tokenizer.control_spans(&broken)?;
            if spans.is_empty() {
                places.sort_unstable();
                places.dedup();
                return Ok(places);
            }
            let mut next: Vec<char> = Vec::new();
            let mut starts: Vec<usize> = Vec::new();
            for (_, span) in spans {
                let covered = &broken[span.clone()];
                starts.push(span.start + covered.len() - covered.trim_start().len());
            }
            // Replaced by marks of the same length in no place but this one: one byte each.
            for (at, c) in broken.char_indices() {
                match starts.binary_search(&at) {
                    Ok(_) => next.extend(std::iter::repeat_n('\u{1}', c.len_utf8())),
                    Err(_) => next.push(c),
                }
            }
            places.extend(starts);
            broken = next.into_iter().collect();
        }
        Ok((0..text.len()).collect())
    }

    fn controls(&self, rendered: &str) -> Result<Vec<u32>> {
        let spans = self.tokenizer.control_spans(rendered)?;
        Ok(spans.into_iter().map(|(id, _)| id).collect())
    }

    /// Segments of a rendering with marks; the template's photo marks become photos.
    fn split(&self, marks: &Marks, rendered: &str) -> Result<Vec<Segment>> {
        let image = &self.specials.image;
        let mut segments = Vec::new();
        let mut shown = 0;
        for (writer, run) in marks.runs(rendered) {
            if writer.is_some() {
                segments.push(Segment::User(run));
                continue;
            }
            for (i, text) in split_non_empty(&run, image).enumerate() {
                if i > 0 {
                    segments.push(Segment::Image(shown));
                    shown += 1;
                }
                if !text.is_empty() {
                    segments.push(Segment::Template(text.to_owned()));
                }
            }
        }
        let parts = self.messages.iter().flat_map(|message| &message.content);
        let photos = parts.filter(|part| matches!(part, Part::Image)).count();
        if shown != photos {
            return Err(fail(format!(
                "the chat has {photos} photos but it prints `{image}` {shown} times; is the image token right?"
            )));
        }
        Ok(segments)
    }
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(text),
        Part::Image => None,
    }
}

/// Places of a text without which it has no part in any control token: their first and last characters, and the first
/// character of what is between.
fn token_parts(text: &str, tokens: &[String]) -> Vec<usize> {
    let mut places = Vec::new();
    for token in tokens {
        let token = token.trim();
        let (Some(first), Some(last)) = (token.chars().next(), token.chars().next_back()) else {
            continue;
        };
        places.extend(
            text.char_indices()
                .filter(|(_, c)| *c == first || *c == last)
                .map(|(at, _)| at),
        );
        let inner = token
            .strip_prefix(first)
            .and_then(|rest| rest.strip_suffix(last))
            .unwrap_or_default();
        if !inner.is_empty() {
            places.extend(text.match_indices(inner).map(|(at, _)| at));
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// `str::split`, except that an empty separator separates nothing.
fn split_non_empty<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    let whole = separator.is_empty().then_some(text);
    let parts = (!separator.is_empty()).then(|| text.split(separator));
    whole.into_iter().chain(parts.into_iter().flatten())
}
