//! What a checkpoint folder says about text, wherever it keeps it: chat template, special tokens, generation.

use serde_json::{Map, Value};

use super::generation::GenerationSettings;
use super::{ChatEncoder, ChatTemplate, GgufSpecials, ImageMarkup, Specials, Tokenizer};
use crate::weights::Metadata;
use crate::{Error, Result};

const PROCESSOR: &str = "processor_config.json";
const LEGACY: &str = "chat_template.json";
const JINJA: &str = "chat_template.jinja";
const TOKENIZER: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const GENERATION: &str = "generation_config.json";

/// Gives the text of a file of the folder by its name, `None` when there is no such file.
pub type ReadText<'a> = dyn Fn(&str) -> Result<Option<String>> + 'a;

/// The text settings of one checkpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextSettings {
    /// Source of the chat template.
    pub chat_template: Option<String>,
    /// `bos_token`.
    pub bos: Option<String>,
    /// `eos_token`.
    pub eos: Option<String>,
    /// `pad_token`.
    pub pad: Option<String>,
    /// `fake_image_token`, which SmolVLM puts around frames.
    pub fake_image: Option<String>,
    /// `global_image_token`, which SmolVLM puts before the whole photo.
    pub global_image: Option<String>,
    /// `added_tokens_decoder`: tokens by their ids, which `transformers` adds to those of `tokenizer.json`.
    pub added: Vec<(u32, String)>,
    /// What `generation_config.json` sets.
    pub generation: GenerationSettings,
}

impl TextSettings {
    /// The files of a checkpoint folder that [`TextSettings::read`] asks for.
    pub const FILES: [&'static str; 6] = [PROCESSOR, LEGACY, JINJA, TOKENIZER, SPECIAL, GENERATION];

    /// Reads a checkpoint folder. No file is required.
    ///
    /// # Errors
    /// [`Error::Config`] with the file and key that cannot be used, and those of `read`.
    pub fn read(read: &ReadText<'_>) -> Result<Self> {
        let tokenizer = object(read, TOKENIZER)?.unwrap_or_default();
        let map = object(read, SPECIAL)?.unwrap_or_default();
        let token = |key: &str| special(&tokenizer, &map, key);
        let generation = match read(GENERATION)? {
            Some(json) => GenerationSettings::from_json(&json)?,
            None => GenerationSettings::default(),
        };
        if tokenizer.get("split_special_tokens") == Some(&Value::Bool(true)) {
            let problem = "spells special tokens in letters, which is not supported";
            return Err(fail(TOKENIZER, "split_special_tokens", problem.into()));
        }
        Ok(Self {
            added: added(&tokenizer)?,
            chat_template: chat_template(read, &tokenizer)?,
            bos: token("bos_token")?,
            eos: token("eos_token")?,
            pad: token("pad_token")?,
            fake_image: token("fake_image_token")?,
            global_image: token("global_image_token")?,
            generation,
        })
    }

    /// Reads the metadata of a GGUF text model.
    ///
    /// # Errors
    /// As [`GgufSpecials::of`], and [`Error::Config`] for settings that cannot be meant.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let specials = GgufSpecials::of(metadata)?;
        let text = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            chat_template: text(specials.chat_template),
            bos: text(specials.bos),
            // Chats end with a turn.
            eos: text(specials.eos.or(specials.eot)),
            pad: text(specials.pad),
            fake_image: None,
            global_image: None,
            added: Vec::new(),
            generation: GenerationSettings::from_gguf(metadata)?,
        })
    }

    /// These settings, with those of `other` where they say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            chat_template: self.chat_template.or(other.chat_template),
            bos: self.bos.or(other.bos),
            eos: self.eos.or(other.eos),
            pad: self.pad.or(other.pad),
            fake_image: self.fake_image.or(other.fake_image),
            global_image: self.global_image.or(other.global_image),
            // They are of the tokenizer beside them.
            added: self.added,
            generation: match self.generation == GenerationSettings::default() {
                true => other.generation,
                false => self.generation,
            },
        }
    }

    /// The markup of a SmolVLM checkpoint with `per_frame` visual tokens a frame.
    pub fn smolvlm_markup(&self, per_frame: usize) -> ImageMarkup {
        let mut markup = ImageMarkup::smolvlm(per_frame);
        if let ImageMarkup::Tiles {
            fake_around,
            global,
            ..
        } = &mut markup
        {
            for (told, mark) in [
                (&self.fake_image, fake_around),
                (&self.global_image, global),
            ] {
                if let Some(told) = told {
                    mark.clone_from(told);
                }
            }
        }
        markup
    }

    /// Joins the settings and a tokenizer into what encodes chats; `image_token_id` is that of the
    /// checkpoint's `config.json`, and not asked for where `markup` says that there are no photos.
    ///
    /// # Errors
    /// When the folder has no chat template or no token that ends an answer, a token is not in the
    /// tokenizer, or the template does not compile.
    pub fn chat_encoder(
        &self,
        tokenizer: Tokenizer,
        image_token_id: u32,
        markup: ImageMarkup,
    ) -> Result<ChatEncoder> {
        let template = self.chat_template.as_deref().ok_or_else(|| {
            let problem = "is missing from the model; take the folder whole";
            fail(JINJA, "(whole file)", problem.into())
        })?;
        let known = |file: &str, key: &str, id: u32| {
            tokenizer.id_to_token(id).ok_or_else(|| {
                let problem = format!(
                    "{id} is not in the tokenizer; the two files belong to different models"
                );
                fail(file, key, problem)
            })
        };
        for (id, text) in &self.added {
            if tokenizer.token_id(text) != Some(*id) {
                let problem = format!(
                    "adds `{text}` as token {id}, and the tokenizer has {}; the two files belong to different models",
                    tokenizer
                        .token_id(text)
                        .map_or_else(|| "no such token".to_owned(), |own| format!("it as {own}"))
                );
                return Err(fail(TOKENIZER, "added_tokens_decoder", problem));
            }
        }
        for &id in &self.generation.eos {
            known(GENERATION, "eos_token_id", id)?;
        }
        let eos = match (&self.eos, self.generation.eos.first()) {
            (Some(eos), _) => eos.clone(),
            (None, Some(&id)) => known(GENERATION, "eos_token_id", id)?,
            (None, None) => {
                let problem = "is missing, so answers would never end; name the token";
                return Err(fail(TOKENIZER, "eos_token", problem.into()));
            }
        };
        let specials = Specials {
            // What a template prints for a token that is not set.
            bos: self.bos.clone().unwrap_or_default(),
            pad: self.pad.clone().unwrap_or_default(),
            eos,
            image: match markup {
                ImageMarkup::Absent => String::new(),
                _ => known("config.json", "image_token_id", image_token_id)?,
            },
        };
        let template = ChatTemplate::new(template)?;
        Ok(
            ChatEncoder::new(tokenizer, template, specials, markup)?
                .with_ends(&self.generation.eos),
        )
    }
}

