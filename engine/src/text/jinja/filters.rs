//! Filters and tests where Jinja 2 differs from the template library, or where the library knows no bounds.

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters};
use minijinja_contrib::filters as more;

use super::arguments::Args;
use super::{budget, methods, numbers, percent, python, to_json};

/// Largest number a filter takes that makes so many of something; templates indent by two or four.
const MOST: f64 = 1000.0;
/// Digits of the largest width a format may have.
const MOST_DIGITS: usize = 3;

type Filter = fn(&[Value]) -> Result<Value, Error>;

/// Filters of our own.
const OWN: [(&str, Filter); 28] = [
    ("tojson", to_json::to_json),
    ("string", |args| {
        python::str(Args::new(args, &[], 1)?.first()?).map(Value::from)
    }),
    ("join", join),
    ("trim", |args| {
        let args = Args::new(args, &["chars"], 1)?;
        let text = python::str(args.first()?)?;
        let chars = args.text("chars")?;
        Ok(methods::strip(&text, chars.as_deref(), "strip").into())
    }),
    ("replace", |args| {
        let args = Args::new(args, &["old", "new", "count"], 1)?;
        let text = python::str(args.first()?)?;
        let count = args.number("count")?;
        methods::replace(&text, &args.need("old")?, &args.need("new")?, count).map(Value::from)
    }),
    ("format", format),
    ("indent", indent),
    ("center", |args| {
        let args = Args::new(args, &["width"], 1)?;
        let width = args.number("width")?.unwrap_or(80);
        let text = Value::from(python::str(args.first()?)?);
        let Some(text) = text.as_str() else {
            return Ok(text);
        };
        methods::pad(text, "center", &[Value::from(width)]).map(Value::from)
    }),
    ("list", |args| {
        let value = Args::new(args, &[], 1)?.first()?.clone();
        items(&value).map(Value::from)
    }),
    ("first", |args| {
        let value = Args::new(args, &[], 1)?.first()?.clone();
        Ok(items(&value)?.first().cloned().unwrap_or_default())
    }),
    ("last", |args| {
        let value = Args::new(args, &[], 1)?.first()?.clone();
        Ok(items(&value)?.last().cloned().unwrap_or_default())
    }),
    ("capitalize", |args| {
        let text = python::str(Args::new(args, &[], 1)?.first()?)?;
        let mut chars = text.chars();
        let mut out = String::with_capacity(text.len());
        out.extend(chars.next().into_iter().flat_map(title_case));
        Ok(Value::from(out + &chars.as_str().to_lowercase()))
    }),
    ("title", title),
    ("wordcount", |args| {
        let text = python::str(Args::new(args, &[], 1)?.first()?)?;
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let words = text.split(|c| !word(c)).filter(|word| !word.is_empty());
        Ok(Value::from(words.count()))
    }),
    ("truncate", truncate),
    ("length", length),
    ("count", length),
    ("items", |args| pairs(args, false)),
    ("dictsort", |args| pairs(args, true)),
    ("escape", escape),
    ("e", escape),
    ("urlencode", |args| {
        Ok(url(&python::str(Args::new(args, &[], 1)?.first()?)?).into())
    }),
    ("attr", |args| {
        let args = Args::new(args, &["name"], 1)?;
        match args.first()?.kind() {
            // What is in a mapping is no attribute of it.
            ValueKind::Map => Ok(Value::UNDEFINED),
            _ => args.first()?.get_attr(&args.need("name")?),
        }
    }),
    ("int", numbers::int),
    ("float", numbers::float),
    ("round", numbers::round),
    ("sum", numbers::sum),
    ("abs", numbers::abs),
];

/// Puts filters and tests into an environment.
pub(super) fn install(environment: &mut Environment<'static>) {
    for (name, own) in OWN {
        environment.add_filter(name, move |args: Rest<Value>| own(&args));
    }
    for (name, library) in [
        ("batch", Value::from_function(filters::batch)),
        ("slice", Value::from_function(filters::slice)),
    ] {
        environment.add_filter(name, move |state: &State, args: Rest<Value>| {
            check_numbers(args.get(1..).unwrap_or_default())?;
            library.call(state, &args)
        });
    }
    environment.add_filter("filesizeformat", more::filesizeformat);
    environment.add_filter("striptags", more::striptags);
    for (name, own) in TESTS {
        environment.add_test(name, own);
    }
}

/// Tests of our own.
const TESTS: [(&str, fn(&Value) -> bool); 7] = [
    ("sequence", |value| {
        matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::String | ValueKind::Map
        )
    }),
    ("iterable", |value| {
        matches!(
            value.kind(),
            ValueKind::Seq
                | ValueKind::String
                | ValueKind::Map
                | ValueKind::Iterable
                | ValueKind::Undefined
        )
    }),
    ("number", |value| {
        matches!(value.kind(), ValueKind::Number | ValueKind::Bool)
    }),
    ("float", |value| {
        value.kind() == ValueKind::Number && !value.is_integer()
    }),
    // Undefined values of Jinja can be called; they raise when they are.
    ("callable", |value| match value.kind() {
        ValueKind::Plain => value.as_object().is_some(),
        kind => kind == ValueKind::Undefined,
    }),
    ("lower", |value| {
        let text = value.as_str().unwrap_or_default();
        text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
    }),
    ("upper", |value| {
        let text = value.as_str().unwrap_or_default();
        text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
    }),
];

/// What iterating a value gives; a text gives its characters.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    match value.as_str() {
        Some(text) => {
            budget::values(text.len())?;
            Ok(text.chars().map(Value::from).collect())
        }
        None => {
            budget::values(value.len().unwrap_or(1))?;
            Ok(value.try_iter()?.collect())
        }
    }
}

fn join(args: &[Value]) -> Result<Value, Error> {
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
fn format(args: &[Value]) -> Result<Value, Error> {
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

fn indent(args: &[Value]) -> Result<Value, Error> {
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
fn title_case(c: char) -> impl Iterator<Item = char> {
    let mut upper = c.to_uppercase();
    let first = upper.next();
    first.into_iter().chain(upper.flat_map(char::to_lowercase))
}

fn length(args: &[Value]) -> Result<Value, Error> {
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
fn pairs(args: &[Value], sorted: bool) -> Result<Value, Error> {
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

fn escape(args: &[Value]) -> Result<Value, Error> {
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
fn url(text: &str) -> String {
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
fn title(args: &[Value]) -> Result<Value, Error> {
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

fn truncate(args: &[Value]) -> Result<Value, Error> {
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

/// Refuses large numbers among arguments, given by place or by name.
fn check_numbers(args: &[Value]) -> Result<(), Error> {
    for arg in args {
        if arg.is_kwargs() {
            for name in arg.try_iter()? {
                check_numbers(&[arg.get_item(&name)?])?;
            }
        } else if arg.kind() == ValueKind::Number && f64::try_from(arg.clone())?.abs() > MOST {
            return Err(too_large());
        }
    }
    Ok(())
}

/// Refuses formats with a width or a precision of many digits.
pub(super) fn check_format(format: &str) -> Result<(), Error> {
    let mut runs = format.split(|c: char| !c.is_ascii_digit());
    match runs.any(|digits| digits.len() > MOST_DIGITS) {
        true => Err(too_large()),
        false => Ok(()),
    }
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        "it asks a filter for more than a chat can need",
    )
}
