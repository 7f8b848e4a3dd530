//! Methods of `str` that look for something in a text, or cut it there.

use std::collections::HashSet;

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

use super::arguments::Args;
use super::budget;
use super::lexer::is_space;
use super::values::fail;

pub(super) fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let args = Args::new(args, &["sep", "maxsplit"], 0)?;
    let separator = args.text("sep")?;
    let most = args
        .number("maxsplit")?
        .and_then(|n| usize::try_from(n).ok());
    if separator.as_deref() == Some("") {
        return Err(fail("`split` with an empty separator"));
    }
    budget::values(text.len())?;
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text;
    if separator.is_none() {
        rest = strip(rest, None, if from_right { "rstrip" } else { "lstrip" });
    }
    while !(separator.is_none() && rest.is_empty()) && most.is_none_or(|most| parts.len() < most) {
        let cut = match (&separator, from_right) {
            (Some(by), false) => rest.split_once(by.as_str()),
            (Some(by), true) => rest.rsplit_once(by.as_str()),
            (None, false) => rest
                .find(is_space)
                .map(|at| (&rest[..at], strip(&rest[at..], None, "lstrip"))),
            (None, true) => rest.rfind(is_space).map(|at| {
                let width = rest[at..].chars().next().map_or(0, char::len_utf8);
                (strip(&rest[..at], None, "rstrip"), &rest[at + width..])
            }),
        };
        match (cut, from_right) {
            (Some((part, more)), false) | (Some((more, part)), true) => {
                parts.push(part);
                rest = more;
            }
            (None, _) => break,
        }
    }
    if separator.is_some() || !rest.is_empty() {
        // What is behind the last cut keeps the white space of its far end only if cuts were counted.
        parts.push(match (&separator, from_right, most) {
            (None, false, None) => strip(rest, None, "rstrip"),
            (None, true, None) => strip(rest, None, "lstrip"),
            _ => rest,
        });
    }
    if from_right {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

pub(super) fn lines(text: &str, keep: bool) -> Vec<&str> {
    let breaks = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(breaks) {
        let width = match rest[at..].starts_with("\r\n") {
            true => 2,
            false => rest[at..].chars().next().map_or(0, char::len_utf8),
        };
        all.push(&rest[..if keep { at + width } else { at }]);
        rest = &rest[at + width..];
    }
    if !rest.is_empty() {
        all.push(rest);
    }
    all
}

/// The part of a text between two places, and where it begins, in characters.
fn window<'t>(text: &'t str, args: &Args<'_>) -> Result<Option<(&'t str, usize)>, Error> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let clamp = |at: i64| (if at < 0 { at + length } else { at }).clamp(0, length);
    let start = args.number("start")?.unwrap_or(0);
    let end = args.number("end")?.map_or(length, clamp);
    if start > length {
        return Ok(None);
    }
    let start = clamp(start);
    let byte = |at: i64| {
        let at = usize::try_from(at).unwrap_or(0);
        text.char_indices()
            .nth(at)
            .map_or(text.len(), |(byte, _)| byte)
    };
    if end < start {
        return Ok(None);
    }
    let part = &text[byte(start)..byte(end)];
    Ok(Some((part, usize::try_from(start).unwrap_or(0))))
}

pub(super) fn affix(text: &str, method: &str, args: &[Value]) -> Result<bool, Error> {
    let args = Args::new(args, &["fix", "start", "end"], 0)?;
    let wanted = args
        .get("fix")?
        .ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
    let Some((text, _)) = window(text, &args)? else {
        return Ok(false);
    };
    let one = |wanted: &Value| {
        let wanted = wanted
            .as_str()
            .ok_or_else(|| fail(&format!("`{method}` takes a text or several in a tuple")))?;
        Ok(match method {
            "startswith" => text.starts_with(wanted),
            _ => text.ends_with(wanted),
        })
    };
    if wanted.as_str().is_some() {
        return one(&wanted);
    }
    for wanted in wanted.try_iter()? {
        if one(&wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn search(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["sub", "start", "end"], 0)?;
    let wanted = args.need("sub")?;
    let window = window(text, &args)?;
    if method == "count" {
        let count = window.map_or(0, |(text, _)| match wanted.is_empty() {
            true => text.chars().count() + 1,
            false => text.matches(wanted.as_str()).count(),
        });
        return Ok(Value::from(count));
    }
    let found = window.and_then(|(text, start)| {
        let at = match method.starts_with('r') {
            true => text.rfind(wanted.as_str()),
            false => text.find(wanted.as_str()),
        };
        at.map(|at| start + text[..at].chars().count())
    });
    match found {
        Some(at) => Ok(Value::from(at)),
        None if method.ends_with("find") => Ok(Value::from(-1)),
        None => Err(fail(&format!("`{method}`: the text is not in it"))),
    }
}

/// Without white space, or any of `chars`, at the ends that `method` names.
pub(super) fn strip<'t>(text: &'t str, chars: Option<&str>, method: &str) -> &'t str {
    // A set: looking through a long text for each letter of another would take for ever.
    let chars: Option<HashSet<char>> = chars.map(|chars| chars.chars().collect());
    let goes = |c: char| {
        chars
            .as_ref()
            .map_or_else(|| is_space(c), |chars| chars.contains(&c))
    };
    let text = match method {
        "rstrip" => text,
        _ => text.trim_start_matches(goes),
    };
    match method {
        "lstrip" => text,
        _ => text.trim_end_matches(goes),
    }
}
