//! Numbers and quoted texts of a template, as Python reads them.

use super::token::Token;

/// The number at the beginning of `source`, and its length in bytes.
pub(super) fn number(source: &str, fraction: bool) -> Result<(Token, usize), String> {
    let bytes = source.as_bytes();
    let radix = match bytes.get(1).map(u8::to_ascii_lowercase) {
        Some(b'x') => 16,
        Some(b'o') => 8,
        Some(b'b') => 2,
        _ => 10,
    };
    if bytes[0] == b'0' && radix != 10 {
        let end = 2 + digits(&source[2..], radix);
        let value = u64::from_str_radix(&plain(&source[2..end]), radix);
        let value = value.map_err(|_| format!("`{}` is not a number", &source[..end]))?;
        return Ok((Token::Integer(value.to_string()), end));
    }
    let whole = digits(source, 10);
    let mut end = whole;
    if fraction {
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end += 1 + digits(&source[end + 1..], 10);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(&source[end + 1 + sign..], 10);
            end += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
    }
    let text = plain(&source[..end]);
    if end == whole {
        let text = text.trim_start_matches('0');
        let text = if text.is_empty() { "0" } else { text };
        return Ok((Token::Integer(text.to_owned()), end));
    }
    let value: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    Ok((Token::Float(value), end))
}

/// How many bytes are digits; single underscores may stand between them.
fn digits(source: &str, radix: u32) -> usize {
    let bytes = source.as_bytes();
    let digit = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|b| char::from(*b).is_digit(radix))
    };
    let mut end = 0;
    while digit(end) || (end > 0 && bytes.get(end) == Some(&b'_') && digit(end + 1)) {
        end += 1;
    }
    end
}

fn plain(digits: &str) -> String {
    digits.replace('_', "")
}

/// The text in quotes at the beginning of `source`, and its length in bytes, quotes included.
pub(super) fn text(source: &str, quote: char) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = source.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, at + 1)),
            '\\' => {
                let (at, c) = chars.next().ok_or("a text has no closing quote")?;
                let simple = match c {
                    '\n' => Some(None),
                    '\\' | '\'' | '"' => Some(Some(c)),
                    'a' => Some(Some('\u{7}')),
                    'b' => Some(Some('\u{8}')),
                    'f' => Some(Some('\u{c}')),
                    'n' => Some(Some('\n')),
                    'r' => Some(Some('\r')),
                    't' => Some(Some('\t')),
                    'v' => Some(Some('\u{b}')),
                    _ => None,
                };
                if let Some(simple) = simple {
                    out.extend(simple);
                    continue;
                }
                let (value, length) = code(&source[at..], c)?;
                match value {
                    Some(value) => out.push(value),
                    // An escape that means nothing stays as it is.
                    None => out.extend(['\\', c]),
                }
                for _ in 1..length {
                    chars.next();
                }
            }
            c => out.push(c),
        }
    }
    Err("a text has no closing quote".into())
}

/// The character of an escape by number, `rest` beginning behind the backslash, and the length of the escape.
fn code(rest: &str, kind: char) -> Result<(Option<char>, usize), String> {
    let (skip, most, radix) = match kind {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        '0'..='7' => (0, 3, 8),
        'N' => return Err("characters by name (`\\N`) are not supported".into()),
        _ => return Ok((None, 1)),
    };
    let length = rest[skip..]
        .bytes()
        .take(most)
        .take_while(|b| char::from(*b).is_digit(radix))
        .count();
    let digits = &rest[skip..skip + length];
    let whole = radix == 8 || length == most;
    let value = u32::from_str_radix(digits, radix).ok().filter(|_| whole);
    let value = value
        .and_then(char::from_u32)
        .ok_or_else(|| format!("`\\{kind}{digits}` is not a character"))?;
    Ok((Some(value), skip + length))
}
