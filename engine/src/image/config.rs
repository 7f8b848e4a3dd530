//! Typed reads of an image processor's JSON, completed by its class in `transformers`, with errors that name the key.

use serde_json::{Map, Value};

use super::Filter;
use crate::class_defaults::{self, Notes, Taken};
use crate::{Error, Result};

/// Largest side a key may name, in pixels.
const MAX_EDGE: u32 = 4096;

/// The keys of one image processor.
pub(super) struct Config<'a> {
    file: &'a str,
    map: Map<String, Value>,
    nested: bool,
    /// The class that says what is not in the file; empty until it is known.
    class: String,
    notes: Notes,
}

/// What `size` or `crop_size` asks for, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Size {
    Exact {
        height: u32,
        width: u32,
    },
    /// The shorter side; the other follows.
    Shortest(u32),
}

impl Size {
    pub(super) const fn square(side: u32) -> Self {
        Self::Exact {
            height: side,
            width: side,
        }
    }
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
        let Value::Object(mut map) = root else {
            return Err(whole(
                "not a JSON object; take the file from the model's own folder".into(),
            ));
        };
        let (map, nested) = match map.remove("image_processor") {
            Some(Value::Object(inner)) => (inner, true),
            _ => (map, false),
        };
        Ok(Self {
            file,
            map,
            nested,
            class: String::new(),
            notes: Notes::default(),
        })
    }

    /// The same keys, completed by this class.
    pub(super) fn of_class(self, class: String) -> Self {
        Self { class, ..self }
    }

    /// The class that completes it.
    pub(super) fn class(&self) -> &str {
        &self.class
    }

    /// Every value taken from the class so far.
    pub(super) fn taken(&self) -> Vec<Taken> {
        self.notes.list()
    }

    pub(super) fn fail(&self, key: &str, problem: String) -> Error {
        Error::Config {
            file: self.file.into(),
            key: key.into(),
            problem,
        }
    }

    /// Whether the file held the image processor as one of its parts.
    pub(super) fn nested(&self) -> bool {
        self.nested
    }

    /// The image processor's part of the file.
    pub(super) fn json(&self) -> Value {
        Value::Object(self.map.clone())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.stated(key).is_some()
    }

    /// The type's name without what says which backend or age it is of.
    pub(super) fn type_name(&self) -> Result<Option<String>> {
        let keys = ["image_processor_type", "feature_extractor_type"];
        let Some((key, value)) = keys.iter().find_map(|key| Some((key, self.stated(key)?))) else {
            return Ok(None);
        };
        let name = value
            .as_str()
            .ok_or_else(|| self.fail(key, format!("{value} is not a name")))?;
        let name = name.strip_suffix("Fast").unwrap_or(name);
        let name = name.strip_suffix("Pil").unwrap_or(name);
        Ok(Some(name.replace("FeatureExtractor", "ImageProcessor")))
    }

    /// The value of a key that is present and not null.
    fn stated(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// The value of a key, the class's where the file has none.
    fn get(&self, key: &str) -> Option<Value> {
        if let Some(value) = self.stated(key) {
            return Some(value.clone());
        }
        let value = class_defaults::of(&self.class, key)?;
        self.notes.add(Taken {
            file: self.file.to_owned(),
            key: key.to_owned(),
            value: value.clone(),
            class: self.class.clone(),
        });
        Some(value)
    }

    /// [`Config::get`] of a key that must have a value.
    fn need(&self, key: &str) -> Result<Value> {
        self.get(key)
            .ok_or_else(|| self.fail(key, "is missing".into()))
    }

    /// True or false; false where neither file nor class says.
    pub(super) fn bool(&self, key: &str) -> Result<bool> {
        let value = self.get(key).unwrap_or(Value::Bool(false));
        value
            .as_bool()
            .ok_or_else(|| self.fail(key, format!("{value} is not true or false")))
    }

    pub(super) fn number(&self, key: &str) -> Result<f64> {
        let value = self.need(key)?;
        finite(&value).ok_or_else(|| self.fail(key, format!("{value} is not a number")))
    }

    /// Three channels, or one number for all of them.
    pub(super) fn channels(&self, key: &str) -> Result<[f64; 3]> {
        let value = self.need(key)?;
        let found = match &value {
            Value::Array(items) => {
                let numbers: Option<Vec<f64>> = items.iter().map(finite).collect();
                numbers.and_then(|n| n.try_into().ok())
            }
            one => finite(one).map(|n| [n; 3]),
        };
        found.ok_or_else(|| self.fail(key, format!("{value} is not three numbers")))
    }

    /// `{"longest_edge": n}` with a usable `n`.
    pub(super) fn longest_edge(&self, key: &str, most: u32) -> Result<u32> {
        let value = self.need(key)?;
        let edge = value.get("longest_edge").and_then(Value::as_u64);
        edge.and_then(|e| u32::try_from(e).ok())
            .filter(|e| (1..=most).contains(e))
            .ok_or_else(|| {
                self.fail(
                    key,
                    format!("{value} is not {{\"longest_edge\": 1 to {most}}}"),
                )
            })
    }

    /// A size of pixels: `{"height", "width"}`, `{"shortest_edge"}`, or one number, which is a
    /// square or the shortest edge.
    pub(super) fn size(&self, key: &str, square: bool) -> Result<Size> {
        let value = self.need(key)?;
        let at = |key: &str| edge(value.get(key)?);
        let found = if let Some(map) = value.as_object() {
            match (at("height"), at("width"), at("shortest_edge")) {
                // Further keys, such as a longest edge, would change the meaning.
                (Some(height), Some(width), None) if map.len() == 2 => {
                    Some(Size::Exact { height, width })
                }
                (None, None, Some(side)) if map.len() == 1 => Some(Size::Shortest(side)),
                _ => None,
            }
        } else if square {
            edge(&value).map(Size::square)
        } else {
            edge(&value).map(Size::Shortest)
        };
        found.ok_or_else(|| {
            self.fail(key, format!("{value} is not {{\"height\", \"width\"}} or {{\"shortest_edge\"}} of 1 to {MAX_EDGE} pixels"))
        })
    }

    /// A whole number under `size`.
    pub(super) fn size_part(&self, part: &str) -> Result<u64> {
        let size = self.need("size")?;
        let number = size.get(part).and_then(Value::as_u64);
        number.ok_or_else(|| self.fail("size", format!("{size} has no whole number `{part}`")))
    }

    /// A whole number, if there is one.
    pub(super) fn count(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = value.as_u64().map(Some);
        number.ok_or_else(|| self.fail(key, format!("{value} is not a whole number")))
    }

    /// Pixels, or patches, along a side.
    pub(super) fn side(&self, key: &str) -> Result<u32> {
        let value = self.need(key)?;
        edge(&value).ok_or_else(|| self.fail(key, format!("{value} is not 1 to {MAX_EDGE}")))
    }

    pub(super) fn filter(&self, key: &str) -> Result<Filter> {
        let value = self.need(key)?;
        match value.as_u64() {
            Some(1) => Ok(Filter::Lanczos3),
            Some(2) => Ok(Filter::Bilinear),
            Some(3) => Ok(Filter::Bicubic),
            _ => Err(self.fail(
                key,
                format!("{value} is not 1 (Lanczos), 2 (bilinear) or 3 (bicubic)"),
            )),
        }
    }
}

fn edge(value: &Value) -> Option<u32> {
    let edge = u32::try_from(value.as_u64()?).ok()?;
    (1..=MAX_EDGE).contains(&edge).then_some(edge)
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|n| n.is_finite())
}
