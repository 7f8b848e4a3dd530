//! Python's operators on template values, bounded.

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use super::python::{self, Tuple};
use super::{budget, percent};

/// Adds the functions that translated templates call.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_function("__tuple", |values: Rest<Value>| {
        Value::from_object(Tuple(values.0))
    });
    environment.add_function("__math", |operators: String, values: Rest<Value>| {
        let mut values = values.0.into_iter();
        let first = values
            .next()
            .ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
        operators
            .chars()
            .zip(values)
            .try_fold(first, |left, (operator, right)| {
                math(operator, &left, &right)
            })
    });
    environment.add_function("__concat", |values: Rest<Value>| {
        let mut out = String::new();
        for value in values.iter() {
            out.push_str(&python::str(value)?);
        }
        budget::text(out.len())?;
        Ok::<_, Error>(Value::from(out))
    });
    environment.add_function(
        "__slice",
        |value: Value, start: Value, stop: Value, step: Value| slice(&value, &start, &stop, &step),
    );
    environment.add_function("__iterate", |value: Value| match value.as_str() {
        Some(text) => {
            budget::values(text.len())?;
            Ok::<_, Error>(text.chars().map(Value::from).collect())
        }
        None => Ok(value),
    });
    environment.add_function("__store", |value: Value| {
        budget::check_depth(&value, false).map(|()| value)
    });
    environment.add_function("__walked", |value: Value| {
        match value.as_str() {
            Some(text) => budget::text(text.len())?,
            None => budget::check_depth(&value, false)?,
        }
        Ok::<_, Error>(value)
    });
    environment.add_function("__keep", |value: Value| {
        budget::check_depth(&value, true).map(|()| value)
    });
    environment.add_function(
        "__filter",
        |state: &State, name: String, args: Rest<Value>| {
            budget::made(state.apply_filter(&name, &args)?)
        },
    );
    environment.add_function(
        "__test",
        |state: &State, name: String, args: Rest<Value>| state.perform_test(&name, &args),
    );
}

/// A number as Python computes with it; truth values are 0 and 1.
enum Number {
    Whole(i128),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Whole(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).ok().map(Number::Whole)
        }
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
        _ => None,
    }
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

/// `left + right`.
pub(super) fn add(left: &Value, right: &Value) -> Result<Value, Error> {
    math('+', left, right)
}

fn math(operator: char, left: &Value, right: &Value) -> Result<Value, Error> {
    if operator == '%'
        && let Some(format) = left.as_str()
    {
        return percent::format(format, right).map(Value::from);
    }
    if operator == '+' {
        if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
            budget::text(a.len() + b.len())?;
            return Ok(Value::from([a, b].concat()));
        }
        if is_list(left) && is_list(right) {
            let length = left.len().unwrap_or(0) + right.len().unwrap_or(0);
            budget::values(length)?;
            let both = left.try_iter()?.chain(right.try_iter()?).collect();
            return Ok(match left.downcast_object_ref::<Tuple>() {
                Some(_) => Value::from_object(Tuple(both)),
                None => Value::from(both),
            });
        }
    }
    let (a, b) = match (number(left), number(right)) {
        (Some(a), Some(b)) => (a, b),
        (None, Some(Number::Whole(times))) if operator == '*' => {
            return repeat(operator, left, times, right);
        }
        (Some(Number::Whole(times)), None) if operator == '*' => {
            return repeat(operator, right, times, left);
        }
        _ => return Err(impossible(operator, left, right)),
    };
    let result = match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => whole(operator, a, b)?,
        (a, b) => Number::Float(float(operator, as_float(a), as_float(b))?),
    };
    Ok(match result {
        Number::Whole(value) => match i64::try_from(value) {
            Ok(value) => Value::from(value),
            Err(_) => Value::from(value),
        },
        Number::Float(value) => Value::from(value),
    })
}

fn as_float(number: Number) -> f64 {
    match number {
        Number::Whole(value) => value as f64,
        Number::Float(value) => value,
    }
}

