//! `'%s: %d' % (name, count)`: Python's formatting with `%`.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::budget;
use super::python::{self, Tuple};

/// One `%...` of a format.
#[derive(Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats `values`: a tuple, a mapping for `%(name)s`, or one value.
///
/// # Errors
/// As Python raises, and for widths no chat can need.
pub(super) fn format(format: &str, values: &Value) -> Result<String, Error> {
    let placed: Vec<Value> = match values.downcast_object_ref::<Tuple>() {
        Some(tuple) => tuple.0.clone(),
        None => vec![values.clone()],
    };
    let mut placed_left = placed.into_iter();
    let mut named = false;
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut name = None;
        if let Some(inner) = rest.strip_prefix('(') {
            let (key, behind) = inner
                .split_once(')')
                .ok_or_else(|| fail("a `%(` has no `)`"))?;
            (name, rest) = (Some(key), behind);
        }
        let mut next = || {
            placed_left
                .next()
                .ok_or_else(|| fail("`%` has fewer values than its format asks for"))
        };
        let (conversion, behind) = Conversion::read(rest, &mut next)?;
        let kind = behind
            .chars()
            .next()
            .ok_or_else(|| fail("a format ends in `%`"))?;
        rest = &behind[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match name {
            Some(key) => {
                named = true;
                let value = values.get_item(&Value::from(key))?;
                if value.is_undefined() {
                    return Err(fail(&format!("`%` has no value `{key}`")));
                }
                value
            }
            None => next()?,
        };
        let text = conversion.apply(kind, &value)?;
        budget::text(text.len())?;
        out.push_str(&text);
    }
    out.push_str(rest);
    if !named
        && placed_left
            .next()
            .is_some_and(|left| left.kind() != ValueKind::Map)
    {
        return Err(fail("`%` has more values than its format asks for"));
    }
    budget::text(out.len())?;
    Ok(out)
}

