//! Chat templates as `transformers` renders them: Jinja 2 with Python's values, on top of a template library.
//!
//! A template is translated ([`translate()`]) so that every operator, filter and print is one of ours: they do as Python
//! does, and keep a budget, since templates come with strangers' models.

mod arguments;
mod budget;
mod expression;
mod filters;
mod lexer;
mod literal;
mod methods;
mod numbers;
mod operators;
mod percent;
mod python;
mod search;
mod strftime;
mod text_filters;
mod to_json;
mod token;
mod tokens;
mod translate;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};

use minijinja::value::{Rest, Value};
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::globals;

use crate::host::LocalTime;

/// Instructions a template may run; real ones need some hundreds a message.
const FUEL: u64 = 1_000_000;
/// The variable that holds the time, if the caller gave one.
const NOW: &str = "__now";
const NAME: &str = "chat";

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template(Environment<'static>);

impl Template {
    /// Compiles a source.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(source: &str) -> Result<Self, String> {
        let translated = translate::translate(source)?;
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_keep_trailing_newline(true);
        operators::install(&mut environment);
        filters::install(&mut environment);
        environment.set_unknown_method_callback(methods::call);
        environment.set_formatter(|out, _, value| {
            out.write_str(&python::str(value)?).map_err(Error::from)
        });
        environment.add_function("raise_exception", |message: Value| {
            let message = python::str(&message)?;
            Err::<Value, _>(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", strftime_now);
        environment.add_function("cycler", |items: Rest<Value>| globals::cycler(items.0));
        environment.add_function("joiner", globals::joiner);
        caught(|| environment.add_template_owned(NAME, translated)).map_err(|e| e.to_string())?;
        Ok(Self(environment))
    }

    /// Renders a context, whose maps keep their order.
    ///
    /// # Errors
    /// What the template raises, or that it runs away.
    pub(super) fn render(
        &self,
        context: impl IntoIterator<Item = (&'static str, Value)>,
        now: Option<LocalTime>,
    ) -> Result<String, Error> {
        budget::begin();
        let now = now.map(|now| (NOW, Value::from_object(Now(now))));
        let context: Value = context.into_iter().chain(now).collect();
        let template = self.0.get_template(NAME)?;
        caught(|| template.render(context))
    }
}

/// The time as a value that templates cannot look into.
#[derive(Debug)]
struct Now(LocalTime);

impl minijinja::value::Object for Now {
    fn repr(self: &std::sync::Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }
}

fn strftime_now(state: &State<'_, '_>, format: String) -> Result<String, Error> {
    let now = state.lookup(NOW);
    match now
        .as_ref()
        .and_then(|now| now.downcast_object_ref::<Now>())
    {
        Some(Now(now)) => {
            budget::text(format.len().saturating_mul(24))?;
            Ok(strftime::strftime(&format, now))
        }
        None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "it asks for the date, and none was given",
        )),
    }
}

/// Runs the library. A panic of it becomes an error where the platform can catch one; a browser ends the worker, so what
/// is known to make it panic never reaches it.
fn caught<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            "the template library failed on it; use the template of the model's own folder",
        ))
    })
}

#[cfg(test)]
#[path = "jinja/tests.rs"]
mod tests;
