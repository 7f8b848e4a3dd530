//! A `config.json` of any family, read key by key with errors that name the key.

use serde_json::Value;

use crate::Result;
use crate::model::config::{parse, refuse};

/// A part of a configuration, with typed reads that name the key they fail at.
pub(super) struct Json {
    pub(super) value: Value,
    /// Where it stands in the file, with a dot at the end.
    pub(super) path: String,
}

impl Json {
    pub(super) fn parse(json: &str) -> Result<Self> {
        let value: Value = parse(json)?;
        if !value.is_object() {
            return Err(refuse("(json)", "is not an object".into()));
        }
        Ok(Self {
            value,
            path: String::new(),
        })
    }

    /// The value of a key that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn fail(&self, key: &str, problem: &str) -> crate::Error {
        refuse(&format!("{}{key}", self.path), problem.into())
    }

    pub(super) fn part(&self, key: &str) -> Result<Self> {
        match self.get(key) {
            Some(value) if value.is_object() => Ok(Self {
                value: value.clone(),
                path: format!("{}{key}.", self.path),
            }),
            _ => Err(self.fail(key, "must be an object")),
        }
    }

    /// [`Json::part`], without keys when it is not there.
    pub(super) fn part_or_empty(&self, key: &str) -> Result<Self> {
        match self.get(key) {
            Some(_) => self.part(key),
            None => Ok(Self::empty(format!("{}{key}.", self.path))),
        }
    }

    fn empty(path: String) -> Self {
        let value = Value::Object(serde_json::Map::new());
        Self { value, path }
    }

    pub(super) fn text(&self, key: &str) -> Result<String> {
        let text = self.get(key).and_then(Value::as_str);
        Ok(text
            .ok_or_else(|| self.fail(key, "must be a text"))?
            .to_owned())
    }

    pub(super) fn number(&self, key: &str) -> Result<usize> {
        let number = self.get(key).and_then(Value::as_u64);
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| self.fail(key, "must be a whole number from 0 on"))
    }

    pub(super) fn number_or(&self, key: &str, otherwise: usize) -> Result<usize> {
        self.get(key).map_or(Ok(otherwise), |_| self.number(key))
    }

    pub(super) fn token(&self, key: &str) -> Result<u32> {
        u32::try_from(self.number(key)?).map_err(|_| self.fail(key, "is no token id"))
    }

    pub(super) fn real(&self, key: &str) -> Result<f64> {
        let real = self.get(key).and_then(Value::as_f64);
        real.filter(|real| real.is_finite() && *real > 0.0)
            .ok_or_else(|| self.fail(key, "must be a positive number"))
    }

    pub(super) fn real_or(&self, key: &str, otherwise: f64) -> Result<f64> {
        self.get(key).map_or(Ok(otherwise), |_| self.real(key))
    }

    pub(super) fn flag_or(&self, key: &str, otherwise: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(otherwise),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.fail(key, "must be true or false")),
        }
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Vec<usize>> {
        let items = self.get(key).and_then(Value::as_array);
        items
            .filter(|items| items.len() <= 4096)
            .and_then(|items| {
                let number = |item: &Value| usize::try_from(item.as_u64()?).ok();
                items.iter().map(number).collect()
            })
            .ok_or_else(|| self.fail(key, "must be a list of whole numbers"))
    }

    /// A named choice, such as an activation.
    pub(super) fn choice<T: for<'de> serde::Deserialize<'de>>(
        &self,
        key: &str,
        otherwise: T,
    ) -> Result<T> {
        match self.get(key) {
            None => Ok(otherwise),
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|_| self.fail(key, &format!("{value} is not supported"))),
        }
    }

    /// The parameters of rotary positions, wherever this age of configurations has them: `rope_parameters`
    /// (transformers 5) or `rope_scaling` with `rope_theta` beside it.
    ///
    /// # Errors
    /// When the kind is one the model does not have: positions would be silently wrong.
    pub(super) fn rope(&self) -> Result<Self> {
        for key in ["rope_parameters", "rope_scaling"] {
            if self.get(key).is_none() {
                continue;
            }
            let rope = self.part(key)?;
            let kind = rope.get("rope_type").or_else(|| rope.get("type"));
            let kind = kind.and_then(Value::as_str).unwrap_or("default");
            if !matches!(kind, "default" | "mrope" | "axial") {
                return Err(rope.fail("rope_type", &format!("`{kind}` is not supported")));
            }
            return Ok(rope);
        }
        Ok(Self::empty(format!("{}rope_parameters.", self.path)))
    }

    /// `rope_theta`, in the parameters or beside them.
    pub(super) fn rope_theta(&self, otherwise: f64) -> Result<f64> {
        let rope = self.rope()?;
        if rope.get("rope_theta").is_some() {
            return rope.real("rope_theta");
        }
        self.real_or("rope_theta", otherwise)
    }
}