impl Conversion {
    /// Reads flags, width and precision; returns what is behind them.
    fn read<'f>(
        format: &'f str,
        next: &mut dyn FnMut() -> Result<Value, Error>,
    ) -> Result<(Self, &'f str), Error> {
        let mut own = Self::default();
        let flags = format.trim_start_matches(['-', '+', ' ', '0', '#']);
        for flag in format[..format.len() - flags.len()].chars() {
            match flag {
                '-' => own.left = true,
                '+' => own.plus = true,
                ' ' => own.space = true,
                '0' => own.zero = true,
                _ => own.alternate = true,
            }
        }
        let (width, rest) = size(flags, next)?;
        if let Some(width) = width {
            own.left |= width < 0;
            own.width = width.unsigned_abs() as usize;
        }
        let rest = match rest.strip_prefix('.') {
            Some(rest) => {
                let (precision, rest) = size(rest, next)?;
                own.precision = Some(usize::try_from(precision.unwrap_or(0)).unwrap_or(0));
                rest
            }
            None => rest,
        };
        Ok((own, rest.trim_start_matches(['h', 'l', 'L'])))
    }

    fn apply(&self, kind: char, value: &Value) -> Result<String, Error> {
        let cut = |text: String| match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        };
        Ok(match kind {
            's' => self.pad("", &cut(python::str(value)?), false),
            'r' | 'a' => self.pad("", &cut(python::repr(value)?), false),
            'c' => match value.as_str() {
                Some(text) if text.chars().count() == 1 => self.pad("", text, false),
                _ => {
                    let code = u32::try_from(whole(value)?).ok();
                    let c = code
                        .and_then(char::from_u32)
                        .ok_or_else(|| fail("`%c` is not a character"))?;
                    self.pad("", c.encode_utf8(&mut [0; 4]), false)
                }
            },
            'd' | 'i' | 'u' => self.integer(value, |n| n.to_string(), "")?,
            'o' => self.integer(value, |n| format!("{n:o}"), "0o")?,
            'x' => self.integer(value, |n| format!("{n:x}"), "0x")?,
            'X' => self.integer(value, |n| format!("{n:X}"), "0X")?,
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number = float(value)?;
                let text = self.float(kind.to_ascii_lowercase(), number.abs());
                let text = if kind.is_ascii_uppercase() {
                    text.to_uppercase()
                } else {
                    text
                };
                self.pad(
                    self.sign(number.is_sign_negative()),
                    &text,
                    number.is_finite(),
                )
            }
            other => return Err(fail(&format!("`%{other}` is no format"))),
        })
    }

    fn integer(
        &self,
        value: &Value,
        digits: impl Fn(u128) -> String,
        prefix: &str,
    ) -> Result<String, Error> {
        // `%d` cuts a float, `%x` takes none.
        let number = match (prefix, value.kind()) {
            ("", ValueKind::Number) if !value.is_integer() => {
                f64::try_from(value.clone())?.trunc() as i128
            }
            _ => whole(value)?,
        };
        let mut text = digits(number.unsigned_abs());
        if let Some(least) = self.precision {
            text = format!("{text:0>least$}");
        }
        let sign = self.sign(number < 0);
        let prefix = if self.alternate { prefix } else { "" };
        Ok(self.pad(&format!("{sign}{prefix}"), &text, true))
    }

    fn float(&self, kind: char, value: f64) -> String {
        if !value.is_finite() {
            return if value.is_nan() { "nan" } else { "inf" }.into();
        }
        let precision = self.precision.unwrap_or(6);
        let dot = |text: String| match self.alternate && !text.contains('.') {
            true => format!("{text}."),
            false => text,
        };
        match kind {
            'f' => dot(format!("{value:.precision$}")),
            'e' => exponent(&format!("{value:.precision$e}")),
            _ => {
                let precision = precision.max(1);
                let text = format!("{value:.*e}", precision - 1);
                let power: i32 = text
                    .split_once('e')
                    .and_then(|(_, power)| power.parse().ok())
                    .unwrap_or_default();
                let short = |text: &str| match text.contains('.') && !self.alternate {
                    true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                    false => text.to_owned(),
                };
                if power < -4 || power >= i32::try_from(precision).unwrap_or(i32::MAX) {
                    let (digits, _) = text.split_once('e').unwrap_or((&text, ""));
                    return exponent(&format!("{}e{power}", short(digits)));
                }
                let places = usize::try_from(precision as i64 - 1 - i64::from(power)).unwrap_or(0);
                short(&format!("{value:.places$}"))
            }
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match () {
            () if negative => "-",
            () if self.plus => "+",
            () if self.space => " ",
            () => "",
        }
    }

    /// Fills up to the width; zeros go between the sign and the digits.
    fn pad(&self, sign: &str, text: &str, zeros: bool) -> String {
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + text.chars().count());
        match () {
            () if self.left => format!("{sign}{text}{}", " ".repeat(missing)),
            () if self.zero && zeros => format!("{sign}{}{text}", "0".repeat(missing)),
            () => format!("{}{sign}{text}", " ".repeat(missing)),
        }
    }
}

/// Largest width or precision; templates align columns at most.
const MOST: i64 = 1000;

/// A number, or `*` for the next value.
fn size<'f>(
    format: &'f str,
    next: &mut dyn FnMut() -> Result<Value, Error>,
) -> Result<(Option<i64>, &'f str), Error> {
    let (size, rest) = if let Some(rest) = format.strip_prefix('*') {
        let size = i64::try_from(next()?)?;
        (Some(size), rest)
    } else {
        let rest = format.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &format[..format.len() - rest.len()];
        let size = (!digits.is_empty()).then(|| digits.parse().unwrap_or(i64::MAX));
        (size, rest)
    };
    if size.is_some_and(|size| !(-MOST..=MOST).contains(&size)) {
        return Err(fail("it formats wider than a chat can need"));
    }
    Ok((size, rest))
}

/// `1.5e7` with the two digits Python gives an exponent.
fn exponent(text: &str) -> String {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, power) = match power.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', power),
    };
    format!("{digits}e{sign}{power:0>2}")
}

fn whole(value: &Value) -> Result<i128, Error> {
    match value.kind() {
        ValueKind::Bool => Ok(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()),
        kind => Err(fail(&format!("`%` formats {kind} as a whole number"))),
    }
}

fn float(value: &Value) -> Result<f64, Error> {
    match value.kind() {
        ValueKind::Bool => Ok(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()),
        kind => Err(fail(&format!("`%` formats {kind} as a number"))),
    }
}

fn fail(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.to_owned())
}
