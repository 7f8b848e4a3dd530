//! How much text and how many values one rendering may make: templates are strangers' programs, and fuel counts steps only.

use std::cell::Cell;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// Bytes of text a rendering may make in all; a chat of a whole context window takes a hundredth.
const MOST_BYTES: usize = 64 << 20;
/// Longest single text.
const LONGEST: usize = 8 << 20;
/// How deep values may be nested: what walks them calls itself.
const DEEPEST: usize = 32;
/// What one value counts for.
const VALUE: usize = 32;

thread_local! {
    /// What is left of the running rendering, which never leaves its thread.
    static LEFT: Cell<usize> = const { Cell::new(MOST_BYTES) };
}

/// Begins a rendering.
pub(in crate::text) fn begin() {
    LEFT.set(MOST_BYTES);
}

/// Takes a text of `bytes` into account, best before it is made.
pub(super) fn text(bytes: usize) -> Result<(), Error> {
    let left = LEFT.get();
    if bytes > LONGEST || bytes > left {
        LEFT.set(0);
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "it makes more text than a chat can need",
        ));
    }
    LEFT.set(left - bytes);
    Ok(())
}

/// Takes a list of `length` values into account.
pub(super) fn values(length: usize) -> Result<(), Error> {
    text(length.saturating_mul(VALUE))
}

/// Takes a value that a filter or a method of the library has made into account.
pub(super) fn made(value: Value) -> Result<Value, Error> {
    match (value.as_str(), value.kind()) {
        (Some(made), _) => text(made.len())?,
        (None, ValueKind::Seq | ValueKind::Map) => values(value.len().unwrap_or(1))?,
        _ => {}
    }
    Ok(value)
}

/// Refuses values nested too deep before a variable keeps them; with `apart`, and values that hold a namespace too, which
/// would hold itself in the end.
pub(super) fn check_depth(value: &Value, apart: bool) -> Result<(), Error> {
    fn walk(value: &Value, apart: bool, depth: usize) -> Result<(), Error> {
        if !matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Plain
        ) {
            return Ok(());
        }
        let namespace = value
            .as_object()
            .is_some_and(|object| object.type_name().ends_with("Namespace"));
        if depth > DEEPEST || (apart && namespace) {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "it nests values deeper than a chat can need",
            ));
        }
        if namespace || !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
            return Ok(());
        }
        values(value.len().unwrap_or(1))?;
        for inner in value.try_iter()? {
            let inner = match value.kind() {
                ValueKind::Map => value.get_item(&inner)?,
                _ => inner,
            };
            walk(&inner, apart, depth + 1)?;
        }
        Ok(())
    }
    walk(value, apart, 0)
}
