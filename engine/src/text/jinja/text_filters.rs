//! Filters that make texts, and lists of pairs: joined, indented, escaped, cut short.

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

use super::arguments::Args;
use super::values::{check_numbers, items};
use super::{budget, percent, python};

pub(super) fn join(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["d", "attribute"], 1)?;
    let separator = match args.get("d")? {
        Some(separator) => python::str(&separator)?,
        None => String::new(),
    };
    let attribute = args.get("attribute")?;
    let mut out = String::new();
    for (i, item) in items(args.first()?)?.into_iter().enumerate() {
        let item = match &attribute {
            Some(attribute) => item.get_item(attribute)?,
            None => item,
        };
        let text = python::str(&item)?;
        budget::text(separator.len())?;
        if i > 0 {
            out.push_str(&separator);
        }
        out.push_str(&text);
    }
    Ok(Value::from(out))
}

/// `'%s' | format(value)`.
pub(super) fn format(args: &[Value]) -> Result<Value, Error> {
    let [format, values @ ..] = args else {
        return Err(Error::from(ErrorKind::MissingArgument));
    };
    let format = python::str(format)?;
    let values = match values {
        [named] if named.is_kwargs() => named.clone(),
        placed => Value::from_object(python::Tuple(placed.to_vec())),
    };
    percent::format(&format, &values).map(Value::from)
}

pub(super) fn indent(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["width", "first", "blank"], 1)?;
    let text = python::str(args.first()?)?;
    let by = match args.get("width")? {
        Some(width) => match width.as_str() {
            Some(text) => text.to_owned(),
            None => {
                check_numbers(std::slice::from_ref(&width))?;
                " ".repeat(usize::try_from(i64::try_from(width)?).unwrap_or(0))
            }
        },
        None => "    ".into(),
    };
    let on = |name: &str| Ok::<_, Error>(args.get(name)?.is_some_and(|value| value.is_true()));
    let (first, blank) = (on("first")?, on("blank")?);
    let count = text.matches('\n').count() + 1;
    budget::text(text.len().saturating_add(count.saturating_mul(by.len())))?;
    let mut out = String::new();
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if if i == 0 {
            first
        } else {
            blank || !line.is_empty()
        } {
            out.push_str(&by);
        }
        out.push_str(line);
    }
    Ok(Value::from(out))
}

/// A letter as it begins a word: `ß` as `Ss`.
pub(super) fn title_case(c: char) -> impl Iterator<Item = char> {
    let mut upper = c.to_uppercase();
    let first = upper.next();
    first.into_iter().chain(upper.flat_map(char::to_lowercase))
}

pub(super) fn length(args: &[Value]) -> Result<Value, Error> {
    let value = Args::new(args, &[], 1)?.first()?.clone();
    if value.is_undefined() {
        return Ok(Value::from(0));
    }
    let length = match value.as_str() {
        Some(text) => Some(text.chars().count()),
        None => value.len(),
    };
    length.map(Value::from).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("{} has no length", value.kind()),
        )
    })
}

/// Keys and values of a mapping; `sorted` by key, or by value, small and large letters alike.
pub(super) fn pairs(args: &[Value], sorted: bool) -> Result<Value, Error> {
    let names: &[&str] = match sorted {
        true => &["case_sensitive", "by", "reverse"],
        false => &[],
    };
    let args = Args::new(args, names, 1)?;
    let mapping = args.first()?;
    let mut all = Vec::new();
    for key in items(mapping)? {
        all.push((mapping.get_item(&key)?, key));
    }
    if sorted {
        let on = |name: &str| Ok::<_, Error>(args.get(name)?.is_some_and(|value| value.is_true()));
        let (exact, reverse) = (on("case_sensitive")?, on("reverse")?);
        let by_value = args.text("by")?.as_deref() == Some("value");
        let fold = |value: &Value| match value.as_str() {
            Some(text) if !exact => Value::from(text.to_lowercase()),
            _ => value.clone(),
        };
        all.sort_by_cached_key(|(value, key)| fold(if by_value { value } else { key }));
        if reverse {
            all.reverse();
        }
    }
    let pair = |(value, key)| Value::from_object(python::Tuple(vec![key, value]));
    Ok(all.into_iter().map(pair).collect())
}

pub(super) fn escape(args: &[Value]) -> Result<Value, Error> {
    let text = python::str(Args::new(args, &[], 1)?.first()?)?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Ok(Value::from(out))
}

/// A text as a part of an address.
pub(super) fn url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The first letter of every word large, the others small.
pub(super) fn title(args: &[Value]) -> Result<Value, Error> {
    let text = python::str(Args::new(args, &[], 1)?.first()?)?;
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        match begins {
            true => out.extend(title_case(c)),
            false => out.extend(c.to_lowercase()),
        }
        begins = c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    Ok(Value::from(out))
}

pub(super) fn truncate(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["length", "killwords", "end", "leeway"], 1)?;
    let text = python::str(args.first()?)?;
    let length = usize::try_from(args.number("length")?.unwrap_or(255)).unwrap_or(0);
    let leeway = usize::try_from(args.number("leeway")?.unwrap_or(5)).unwrap_or(0);
    let end = args.text("end")?.unwrap_or_else(|| "...".into());
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(Value::from(text));
    }
    let Some(kept) = length.checked_sub(end.chars().count()) else {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "`truncate` to less than its end takes",
        ));
    };
    let cut: String = text.chars().take(kept).collect();
    let whole = args.get("killwords")?.is_some_and(|kill| kill.is_true());
    let cut = match cut.rfind(' ') {
        Some(at) if !whole => &cut[..at],
        _ => &cut,
    };
    Ok(Value::from(format!("{cut}{end}")))
}
