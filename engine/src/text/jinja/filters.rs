//! Filters and tests where Jinja 2 differs from the template library, or where the library knows no bounds.

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, State, filters};
use minijinja_contrib::filters as more;

use super::arguments::Args;
use super::search::strip;
use super::text_filters::{
    escape, format, indent, join, length, pairs, title, title_case, truncate, url,
};
use super::values::{check_numbers, items};
use super::{methods, numbers, python, to_json};

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
        Ok(strip(&text, chars.as_deref(), "strip").into())
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

type Test = fn(&Value) -> bool;

/// Tests of our own.
const TESTS: [(&str, Test); 7] = [
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
