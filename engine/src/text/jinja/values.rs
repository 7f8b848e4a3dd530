//! What filters and methods share: the items of a value, bounds on numbers, and how a refusal is worded.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::budget;

/// Largest number a filter takes that makes so many of something; templates indent by two or four.
const MOST: f64 = 1000.0;
/// Digits of the largest width a format may have.
const MOST_DIGITS: usize = 3;

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

/// Refuses large numbers among arguments, given by place or by name.
pub(super) fn check_numbers(args: &[Value]) -> Result<(), Error> {
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

/// An operation that cannot be done.
pub(super) fn fail(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.to_owned())
}
