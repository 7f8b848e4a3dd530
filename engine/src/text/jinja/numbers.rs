//! Filters that make numbers, as Python does: halves to even digits, `int` of what is no number is 0.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::arguments::Args;
use super::operators::add;
use super::values::items;

/// `value | int(default=0, base=10)`.
pub(super) fn int(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["default", "base"], 1)?;
    let value = args.first()?;
    let base = u32::try_from(args.number("base")?.unwrap_or(10)).unwrap_or(10);
    let whole = match (value.as_str(), value.kind()) {
        (Some(text), _) => {
            let digits = text.trim().replace('_', "");
            let whole = (2..=36)
                .contains(&base)
                .then(|| i128::from_str_radix(&digits, base).ok())
                .flatten();
            whole.or_else(|| digits.parse().ok().and_then(cut))
        }
        (None, ValueKind::Bool) => Some(i128::from(value.is_true())),
        (None, ValueKind::Number) if value.is_integer() => i128::try_from(value.clone()).ok(),
        (None, ValueKind::Number) => cut(f64::try_from(value.clone())?),
        _ => None,
    };
    match whole {
        Some(whole) => Ok(number(whole)),
        None => Ok(args.get("default")?.unwrap_or_else(|| Value::from(0))),
    }
}

/// A float without what is behind its point.
fn cut(value: f64) -> Option<i128> {
    (value.is_finite() && value.abs() < 1e38).then_some(value.trunc() as i128)
}

fn number(whole: i128) -> Value {
    match i64::try_from(whole) {
        Ok(whole) => Value::from(whole),
        Err(_) => Value::from(whole),
    }
}

/// `value | float(default=0.0)`.
pub(super) fn float(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["default"], 1)?;
    let value = args.first()?;
    let float = match (value.as_str(), value.kind()) {
        (Some(text), _) => text.trim().replace('_', "").parse().ok(),
        (None, ValueKind::Bool) => Some(f64::from(u8::from(value.is_true()))),
        (None, ValueKind::Number) => Some(f64::try_from(value.clone())?),
        _ => None,
    };
    match float {
        Some(float) => Ok(Value::from(float)),
        None => Ok(args.get("default")?.unwrap_or_else(|| Value::from(0.0))),
    }
}

/// Most digits behind the point that rounding keeps; floats have fewer.
const MOST_DIGITS: i64 = 300;

/// `value | round(precision=0, method='common')`.
pub(super) fn round(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["precision", "method"], 1)?;
    let value = args.first()?;
    let precision = args.number("precision")?.unwrap_or(0);
    let method = args.text("method")?.unwrap_or_else(|| "common".into());
    if value.kind() == ValueKind::Number && value.is_integer() && method == "common" {
        return Ok(value.clone());
    }
    let value = f64::try_from(value.clone())?;
    let precision = precision.clamp(-MOST_DIGITS, MOST_DIGITS);
    let scale = 10f64.powi(i32::try_from(precision).unwrap_or(0));
    let rounded = match (method.as_str(), usize::try_from(precision)) {
        ("ceil", _) => (value * scale).ceil() / scale,
        ("floor", _) => (value * scale).floor() / scale,
        // Printing rounds the exact value, halves to even, as Python does.
        ("common", Ok(digits)) => format!("{value:.digits$}").parse().unwrap_or(value),
        ("common", Err(_)) => (value * scale).round_ties_even() / scale,
        _ => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "`round` knows the methods common, ceil and floor",
            ));
        }
    };
    Ok(Value::from(rounded))
}

/// `values | sum(attribute=None, start=0)`.
pub(super) fn sum(args: &[Value]) -> Result<Value, Error> {
    let args = Args::new(args, &["attribute", "start"], 1)?;
    let attribute = args.get("attribute")?;
    let start = args.get("start")?.unwrap_or_else(|| Value::from(0));
    items(args.first()?)?.iter().try_fold(start, |sum, item| {
        let item = match &attribute {
            Some(attribute) => item.get_item(attribute)?,
            None => item.clone(),
        };
        add(&sum, &item)
    })
}

/// `value | abs`.
pub(super) fn abs(args: &[Value]) -> Result<Value, Error> {
    let value = Args::new(args, &[], 1)?.first()?.clone();
    if value.kind() == ValueKind::Number && !value.is_integer() {
        return Ok(Value::from(f64::try_from(value)?.abs()));
    }
    let whole = i128::try_from(value)?;
    whole.checked_abs().map(number).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            "`abs` of a number that is too large",
        )
    })
}
