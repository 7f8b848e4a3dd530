//! A `config.json` of any family, read key by key: its own values, else those of its class in `transformers`, with errors that
//! name the key.

use serde_json::Value;

use crate::Result;
use crate::class_defaults::{self, Notes, Taken};
use crate::model::config::{parse, refuse};

/// A part of a configuration, with typed reads that name the key they fail at.
#[derive(Clone)]
pub(super) struct Json {
    value: Value,
    /// Where it stands in the file, with a dot at the end.
    path: String,
    /// The class in `transformers` that completes it; empty until it is known.
    class: String,
    /// The class of the whole and what this part is called there, when the file has no such part.
    missing_from: Option<(String, &'static str)>,
    /// What the table puts before the keys of this part.
    row: &'static str,
    notes: Notes,
}

/// Parts, and what their classes are called behind the name of the family.
const PARTS: [(&str, &str); 3] = [
    ("text_config", "TextConfig"),
    ("vision_config", "VisionConfig"),
    ("qformer_config", "QFormerConfig"),
];

impl Json {
    pub(super) fn parse(json: &str) -> Result<Self> {
        let value: Value = parse(json)?;
        if !value.is_object() {
            return Err(refuse("(json)", "is not an object".into()));
        }
        Ok(Self {
            value,
            path: String::new(),
            class: String::new(),
            missing_from: None,
            row: "",
            notes: Notes::default(),
        })
    }

    /// The same part, completed by this class.
    pub(super) fn of_class(mut self, class: &str) -> Self {
        class.clone_into(&mut self.class);
        self
    }

    /// Every value taken from a class so far.
    pub(super) fn taken(&self) -> Vec<Taken> {
        self.notes.list()
    }

    /// The value the file itself has under a key or another name of it, unless it is null.
    pub(super) fn stated(&self, key: &str) -> Option<&Value> {
        let own = |name: &str| self.value.get(name).filter(|value| !value.is_null());
        class_defaults::aliases(&self.class, key)
            .find_map(own)
            .or_else(|| own(key))
    }

    /// The value of a key: the file's, else its class's; `None` where neither has one.
    pub(super) fn get(&self, key: &str) -> Option<Value> {
        if let Some(value) = self.stated(key) {
            return Some(value.clone());
        }
        let row = format!("{}{key}", self.row);
        let of_whole = self.missing_from.as_ref().and_then(|(class, part)| {
            let value = class_defaults::of(class, &format!("{part}.{row}"))?;
            Some((value, class))
        });
        let (value, class) = match of_whole {
            Some(found) => found,
            None => (class_defaults::of(&self.class, &row)?, &self.class),
        };
        if value.is_null() {
            return None;
        }
        self.note(key, value.clone(), class);
        Some(value)
    }

    /// Notes what a key that the file leaves out is, where its class makes it of other keys.
    pub(super) fn derived(&self, key: &str, value: usize) -> usize {
        if class_defaults::of(&self.class, key).is_some() {
            self.note(key, value.into(), &self.class);
        }
        value
    }

    fn note(&self, key: &str, value: Value, class: &str) {
        self.notes.add(Taken {
            file: "config.json".into(),
            key: format!("{}{key}", self.path),
            value,
            class: class.to_owned(),
        });
    }

    pub(super) fn fail(&self, key: &str, problem: &str) -> crate::Error {
        refuse(&format!("{}{key}", self.path), problem.into())
    }

    /// One of [`PARTS`]; its class completes it, also when the file has none of it.
    pub(super) fn part(&self, key: &'static str) -> Result<Self> {
        self.part_in(key, key)
    }

    /// [`Json::part`] `key`, which this file calls `name`.
    pub(super) fn part_in(&self, key: &'static str, name: &str) -> Result<Self> {
        let family = self.class.strip_suffix("Config").unwrap_or_default();
        let kind = PARTS.iter().find(|(part, _)| *part == key);
        let class = format!("{family}{}", kind.map_or("", |(_, kind)| kind));
        let (value, missing_from) = match self.stated(name) {
            Some(value) if value.is_object() => (value.clone(), None),
            Some(_) => return Err(self.fail(name, "must be an object")),
            None => (empty(), Some((self.class.clone(), key))),
        };
        Ok(Self {
            value,
            path: format!("{}{name}.", self.path),
            class,
            missing_from,
            row: "",
            notes: self.notes.clone(),
        })
    }

    /// The same keys as those of a part that old files have no object for.
    pub(super) fn as_part(&self, kind: &str) -> Self {
        let family = self.class.strip_suffix("Config").unwrap_or_default();
        self.clone().of_class(&format!("{family}{kind}"))
    }

