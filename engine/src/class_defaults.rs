//! What the classes of `transformers` take where a configuration is silent: one table, and a note of each value taken from it.
//!
//! `class_defaults.tsv` has a row for each key that is read: the class, the key, and its default as JSON (`null` where it
//! follows from other keys), or `=other` where the key is another name of `other`. The key of a class beginning with one of its
//! parts (`text_config.rms_norm_eps`) counts when that part is not there at all. `tests/fixtures/generate/defaults.py` prints
//! the rows from `transformers` itself.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;

const TABLE: &str = include_str!("class_defaults.tsv");

/// A value that a file left to its class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Taken {
    /// The file, as it is called in errors.
    pub file: String,
    /// The key, dotted.
    pub key: String,
    /// What was taken.
    pub value: Value,
    /// The class in `transformers` that says so.
    pub class: String,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            key,
            value,
            class,
        } = self;
        write!(f, "{file}: {key} = {value} ({class})")
    }
}

/// All rows: class, key, and the default as JSON or `=other`.
pub fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TABLE.lines().filter_map(|line| {
        let (class, rest) = line.split_once('\t')?;
        let (key, default) = rest.split_once('\t')?;
        Some((class, key, default))
    })
}

/// The default of a key; null where it follows from other keys, `None` where the class has none.
pub(crate) fn of(class: &str, key: &str) -> Option<Value> {
    let (.., default) = rows().find(|row| row.0 == class && row.1 == key)?;
    serde_json::from_str(default).ok()
}

/// Other names of a key; where one of them is in a file, it counts.
pub(crate) fn aliases<'a>(class: &'a str, key: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    rows()
        .filter(move |row| row.0 == class && row.2.strip_prefix('=') == Some(key))
        .map(|row| row.1)
}

/// A list of values taken that all readers of one file share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Rc<RefCell<Vec<Taken>>>);

impl Notes {
    /// Notes a value, once a key.
    pub(crate) fn add(&self, taken: Taken) {
        let mut list = self.0.borrow_mut();
        if !list
            .iter()
            .any(|other| other.file == taken.file && other.key == taken.key)
        {
            list.push(taken);
        }
    }

    /// What was noted, in the order it was asked for.
    pub(crate) fn list(&self) -> Vec<Taken> {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_default_or_names_another_key() {
        for (class, key, default) in rows() {
            match default.strip_prefix('=') {
                Some(other) => assert!(of(class, other).is_some(), "{class} {key}"),
                None => assert!(
                    serde_json::from_str::<Value>(default).is_ok(),
                    "{class} {key}"
                ),
            }
        }
        assert_eq!(rows().count(), TABLE.lines().count());
        assert_eq!(of("LlamaConfig", "num_attention_heads"), Some(32.into()));
        assert_eq!(of("LlamaConfig", "head_dim"), Some(Value::Null));
        assert_eq!(of("LlamaConfig", "num_heads"), None);
        let names: Vec<_> = aliases("Qwen3VLVisionConfig", "depth").collect();
        assert_eq!(names, ["num_hidden_layers"]);
    }

    #[test]
    fn a_key_is_noted_once() {
        let notes = Notes::default();
        for value in [1, 2] {
            notes.clone().add(Taken {
                file: "config.json".into(),
                key: "depth".into(),
                value: value.into(),
                class: "Qwen3VLVisionConfig".into(),
            });
        }
        let told: Vec<String> = notes.list().iter().map(Taken::to_string).collect();
        assert_eq!(told, ["config.json: depth = 1 (Qwen3VLVisionConfig)"]);
    }
}
