//! JSON that people wrote by hand: texts of any form, keys that stand twice.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A value as one line of text: lists are joined, of objects the keys are told too.
pub(super) fn text_of(value: &Value) -> String {
    let joined = |parts: Vec<String>| {
        let mut out = String::new();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            if !out.is_empty() {
                // Sentences stand side by side, words need a comma.
                let sentence = out.ends_with(['.', '!', '?', '。', '！', '？']);
                out.push_str(if sentence { " " } else { ", " });
            }
            out.push_str(part);
        }
        out
    };
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        Value::Array(list) => joined(list.iter().map(text_of).collect()),
        Value::Object(fields) => joined(
            fields
                .iter()
                .map(|(key, value)| (one_line(key), text_of(value)))
                .filter(|(_, text)| !text.is_empty())
                .map(|(key, text)| format!("{key}: {text}"))
                .collect(),
        ),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The pairs of a JSON object in the order of the file, those under one key all of them.
#[derive(Debug)]
pub(super) struct Pairs(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of things by their keys (`concept_dict`)")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
