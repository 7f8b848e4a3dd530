//! Model families: which one a `config.json` is of, and what it does differently. `README.md` beside the files says how to
//! add one.

mod idefics3;
mod qwen2_5_vl;
mod qwen3_vl;

use serde_json::Value;

use super::config::{VlmConfig, parse, refuse};
use super::names::Names;
use crate::Result;

/// One family: how its configuration is read and what its tensors are called.
struct Family {
    /// The `model_type`s of its configurations.
    model_types: &'static [&'static str],
    /// Its configuration as ours.
    config: fn(&Json) -> Result<VlmConfig>,
    /// The names of its tensors in safetensors files.
    names: Names,
}

const FAMILIES: &[Family] = &[idefics3::FAMILY, qwen2_5_vl::FAMILY, qwen3_vl::FAMILY];

/// Tensors that checkpoints carry and no model needs: buffers that are computed, not learned.
const BUFFERS: &[&str] = &["rotary_emb.inv_freq", "embeddings.position_ids"];

/// Reads the `config.json` of any family; [`VlmConfig::from_json`] also checks it.
pub(super) fn config(json: &str) -> Result<VlmConfig> {
    let json = Json::parse(json)?;
    let model_type = json.text("model_type")?;
    match of(&model_type) {
        Some(family) => (family.config)(&json),
        None => {
            let known: Vec<&str> = FAMILIES
                .iter()
                .flat_map(|f| f.model_types)
                .copied()
                .collect();
            Err(refuse(
                "model_type",
                format!(
                    "`{model_type}` is none of the families read here: {}",
                    known.join(", ")
                ),
            ))
        }
    }
}

/// The names of the tensors of a family; ours for a type nobody knows.
pub fn names(model_type: &str) -> Names {
    of(model_type).map_or(&[], |family| family.names)
}

/// Whether a tensor nobody asked for may be passed over.
pub fn is_ignorable(name: &str) -> bool {
    BUFFERS.iter().any(|buffer| name.ends_with(buffer))
}

fn of(model_type: &str) -> Option<&'static Family> {
    FAMILIES
        .iter()
        .find(|family| family.model_types.contains(&model_type))
}

/// A part of a configuration, with typed reads that name the key they fail at.
struct Json {
    value: Value,
    /// Where it stands in the file, with a dot at the end.
    path: String,
}

impl Json {
    fn parse(json: &str) -> Result<Self> {
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
    fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    fn fail(&self, key: &str, problem: &str) -> crate::Error {
        refuse(&format!("{}{key}", self.path), problem.into())
    }

    fn part(&self, key: &str) -> Result<Self> {
        match self.get(key) {
            Some(value) if value.is_object() => Ok(Self {
                value: value.clone(),
                path: format!("{}{key}.", self.path),
            }),
            _ => Err(self.fail(key, "must be an object")),
        }
    }

    fn text(&self, key: &str) -> Result<String> {
        let text = self.get(key).and_then(Value::as_str);
        Ok(text
            .ok_or_else(|| self.fail(key, "must be a text"))?
            .to_owned())
    }

    fn number(&self, key: &str) -> Result<usize> {
        let number = self.get(key).and_then(Value::as_u64);
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| self.fail(key, "must be a whole number from 0 on"))
    }

    fn number_or(&self, key: &str, otherwise: usize) -> Result<usize> {
        self.get(key).map_or(Ok(otherwise), |_| self.number(key))
    }

    fn token(&self, key: &str) -> Result<u32> {
        u32::try_from(self.number(key)?).map_err(|_| self.fail(key, "is no token id"))
    }

    fn real(&self, key: &str) -> Result<f64> {
        let real = self.get(key).and_then(Value::as_f64);
        real.filter(|real| real.is_finite() && *real > 0.0)
            .ok_or_else(|| self.fail(key, "must be a positive number"))
    }

    fn real_or(&self, key: &str, otherwise: f64) -> Result<f64> {
        self.get(key).map_or(Ok(otherwise), |_| self.real(key))
    }

    fn flag_or(&self, key: &str, otherwise: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(otherwise),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.fail(key, "must be true or false")),
        }
    }

    fn numbers(&self, key: &str) -> Result<Vec<usize>> {
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
    fn choice<T: for<'de> serde::Deserialize<'de>>(&self, key: &str, otherwise: T) -> Result<T> {
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
    fn rope(&self) -> Result<Self> {
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
        Ok(Self {
            value: Value::Object(serde_json::Map::new()),
            path: format!("{}rope_parameters.", self.path),
        })
    }

    /// `rope_theta`, in the parameters or beside them.
    fn rope_theta(&self, otherwise: f64) -> Result<f64> {
        let rope = self.rope()?;
        if rope.get("rope_theta").is_some() {
            return rope.real("rope_theta");
        }
        self.real_or("rope_theta", otherwise)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const QWEN: &str = include_str!("../../../tests/fixtures/checkpoints/qwen2_5_vl/config.json");

    #[test]
    fn the_outer_part_decides_whether_the_head_is_tied() {
        let tied = |outer: Value, inner: Value| {
            let mut json: Value = serde_json::from_str(QWEN).unwrap();
            json["tie_word_embeddings"] = outer;
            json["text_config"]["tie_word_embeddings"] = inner;
            config(&json.to_string()).unwrap().tie_word_embeddings
        };
        for said in [true, false] {
            assert_eq!(tied(said.into(), (!said).into()), said);
            assert_eq!(tied(Value::Null, said.into()), said);
        }
        assert!(!tied(Value::Null, Value::Null));
    }
}
