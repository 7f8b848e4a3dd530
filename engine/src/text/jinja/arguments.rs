//! Arguments of filters and methods, given by place or by name.

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};

/// The arguments of one call.
pub(super) struct Args<'a> {
    placed: &'a [Value],
    named: Option<Kwargs>,
    names: &'a [&'a str],
    /// How many arguments come before the named ones.
    before: usize,
}

impl<'a> Args<'a> {
    /// Arguments with these names, behind `before` that have none.
    ///
    /// # Errors
    /// When there are more, or one of another name.
    pub(super) fn new(
        args: &'a [Value],
        names: &'a [&'a str],
        before: usize,
    ) -> Result<Self, Error> {
        let (placed, named) = match args {
            [placed @ .., last] if last.is_kwargs() => {
                (placed, Some(Kwargs::try_from(last.clone())?))
            }
            placed => (placed, None),
        };
        if placed.len() > before + names.len() {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        if let Some(named) = &named
            && let Some(unknown) = named.args().find(|name| !names.contains(name))
        {
            return Err(Error::new(
                ErrorKind::TooManyArguments,
                format!("there is no argument `{unknown}`"),
            ));
        }
        Ok(Self {
            placed,
            named,
            names,
            before,
        })
    }

    /// What a filter is applied to.
    pub(super) fn first(&self) -> Result<&'a Value, Error> {
        self.placed
            .first()
            .ok_or_else(|| Error::from(ErrorKind::MissingArgument))
    }

    /// The argument of a name, unless it is absent or `None`.
    pub(super) fn get(&self, name: &str) -> Result<Option<Value>, Error> {
        let place = self.names.iter().position(|own| *own == name);
        let placed = place.and_then(|place| self.placed.get(self.before + place).cloned());
        let value = match (placed, &self.named) {
            (Some(value), _) => Some(value),
            (None, Some(named)) if named.has(name) => Some(named.get::<Value>(name)?),
            (None, _) => None,
        };
        Ok(value.filter(|value| !value.is_none() && !value.is_undefined()))
    }

    /// A text argument.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.get(name)? else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(wrong(name, "a text")),
        }
    }

    /// A text argument that must be there.
    pub(super) fn need(&self, name: &str) -> Result<String, Error> {
        self.text(name)?
            .ok_or_else(|| Error::from(ErrorKind::MissingArgument))
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Error> {
        match self.get(name)? {
            Some(value) => match i64::try_from(value) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(wrong(name, "a whole number")),
            },
            None => Ok(None),
        }
    }
}

fn wrong(name: &str, kind: &str) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("the argument `{name}` is not {kind}"),
    )
}
