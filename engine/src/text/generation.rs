//! What a `generation_config.json` sets, and what it says that has no effect here.

use serde_json::{Map, Value};

use crate::weights::Metadata;
use crate::{Error, Result};

const FILE: &str = "generation_config.json";
/// Most tokens that may end an answer; real files list a handful.
const MAX_ENDS: usize = 256;

/// GGUF's keys of what the keys of `generation_config.json` behind them say.
pub(super) const SAMPLING: [(&str, &str); 5] = [
    ("general.sampling.temp", "temperature"),
    ("general.sampling.top_k", "top_k"),
    ("general.sampling.top_p", "top_p"),
    ("general.sampling.min_p", "min_p"),
    ("general.sampling.penalty_repeat", "repetition_penalty"),
];
/// GGUF's keys of tokens that end an answer.
pub(super) const ENDS: [&str; 2] = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];

/// How a checkpoint wants its answers drawn; what a file does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationSettings {
    /// Whether tokens are drawn at random; otherwise the likeliest is taken, whatever the rest says.
    pub do_sample: Option<bool>,
    /// Above 1 flattens the distribution, below 1 sharpens it.
    pub temperature: Option<f32>,
    /// Only the k likeliest tokens; 0 means all.
    pub top_k: Option<u32>,
    /// Only the smallest set of likeliest tokens with this much probability in all.
    pub top_p: Option<f32>,
    /// Only tokens at least this fraction as likely as the likeliest.
    pub min_p: Option<f32>,
    /// Makes tokens already said less likely above 1.
    pub repetition_penalty: Option<f32>,
    /// Longest answer.
    pub max_new_tokens: Option<u32>,
    /// Tokens that end an answer, in the file's order.
    pub eos: Vec<u32>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `pad_token_id`.
    pub pad: Option<u32>,
    /// Keys with a value that has no effect here, in alphabetical order.
    pub ignored: Vec<String>,
}

impl GenerationSettings {
    /// Reads the text of a `generation_config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] with the key whose value cannot be meant.
    pub fn from_json(json: &str) -> Result<Self> {
        let root: Map<String, Value> = serde_json::from_str(json)
            .map_err(|e| fail("(whole file)", format!("not a JSON object: {e}")))?;
        let mut settings = Self::default();
        for (key, value) in root {
            if !value.is_null() {
                settings.set(key, &value)?;
            }
        }
        settings.ignored.sort_unstable();
        Ok(settings)
    }

    /// Reads the recommendations in the metadata of a GGUF text model. A file that names a temperature wants tokens
    /// drawn at random.
    ///
    /// # Errors
    /// [`Error::Config`] with the key whose value cannot be meant.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let mut settings = Self::default();
        for (key, ours) in SAMPLING {
            let value = match metadata.get(key) {
                None => continue,
                Some(_) => metadata
                    .f64(key)
                    .map(Value::from)
                    .or_else(|| metadata.u64(key).map(Value::from))
                    .ok_or_else(|| fail(key, "is not a number".into()))?,
            };
            settings.set(ours.to_owned(), &value)?;
        }
        settings.do_sample = settings.temperature.map(|_| true);
        for key in ENDS {
            if let Some(id) = metadata.u64(key).and_then(|id| u32::try_from(id).ok())
                && !settings.eos.contains(&id)
            {
                settings.eos.push(id);
            }
        }
        Ok(settings)
    }

    fn set(&mut self, key: String, value: &Value) -> Result<()> {
        match key.as_str() {
            "do_sample" => {
                let told = value.as_bool();
                let told = told.ok_or_else(|| fail(&key, format!("{value} is not true or false")));
                self.do_sample = Some(told?);
            }
            // The ranges are the sampler's.
            "temperature" => self.temperature = Some(within(&key, value, 0.0, 100.0)?),
            "top_p" => self.top_p = Some(within(&key, value, 0.0, 1.0)?),
            "min_p" => self.min_p = Some(within(&key, value, 0.0, 1.0)?),
            "repetition_penalty" => {
                self.repetition_penalty = Some(within(&key, value, 0.01, 100.0)?);
            }
            "top_k" => self.top_k = Some(whole(&key, value)?),
            "max_new_tokens" => match whole(&key, value)? {
                0 => return Err(fail(&key, "0 leaves no answer".into())),
                most => self.max_new_tokens = Some(most),
            },
            "eos_token_id" => self.eos = ids(&key, value)?,
            "bos_token_id" | "pad_token_id" => match (ids(&key, value)?.as_slice(), key.as_str()) {
                // Old files write -1 for none.
                ([], _) => self.ignored.push(key),
                ([id], "bos_token_id") => self.bos = Some(*id),
                ([id], _) => self.pad = Some(*id),
                _ => return Err(fail(&key, format!("{value} is more than one token"))),
            },
            _ => self.ignored.push(key),
        }
        Ok(())
    }

    /// What the file sets, a line each, and what it says that has no effect, for people to read.
    pub fn report(&self) -> Vec<String> {
        fn line<T: ToString>(key: &str, value: Option<T>) -> Option<String> {
            value.map(|value| format!("{key}: {}", value.to_string()))
        }
        let list = |ids: &[u32]| {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            (!ids.is_empty()).then(|| ids.join(", "))
        };
        let drawn = [
            line("temperature", self.temperature),
            line("top_k", self.top_k),
            line("top_p", self.top_p),
            line("min_p", self.min_p),
        ];
        let mut report: Vec<String> = line("do_sample", self.do_sample).into_iter().collect();
        for line in drawn.into_iter().flatten() {
            report.push(if self.do_sample == Some(true) {
                line
            } else {
                format!("{line} (no effect: do_sample is not on)")
            });
        }
        report.extend(
            [
                line("repetition_penalty", self.repetition_penalty),
                line("max_new_tokens", self.max_new_tokens),
                line("eos_token_id", list(&self.eos)),
                line("bos_token_id", self.bos),
                line("pad_token_id", self.pad),
                (!self.ignored.is_empty()).then(|| format!("ignored: {}", self.ignored.join(", "))),
            ]
            .into_iter()
            .flatten(),
        );
        report
    }
}

fn within(key: &str, value: &Value, low: f32, high: f32) -> Result<f32> {
    let number = value.as_f64().map(|n| n as f32);
    number
        .filter(|n| (low..=high).contains(n))
        .ok_or_else(|| fail(key, format!("{value} is not in {low} to {high}")))
}

fn whole(key: &str, value: &Value) -> Result<u32> {
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
    number.ok_or_else(|| fail(key, format!("{value} is not a whole number")))
}

/// One token or a list of them, each once; negative numbers stand for none.
fn ids(key: &str, value: &Value) -> Result<Vec<u32>> {
    let list = match value {
        Value::Array(list) if list.len() > MAX_ENDS => {
            return Err(fail(key, format!("lists over {MAX_ENDS} tokens")));
        }
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut ids = Vec::with_capacity(list.len());
    for value in list {
        if value.as_i64().is_some_and(|id| id < 0) {
            continue;
        }
        let id = whole(key, value)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn fail(key: &str, problem: String) -> Error {
    Error::Config {
        file: FILE.into(),
        key: key.into(),
        problem,
    }
}
