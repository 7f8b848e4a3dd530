//! Typed reads of an image processor's JSON, with errors that name the key.

use serde_json::{Map, Value};

use super::Filter;
use crate::{Error, Result};

/// The keys of one image processor.
pub(super) struct Config<'a> {
    file: &'a str,
    map: Map<String, Value>,
}

impl<'a> Config<'a> {
    /// Parses the file; a `processor_config.json` holds the image processor as one of its parts.
    pub(super) fn parse(file: &'a str, json: &str) -> Result<Self> {
        let whole = |problem: String| Error::Config {
            file: file.into(),
            key: "(whole file)".into(),
            problem,
        };
        let root: Value =
            serde_json::from_str(json).map_err(|e| whole(format!("not JSON: {e}")))?;
        match root {
            Value::Object(mut map) => match map.remove("image_processor") {
                Some(Value::Object(inner)) => Ok(Self { file, map: inner }),
                _ => Ok(Self { file, map }),
            },
            _ => Err(whole(
                "not a JSON object; take the file from the model's own folder".into(),
            )),
        }
    }

    pub(super) fn fail(&self, key: &str, problem: String) -> Error {
        Error::Config {
            file: self.file.into(),
            key: key.into(),
            problem,
        }
    }

    /// The value of a key that is present and not null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    pub(super) fn bool(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(v) => v
                .as_bool()
                .ok_or_else(|| self.fail(key, format!("{v} is not true or false"))),
        }
    }

    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.get(key) {
            None => Ok(default),
            Some(v) => finite(v).ok_or_else(|| self.fail(key, format!("{v} is not a number"))),
        }
    }

    /// Three channels, or one number for all of them.
    pub(super) fn channels(&self, key: &str, default: [f64; 3]) -> Result<[f64; 3]> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let found = match value {
            Value::Array(items) => {
                let numbers: Option<Vec<f64>> = items.iter().map(finite).collect();
                numbers.and_then(|n| n.try_into().ok())
            }
            one => finite(one).map(|n| [n; 3]),
        };
        found.ok_or_else(|| self.fail(key, format!("{value} is not three numbers")))
    }

    /// `{"longest_edge": n}` with a usable `n`.
    pub(super) fn longest_edge(&self, key: &str, most: u32, default: u32) -> Result<u32> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let edge = value.get("longest_edge").and_then(Value::as_u64);
        edge.and_then(|e| u32::try_from(e).ok())
            .filter(|e| (1..=most).contains(e))
            .ok_or_else(|| {
                self.fail(key, format!("{value} is not {{\"longest_edge\": 1 to {most}}}; only Idefics3 processors are supported"))
            })
    }

    pub(super) fn filter(&self, key: &str) -> Result<Filter> {
        match self.get(key).map(|v| (v, v.as_u64())) {
            None | Some((_, Some(1))) => Ok(Filter::Lanczos3),
            Some((_, Some(2))) => Ok(Filter::Bilinear),
            Some((_, Some(3))) => Ok(Filter::Bicubic),
            Some((v, _)) => Err(self.fail(
                key,
                format!("{v} is not 1 (Lanczos), 2 (bilinear) or 3 (bicubic)"),
            )),
        }
    }
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|n| n.is_finite())
}
