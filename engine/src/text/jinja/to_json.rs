//! `tojson` as `transformers` has it: Python's `json.dumps`.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::arguments::Args;
use super::{budget, python};

/// Deepest nesting that is written.
const DEEPEST: usize = 64;

/// `json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn to_json(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(
        args,
        &["ensure_ascii", "indent", "separators", "sort_keys"],
        1,
    )?;
    let value = args.first()?;
    let indent = match args.get("indent")? {
        None => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(indent_width(&indent)?),
        }),
    };
    let (item, key) = match args.get("separators")? {
        Some(pair) => {
            let part = |at: usize| pair.get_item_by_index(at);
            (text(&part(0)?)?, text(&part(1)?)?)
        }
        None if indent.is_some() => (",".into(), ": ".into()),
        None => (", ".into(), ": ".into()),
    };
    let on = |name: &str| Ok::<_, Error>(args.get(name)?.is_some_and(|value| value.is_true()));
    let mut writer = Writer {
        out: String::new(),
        ensure_ascii: on("ensure_ascii")?,
        sort_keys: on("sort_keys")?,
        indent,
        item,
        key,
    };
    writer.write(value, 0)?;
    Ok(Value::from(writer.out))
}

fn indent_width(indent: &Value) -> Result<usize, Error> {
    let width = i64::try_from(indent.clone())?;
    let width = usize::try_from(width).unwrap_or_default();
    budget::text(width.saturating_mul(DEEPEST))?;
    Ok(width)
}

fn text(value: &Value) -> Result<String, Error> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| fail("separators are two texts"))
}

struct Writer {
    out: String,
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item: String,
    key: String,
}

impl Writer {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(python::too_deep());
        }
        let start = self.out.len();
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => self.out.push_str(&value.to_string()),
            ValueKind::Number => self.float(f64::try_from(value.clone())?),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                return self.block(['[', ']'], items.len(), depth, |writer, at| {
                    writer.write(&items[at], depth + 1)
                });
            }
            ValueKind::Map => {
                let mut entries = Vec::new();
                for key in value.try_iter()? {
                    entries.push((json_key(&key)?, value.get_item(&key)?));
                }
                if self.sort_keys {
                    entries.sort_by(|a, b| a.0.cmp(&b.0));
                }
                return self.block(['{', '}'], entries.len(), depth, |writer, at| {
                    let (key, value) = &entries[at];
                    writer.string(key);
                    budget::text(key.len() + writer.key.len())?;
                    let separator = writer.key.clone();
                    writer.out.push_str(&separator);
                    writer.write(value, depth + 1)
                });
            }
            kind => return Err(fail(&format!("a value of type {kind} has no form in JSON"))),
        }
        budget::text(self.out.len() - start)
    }

    fn block(
        &mut self,
        [open, close]: [char; 2],
        length: usize,
        depth: usize,
        part: impl Fn(&mut Self, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        for at in 0..length {
            let start = self.out.len();
            if at > 0 {
                let separator = self.item.clone();
                self.out.push_str(&separator);
            }
            self.line(depth + 1);
            budget::text(self.out.len() - start)?;
            part(self, at)?;
        }
        if length > 0 {
            self.line(depth);
        }
        self.out.push(close);
        budget::text(2)
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn float(&mut self, value: f64) {
        let text = match value {
            v if v.is_nan() => "NaN".into(),
            f64::INFINITY => "Infinity".into(),
            f64::NEG_INFINITY => "-Infinity".into(),
            v => python::float(v),
        };
        self.out.push_str(&text);
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.ensure_ascii && c > '~') => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// A key as JSON has it: always a text.
fn json_key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number => python::repr(key),
        kind => Err(fail(&format!("a value of type {kind} is no key in JSON"))),
    }
}

fn fail(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.to_owned())
}