fn whole(operator: char, a: i128, b: i128) -> Result<Number, Error> {
    let floor = |a: i128, b: i128| {
        let quotient = a.checked_div(b)?;
        let inexact = a.checked_rem(b)? != 0;
        quotient.checked_sub(i128::from(inexact && ((a < 0) != (b < 0))))
    };
    let value = match operator {
        '+' => a.checked_add(b),
        '-' => a.checked_sub(b),
        '*' => a.checked_mul(b),
        '/' if b != 0 => {
            return Ok(Number::Float(
                as_float(Number::Whole(a)) / as_float(Number::Whole(b)),
            ));
        }
        'f' => floor(a, b),
        '%' => floor(a, b).and_then(|q| a.checked_sub(q.checked_mul(b)?)),
        '^' => match u32::try_from(b) {
            Ok(b) => a.checked_pow(b),
            Err(_) => {
                return Ok(Number::Float(
                    as_float(Number::Whole(a)).powf(as_float(Number::Whole(b))),
                ));
            }
        },
        _ => None,
    };
    value.map(Number::Whole).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("{a} {} {b} cannot be computed", shown(operator)),
        )
    })
}

fn float(operator: char, a: f64, b: f64) -> Result<f64, Error> {
    if matches!(operator, '/' | 'f' | '%') && b == 0.0 {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "a number is divided by zero",
        ));
    }
    Ok(match operator {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        'f' => (a / b).floor(),
        '%' => {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                rest + b
            } else {
                rest
            }
        }
        _ => a.powf(b),
    })
}

/// A text or a list several times.
fn repeat(operator: char, value: &Value, times: i128, count: &Value) -> Result<Value, Error> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    if let Some(text) = value.as_str() {
        budget::text(text.len().saturating_mul(times))?;
        return Ok(Value::from(text.repeat(times)));
    }
    if !is_list(value) {
        return Err(impossible(operator, value, count));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    budget::values(items.len().saturating_mul(times))?;
    // An empty list needs no more turns than it has items.
    let times = if items.is_empty() { 0 } else { times };
    Ok(std::iter::repeat_n(items, times).flatten().collect())
}

fn impossible(operator: char, left: &Value, right: &Value) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!(
            "`{}` does not work on {} and {}",
            shown(operator),
            left.kind(),
            right.kind()
        ),
    )
}

fn shown(operator: char) -> &'static str {
    match operator {
        '+' => "+",
        '-' => "-",
        '*' => "*",
        '/' => "/",
        'f' => "//",
        '%' => "%",
        _ => "**",
    }
}

fn slice(value: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let bound = |value: &Value| match value.is_none() || value.is_undefined() {
        true => Ok(None),
        false => i64::try_from(value.clone()).map(Some),
    };
    let (start, stop) = (bound(start)?, bound(stop)?);
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "the step of a slice is zero",
        ));
    }
    if let Some(text) = value.as_str() {
        let chars: Vec<char> = text.chars().collect();
        budget::text(text.len())?;
        let places = places(chars.len(), start, stop, step);
        return Ok(Value::from(places.map(|at| chars[at]).collect::<String>()));
    }
    if !is_list(value) {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("{} has no slices", value.kind()),
        ));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    budget::values(items.len())?;
    let places = places(items.len(), start, stop, step);
    let some: Vec<Value> = places.map(|at| items[at].clone()).collect();
    Ok(match value.downcast_object_ref::<Tuple>() {
        Some(_) => Value::from_object(Tuple(some)),
        None => Value::from(some),
    })
}

/// The places a slice takes of something of `length`, as Python counts them.
fn places(
    length: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let clamp = |at: i64| {
        let at = if at < 0 {
            at.saturating_add(length)
        } else {
            at
        };
        at.clamp(low, high)
    };
    let (from, to) = if step > 0 { (low, high) } else { (high, low) };
    let (start, stop) = (start.map_or(from, clamp), stop.map_or(to, clamp));
    let mut at = start;
    std::iter::from_fn(move || {
        let inside = if step > 0 { at < stop } else { at > stop };
        let place = usize::try_from(at).ok().filter(|_| inside)?;
        at = at.saturating_add(step);
        Some(place)
    })
}