    /// What is wrong with a value, or with its not being there.
    fn wrong(&self, key: &str, wanted: &str) -> crate::Error {
        match self.value.get(key) {
            Some(_) => self.fail(key, wanted),
            None => self.fail(key, &format!("is missing; {wanted}")),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<String> {
        let value = self.get(key);
        let text = value.as_ref().and_then(Value::as_str);
        Ok(text
            .ok_or_else(|| self.wrong(key, "must be a text"))?
            .to_owned())
    }

    pub(super) fn number(&self, key: &str) -> Result<usize> {
        let number = self.get(key).as_ref().and_then(Value::as_u64);
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| self.wrong(key, "must be a whole number from 0 on"))
    }

    /// A whole number that follows from other keys where the file says null, or says nothing and its class has null.
    pub(super) fn number_or_null(&self, key: &str) -> Result<Option<usize>> {
        if self.value.get(key).is_some_and(Value::is_null) || self.get(key).is_none() {
            return Ok(None);
        }
        self.number(key).map(Some)
    }

    pub(super) fn token(&self, key: &str) -> Result<u32> {
        u32::try_from(self.number(key)?).map_err(|_| self.fail(key, "is no token id"))
    }

    pub(super) fn real(&self, key: &str) -> Result<f64> {
        let real = self.get(key).as_ref().and_then(Value::as_f64);
        real.filter(|real| real.is_finite() && *real > 0.0)
            .ok_or_else(|| self.wrong(key, "must be a positive number"))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        let flag = self.get(key).as_ref().and_then(Value::as_bool);
        flag.ok_or_else(|| self.wrong(key, "must be true or false"))
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Vec<usize>> {
        let value = self.get(key);
        let items = value.as_ref().and_then(Value::as_array);
        items
            .filter(|items| items.len() <= 4096)
            .and_then(|items| {
                let number = |item: &Value| usize::try_from(item.as_u64()?).ok();
                items.iter().map(number).collect()
            })
            .ok_or_else(|| self.wrong(key, "must be a list of whole numbers"))
    }

    /// A named choice, such as an activation.
    pub(super) fn choice<T: for<'de> serde::Deserialize<'de>>(&self, key: &str) -> Result<T> {
        let value = self.get(key).unwrap_or(Value::Null);
        serde_json::from_value(value.clone())
            .map_err(|_| self.wrong(key, &format!("{value} is not supported")))
    }

    /// The parameters of rotary positions, wherever this age of configurations has them: `rope_scaling` or, when that says
    /// nothing, `rope_parameters` (transformers 5). `kinds` are those that the model does beside its class's own.
    ///
    /// # Errors
    /// When the kind is one the model does not have: positions would be silently wrong.
    pub(super) fn rope(&self, kinds: &[&str]) -> Result<Self> {
        let mut rope = Self {
            value: empty(),
            path: format!("{}rope_parameters.", self.path),
            row: "rope_parameters.",
            ..self.clone()
        };
        for key in ["rope_scaling", "rope_parameters"] {
            let Some(value) = self.stated(key) else {
                continue;
            };
            let Some(keys) = value.as_object() else {
                return Err(self.fail(key, "must be an object"));
            };
            if !keys.is_empty() {
                rope.value = value.clone();
                rope.path = format!("{}{key}.", self.path);
                break;
            }
        }
        let kind = rope.stated("rope_type").or_else(|| rope.stated("type"));
        let own = class_defaults::of(&self.class, "rope_parameters.rope_type");
        match kind {
            Some(kind) if kind == "default" || own.as_ref() == Some(kind) => {}
            Some(kind) if kind.as_str().is_some_and(|kind| kinds.contains(&kind)) => {}
            Some(kind) => {
                let shown = kind.to_string().replace('"', "`");
                let problem = format!("{shown} is not supported; positions would be wrong");
                return Err(rope.fail("rope_type", &problem));
            }
            None => drop(rope.get("rope_type")),
        }
        for part in [&rope, self] {
            let share = part.stated("partial_rotary_factor");
            if share.is_some_and(|share| share.as_f64() != Some(1.0)) {
                return Err(part.fail("partial_rotary_factor", "is not supported; only 1 is"));
            }
        }
        Ok(rope)
    }

    /// `rope_theta`, in the parameters or beside them.
    pub(super) fn rope_theta(&self, kinds: &[&str]) -> Result<f64> {
        let rope = self.rope(kinds)?;
        match (rope.stated("rope_theta"), self.stated("rope_theta")) {
            (None, Some(_)) => self.real("rope_theta"),
            _ => rope.real("rope_theta"),
        }
    }
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}
