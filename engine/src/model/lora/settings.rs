//! `adapter_config.json` as PEFT writes it: ranks and scales, and a refusal of what would need more than two thin products.

use serde_json::{Map, Value};

use crate::{Error, Result, foreign};

/// Largest rank; published adapters have up to 256.
const MAX_RANK: usize = 1024;
/// Largest `lora_alpha`; published adapters have up to 512.
const MAX_ALPHA: f64 = 65_536.0;

/// Keys that change nothing about what a finished adapter adds: where it came from, how it was trained and started, and which
/// layers it was asked to have (its tensors say which it has).
const HARMLESS: &[&str] = &[
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Ways to start an adapter that leave the weights of the model alone.
const STARTS: &[&str] = &["eva", "gaussian", "orthogonal"];

/// What of the configuration matters once an adapter is trained.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    rank: usize,
    alpha: f64,
    /// Whether the scale is `alpha / sqrt(r)` (Kalajdzievski, arXiv 2312.03732) and not `alpha / r`.
    by_root: bool,
    rank_pattern: Vec<(Pattern, usize)>,
    alpha_pattern: Vec<(Pattern, f64)>,
}

/// Layers by the end of their paths, or one layer by its whole path.
#[derive(Debug, Clone, PartialEq)]
struct Pattern {
    whole: bool,
    path: String,
}

impl Settings {
    /// Reads the text of `file`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key that is wrong, or that asks for something that is not done here.
    pub(super) fn parse(file: &str, json: &str) -> Result<Self> {
        let fail = |problem: String| refuse(file, "(json)", problem);
        let value: Value = serde_json::from_str(json).map_err(|e| {
            let foreign = foreign::text(json.as_bytes());
            fail(foreign.unwrap_or_else(|| e.to_string()))
        })?;
        let Value::Object(keys) = value else {
            return Err(fail("is not an object".into()));
        };
        let reader = Reader { file, keys: &keys };
        reader.check()?;
        Ok(Self {
            rank: rank(reader.get("r")).ok_or_else(|| {
                reader.fail("r", &format!("must be a whole number from 1 to {MAX_RANK}"))
            })?,
            alpha: alpha(reader.get("lora_alpha"))
                .ok_or_else(|| reader.fail("lora_alpha", "must be a number"))?,
            by_root: reader.flag("use_rslora")?,
            rank_pattern: reader.pattern("rank_pattern", rank)?,
            alpha_pattern: reader.pattern("alpha_pattern", alpha)?,
        })
    }

    /// The rank of the layer at a path.
    pub(super) fn rank(&self, path: &str) -> usize {
        of(&self.rank_pattern, path).unwrap_or(self.rank)
    }

    /// What the two products are multiplied with in the layer at a path.
    pub(super) fn scale(&self, path: &str) -> f64 {
        let rank = self.rank(path) as f64;
        let alpha = of(&self.alpha_pattern, path).unwrap_or(self.alpha);
        alpha / if self.by_root { rank.sqrt() } else { rank }
    }
}

/// The value of the first pattern that fits.
fn of<T: Copy>(patterns: &[(Pattern, T)], path: &str) -> Option<T> {
    let found = patterns.iter().find(|(pattern, _)| pattern.fits(path));
    found.map(|(_, value)| *value)
}

impl Pattern {
    /// PEFT's patterns are regular expressions for the end of a path. Those in use are plain ends, or whole paths behind `^`;
    /// `None` of any other.
    fn parse(text: &str) -> Option<Self> {
        let (whole, path) = match text.strip_prefix('^') {
            Some(path) => (true, path),
            None => (false, text),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        (!path.is_empty() && path.chars().all(plain)).then(|| Self {
            whole,
            path: path.to_owned(),
        })
    }

    fn fits(&self, path: &str) -> bool {
        match path.strip_suffix(self.path.as_str()) {
            Some("") => true,
            Some(before) => !self.whole && before.ends_with('.'),
            None => false,
        }
    }
}

fn rank(value: Option<&Value>) -> Option<usize> {
    let rank = usize::try_from(value?.as_u64()?).ok()?;
    (1..=MAX_RANK).contains(&rank).then_some(rank)
}

fn alpha(value: Option<&Value>) -> Option<f64> {
    value?.as_f64().filter(|alpha| alpha.abs() <= MAX_ALPHA)
}

/// The keys of the file.
struct Reader<'a> {
    file: &'a str,
    keys: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key)
    }

    fn fail(&self, key: &str, problem: &str) -> Error {
        refuse(self.file, key, problem.to_owned())
    }

    /// Refuses every key that would change what the adapter adds and is not read here.
    fn check(&self) -> Result<()> {
        if self.get("peft_type").and_then(Value::as_str) != Some("LORA") {
            return Err(self.fail(
                "peft_type",
                "must be \"LORA\"; no other kind of adapter is read",
            ));
        }
        for (key, value) in self.keys {
            let fine = match key.as_str() {
                "peft_type" | "r" | "lora_alpha" | "use_rslora" | "rank_pattern"
                | "alpha_pattern" => true,
                "bias" => value == "none",
                "init_lora_weights" => {
                    value.is_boolean()
                        || value.as_str().is_some_and(|start| STARTS.contains(&start))
                }
                "target_modules" => is_targets(value),
                key => HARMLESS.contains(&key) || is_nothing(value),
            };
            if !fine {
                let shown: String = value.to_string().chars().take(60).collect();
                let problem = format!(
                    "{shown} is not supported; save the adapter as plain LoRA, or merge it with the tool that made it"
                );
                return Err(refuse(self.file, key, problem));
            }
        }
        Ok(())
    }

    fn flag(&self, key: &str) -> Result<bool> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.fail(key, "must be true or false")),
        }
    }

    /// Values by patterns of paths, in the order of the file: the first that fits counts.
    fn pattern<T>(
        &self,
        key: &str,
        read: fn(Option<&Value>) -> Option<T>,
    ) -> Result<Vec<(Pattern, T)>> {
        let pairs = match self.get(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(value) => value
                .as_object()
                .ok_or_else(|| self.fail(key, "must be an object"))?,
        };
        let pair = |(text, value): (&String, &Value)| {
            let pattern = Pattern::parse(text).ok_or_else(|| {
                self.fail(
                    key,
                    &format!("`{text}` is no plain path; name the layers one by one"),
                )
            })?;
            let value = read(Some(value)).ok_or_else(|| {
                self.fail(
                    key,
                    &format!("`{text}` must have a number in the range of ranks or alphas"),
                )
            })?;
            Ok((pattern, value))
        };
        pairs.iter().map(pair).collect()
    }
}

/// Whether a value says that a thing is not used.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(keys) => keys.is_empty(),
        _ => false,
    }
}

/// Names of layers, or a pattern for them, or `all-linear`.
fn is_targets(value: &Value) -> bool {
    match value {
        Value::Null | Value::String(_) => true,
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => false,
    }
}

fn refuse(file: &str, key: &str, problem: String) -> Error {
    Error::Config {
        file: file.into(),
        key: key.into(),
        problem,
    }
}
