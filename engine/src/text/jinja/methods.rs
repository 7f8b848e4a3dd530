//! Methods of Python's `str`, `list` and `dict` that templates call.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::arguments::Args;
use super::budget;
use super::lexer::is_space;
use super::python::Tuple;
use super::search::{affix, lines, search, split, strip};
use super::values::{check_format, fail};

/// Calls `method` of a value that is no object of its own.
pub(super) fn call(
    state: &State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let made = match (value.as_str(), value.kind()) {
        (Some(text), _) => match string(text, method, args)? {
            Some(value) => value,
            None => library(state, value, method, args)?,
        },
        (None, ValueKind::Map) if method == "items" => {
            Args::new(args, &[], 0)?;
            let pair = |key: Value| {
                let item = value.get_item(&key)?;
                Ok(Value::from_object(Tuple(vec![key, item])))
            };
            value
                .try_iter()?
                .map(pair)
                .collect::<Result<Value, Error>>()?
        }
        (None, ValueKind::Seq | ValueKind::Iterable) if method == "index" => {
            let [wanted] = args else {
                return Err(Error::from(ErrorKind::MissingArgument));
            };
            let found = value.try_iter()?.position(|item| item == *wanted);
            Value::from(found.ok_or_else(|| fail("`index`: it is not in the list"))?)
        }
        _ => unknown_method_callback(state, value, method, args)?,
    };
    budget::made(made)
}

/// What the library does as Python does: nothing that makes much of little.
fn library(
    state: &State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if method == "format" {
        check_format(value.as_str().unwrap_or_default())?;
        let shown: Vec<Value> = args.iter().map(shown).collect::<Result<_, _>>()?;
        let length: usize = shown.iter().filter_map(|v| v.as_str().map(str::len)).sum();
        let places = value.as_str().unwrap_or_default().matches('{').count();
        budget::text(length.saturating_mul(places))?;
        return unknown_method_callback(state, value, method, &shown);
    }
    unknown_method_callback(state, value, method, args)
}

/// Truth values and `None` as `format` prints them.
fn shown(value: &Value) -> Result<Value, Error> {
    if value.is_kwargs() {
        let mut all = Vec::new();
        for key in value.try_iter()? {
            let inner = shown(&value.get_item(&key)?)?;
            all.push((key.as_str().unwrap_or_default().to_owned(), inner));
        }
        return Ok(Value::from(all.into_iter().collect::<Kwargs>()));
    }
    match value.kind() {
        ValueKind::Bool | ValueKind::None => super::python::repr(value).map(Value::from),
        _ => Ok(value.clone()),
    }
}

