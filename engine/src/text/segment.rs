//! A rendered chat in pieces, each knowing who wrote it: the template, the user, or a photo.

use crate::{Error, Result};

/// Private-use characters around a number stand for a part while the template runs. Nothing a user
/// writes is rendered, so only a template could contain them, and one that does is refused.
pub(super) const OPEN: char = '\u{F8F0}';
pub(super) const CLOSE: char = '\u{F8F1}';

/// A piece of a rendered chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text of the template: special tokens count.
    Template(String),
    /// Text of a [`Part::Text`]: always ordinary.
    User(String),
    /// The photo of this number.
    Image(usize),
}

/// What stands for text `number` while the template runs.
pub(super) fn placeholder(number: usize) -> String {
    format!("{OPEN}{number}{CLOSE}")
}

/// Cuts rendered text at placeholders and photo marks; each text segment carries its number.
pub(super) fn split(rendered: &str, texts: &[&str], image: &str) -> Result<Vec<(Segment, usize)>> {
    let mut segments = Vec::new();
    let mut photo = 0;
    for (i, piece) in rendered.split(OPEN).enumerate() {
        let template = if i == 0 {
            piece
        } else {
            let (number, rest) = piece.split_once(CLOSE).unwrap_or((piece, ""));
            let number: usize = number
                .parse()
                .map_err(|_| fail("it alters the text of a message".into()))?;
            let text = texts
                .get(number)
                .ok_or_else(|| fail("it alters the text of a message".into()))?;
            segments.push((Segment::User((*text).to_owned()), number));
            rest
        };
        for (j, text) in split_non_empty(template, image).enumerate() {
            if j > 0 {
                segments.push((Segment::Image(photo), photo));
                photo += 1;
            }
            if !text.is_empty() {
                segments.push((Segment::Template(text.to_owned()), 0));
            }
        }
    }
    Ok(segments)
}

/// `str::split`, except that an empty separator separates nothing.
fn split_non_empty<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    let whole = separator.is_empty().then_some(text);
    let parts = (!separator.is_empty()).then(|| text.split(separator));
    whole.into_iter().chain(parts.into_iter().flatten())
}

/// Every text and every photo must appear exactly once: a prompt that lost one is a silent failure.
pub(super) fn check_complete(
    segments: &[(Segment, usize)],
    texts: usize,
    photos: usize,
    image: &str,
) -> Result<()> {
    let mut seen = vec![0usize; texts];
    let mut shown = 0;
    for (segment, number) in segments {
        match segment {
            Segment::User(_) => {
                if let Some(count) = seen.get_mut(*number) {
                    *count += 1;
                }
            }
            Segment::Image(_) => shown += 1,
            Segment::Template(_) => {}
        }
    }
    if let Some(number) = seen.iter().position(|&count| count != 1) {
        return Err(fail(format!(
            "it prints text {} of the chat {} times instead of once",
            number + 1,
            seen[number]
        )));
    }
    if shown != photos {
        return Err(fail(format!(
            "the chat has {photos} photos but it prints `{image}` {shown} times; is the image token right?"
        )));
    }
    Ok(())
}

/// The error of this module.
pub(super) fn fail(problem: String) -> Error {
    Error::Template { problem }
}