/// The template of the first home that has one, in the order of transformers 5 (measured): a
/// processor's own configuration, its old file, the file of today, the tokenizer's configuration.
fn chat_template(read: &ReadText<'_>, tokenizer: &Map<String, Value>) -> Result<Option<String>> {
    const KEY: &str = "chat_template";
    if let Some(template) = object(read, PROCESSOR)?.and_then(|mut map| map.remove(KEY))
        && let Some(template) = default_template(PROCESSOR, &template)?
    {
        return Ok(Some(template));
    }
    if let Some(map) = object(read, LEGACY)? {
        let template = map.get(KEY).unwrap_or(&Value::Null);
        let template = default_template(LEGACY, template)?;
        return template
            .map(Some)
            .ok_or_else(|| fail(LEGACY, KEY, "is missing; remove the file".into()));
    }
    if let Some(template) = read(JINJA)? {
        return Ok(Some(template));
    }
    default_template(TOKENIZER, tokenizer.get(KEY).unwrap_or(&Value::Null))
}

/// A template, or the one named `default` of several: `[{name, template}]` or `{name: template}`.
fn default_template(file: &str, value: &Value) -> Result<Option<String>> {
    let refuse = |problem: String| Err(fail(file, "chat_template", problem));
    let named: Option<Vec<(&str, &str)>> = match value {
        Value::Null => return Ok(None),
        Value::String(template) => return Ok(Some(template.clone())),
        Value::Array(list) => list
            .iter()
            .map(|entry| {
                let part = |key: &str| entry.get(key).and_then(Value::as_str);
                part("name").zip(part("template"))
            })
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, template)| Some((name.as_str(), template.as_str()?)))
            .collect(),
        _ => None,
    };
    let Some(named) = named else {
        return refuse("is neither text nor a list of named templates".into());
    };
    // Of two with one name the later counts, as in the reference.
    match named.iter().rfind(|(name, _)| *name == "default") {
        Some((_, template)) => Ok(Some((*template).to_owned())),
        None => {
            let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
            refuse(format!(
                "has no template named `default`, only: {}",
                names.join(", ")
            ))
        }
    }
}

/// The tokens of `added_tokens_decoder`.
fn added(tokenizer: &Map<String, Value>) -> Result<Vec<(u32, String)>> {
    const KEY: &str = "added_tokens_decoder";
    let Some(Value::Object(entries)) = tokenizer.get(KEY) else {
        return Ok(Vec::new());
    };
    let entry = |(id, token): (&String, &Value)| {
        let text = token["content"].as_str();
        let known = id.parse().ok().zip(text.map(str::to_owned));
        known.ok_or_else(|| fail(TOKENIZER, KEY, format!("`{id}` is no token with `content`")))
    };
    entries.iter().map(entry).collect()
}

/// A special token. The map counts first where the tokenizer's configuration is of the old kind,
/// which does not list its added tokens: so the reference has it.
fn special(
    tokenizer: &Map<String, Value>,
    map: &Map<String, Value>,
    key: &str,
) -> Result<Option<String>> {
    let own = (TOKENIZER, tokenizer.get(key));
    // Tokens only some models have may be kept apart.
    let apart = ["extra_special_tokens", "model_specific_special_tokens"]
        .map(|group| (TOKENIZER, tokenizer.get(group).and_then(|g| g.get(key))));
    let mapped = (SPECIAL, map.get(key));
    let [first, last] = if tokenizer.contains_key("added_tokens_decoder") {
        [own, mapped]
    } else {
        [mapped, own]
    };
    for (file, value) in [first, apart[0], apart[1], last] {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            continue;
        };
        let text = value
            .as_str()
            .or_else(|| value.get("content").and_then(Value::as_str));
        let text = text.ok_or_else(|| {
            let problem = "is neither text nor an object with `content`";
            fail(file, key, problem.into())
        })?;
        if !text.is_empty() {
            return Ok(Some(text.to_owned()));
        }
    }
    Ok(None)
}

/// A file that holds a JSON object.
fn object(read: &ReadText<'_>, file: &str) -> Result<Option<Map<String, Value>>> {
    let Some(json) = read(file)? else {
        return Ok(None);
    };
    serde_json::from_str(&json)
        .map(Some)
        .map_err(|error| fail(file, "(whole file)", format!("not a JSON object: {error}")))
}

fn fail(file: &str, key: &str, problem: String) -> Error {
    Error::Config {
        file: file.into(),
        key: key.into(),
        problem,
    }
}