/// Methods of `str`; `None` for those left to the library.
fn string(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    // Each walks through it, whatever it makes.
    budget::text(text.len())?;
    let value = match method {
        "strip" | "lstrip" | "rstrip" => {
            let args = Args::new(args, &["chars"], 0)?;
            strip(text, args.text("chars")?.as_deref(), method).into()
        }
        "split" => split(text, args, false)?,
        "rsplit" => split(text, args, true)?,
        "splitlines" => {
            let args = Args::new(args, &["keepends"], 0)?;
            let keep = args.get("keepends")?.is_some_and(|keep| keep.is_true());
            lines(text, keep).into_iter().map(Value::from).collect()
        }
        "partition" | "rpartition" => {
            let separator = Args::new(args, &["sep"], 0)?.need("sep")?;
            let found = match method {
                "partition" => text.split_once(separator.as_str()),
                _ => text.rsplit_once(separator.as_str()),
            };
            let parts = match (found, method) {
                (Some((before, after)), _) => [before, &separator, after],
                (None, "partition") => [text, "", ""],
                (None, _) => ["", "", text],
            };
            Value::from_object(Tuple(parts.map(Value::from).to_vec()))
        }
        "startswith" | "endswith" => Value::from(affix(text, method, args)?),
        "removeprefix" => {
            let prefix = Args::new(args, &["prefix"], 0)?.need("prefix")?;
            text.strip_prefix(prefix.as_str()).unwrap_or(text).into()
        }
        "removesuffix" => {
            let suffix = Args::new(args, &["suffix"], 0)?.need("suffix")?;
            text.strip_suffix(suffix.as_str()).unwrap_or(text).into()
        }
        "replace" => {
            let args = Args::new(args, &["old", "new", "count"], 0)?;
            let count = args.number("count")?;
            replace(text, &args.need("old")?, &args.need("new")?, count)?.into()
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, args)?,
        "join" => {
            let [items] = args else {
                return Err(Error::from(ErrorKind::MissingArgument));
            };
            join(text, items)?.into()
        }
        "center" | "ljust" | "rjust" | "zfill" => pad(text, method, args)?.into(),
        "casefold" => text.to_lowercase().into(),
        "swapcase" => {
            let swap = |c: char| match c.is_uppercase() {
                true => c.to_lowercase().collect::<String>(),
                false => c.to_uppercase().collect(),
            };
            text.chars().map(swap).collect::<String>().into()
        }
        "isspace" => every(text, is_space),
        "isalpha" => every(text, char::is_alphabetic),
        "isalnum" => every(text, char::is_alphanumeric),
        "isdigit" | "isnumeric" | "isdecimal" => every(text, char::is_numeric),
        "isupper" => cased(text, char::is_uppercase, char::is_lowercase),
        "islower" => cased(text, char::is_lowercase, char::is_uppercase),
        "isascii" => Value::from(text.is_ascii()),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// `text.replace(old, new, count)`.
pub(super) fn replace(
    text: &str,
    old: &str,
    new: &str,
    count: Option<i64>,
) -> Result<String, Error> {
    let found = match old.is_empty() {
        true => text.chars().count() + 1,
        false => text.matches(old).count(),
    };
    let times = match count.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => count.min(found),
        None => found,
    };
    budget::text(text.len().saturating_add(times.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, times))
}

/// `separator.join(items)`.
fn join(separator: &str, items: &Value) -> Result<String, Error> {
    let items: Vec<Value> = match items.as_str() {
        Some(text) => text.chars().map(Value::from).collect(),
        None => items.try_iter()?.collect(),
    };
    let mut out = String::new();
    for (i, item) in items.iter().enumerate() {
        let item = item
            .as_str()
            .ok_or_else(|| fail("`join` takes texts only"))?;
        budget::text(item.len() + separator.len())?;
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(item);
    }
    Ok(out)
}

pub(super) fn pad(text: &str, method: &str, args: &[Value]) -> Result<String, Error> {
    let args = Args::new(args, &["width", "fillchar"], 0)?;
    let width = args
        .number("width")?
        .ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
    let fill = args.text("fillchar")?.unwrap_or_else(|| " ".into());
    let length = text.chars().count();
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(length);
    budget::text(
        text.len()
            .saturating_add(missing.saturating_mul(fill.len())),
    )?;
    let fills = |times: usize| fill.repeat(times);
    Ok(match method {
        "ljust" => format!("{text}{}", fills(missing)),
        "rjust" => format!("{}{text}", fills(missing)),
        "zfill" => {
            let digits = text.trim_start_matches(['-', '+']);
            let sign = &text[..text.len() - digits.len()];
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        // Where the sides differ, Python gives the left one less, unless the width is odd.
        _ => {
            let left = missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1);
            format!("{}{text}{}", fills(left), fills(missing - left))
        }
    })
}

fn every(text: &str, test: impl Fn(char) -> bool) -> Value {
    Value::from(!text.is_empty() && text.chars().all(test))
}

/// Whether a text has letters of one case and none of the other.
fn cased(text: &str, own: impl Fn(char) -> bool, other: impl Fn(char) -> bool) -> Value {
    Value::from(text.chars().any(own) && !text.chars().any(other))
}
