//! Bounds on what a chat template asks of the template library, beyond its fuel: numbers that would become memory, panics.
//!
//! Fuel counts instructions, and one can be worth any number of bytes. What is not bounded here: text that a template
//! doubles step by step, and `*` of a list; both end in as much memory as there is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Largest number a filter takes that makes so many of something; templates indent by two or four.
const MOST: f64 = 1000.0;
/// Digits of the largest width a format may have.
const MOST_DIGITS: usize = 3;

/// Puts bounds on the filters and methods of `environment` whose arguments say how much they make.
pub(super) fn install(environment: &mut Environment<'static>) {
    for (name, own) in [
        ("batch", Value::from_function(filters::batch)),
        ("format", Value::from_function(filters::format)),
        ("indent", Value::from_function(filters::indent)),
        ("slice", Value::from_function(filters::slice)),
        ("tojson", Value::from_function(filters::tojson)),
    ] {
        environment.add_filter(name, move |state: &State, args: Rest<Value>| {
            let [value, more @ ..] = args.as_slice() else {
                return own.call(state, &args);
            };
            if name == "format" {
                check_format(value)?;
            } else {
                check_numbers(more)?;
            }
            own.call(state, &args)
        });
    }
    environment.set_unknown_method_callback(|state, value, method, args| {
        if method == "format" {
            check_format(value)?;
        }
        unknown_method_callback(state, value, method, args)
    });
}

/// Runs the library, whose panics on odd templates (a slice backwards through nothing, in 2.24) become an error where
/// the platform can catch them; a browser ends the worker.
pub(super) fn caught<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            "the template library failed on it; use the template of the model's own folder",
        ))
    })
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
fn check_format(format: &Value) -> Result<(), Error> {
    let format = format.as_str().unwrap_or_default();
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
