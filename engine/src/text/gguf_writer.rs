//! A tokenizer and the settings of its chats as GGUF metadata, in llama.cpp's keys.

use serde_json::Value as Json;

use super::generation::{ENDS, SAMPLING};
use super::gguf::{JSON, MERGES, MODEL, PRE, TOKENS, TYPES, rule};
use super::{TextSettings, Tokenizer};
use crate::weights::{Array, Metadata, Value};
use crate::{Error, Result};

/// Longest text one value of a GGUF file may hold here.
const MAX_TEXT: usize = 1 << 20;
/// Most tokens; the embedding matrix has a row for each.
const MAX_TOKENS: usize = 1 << 20;

/// How a tokenizer got into the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// By tokens, merges and the name of the rule for words: llama.cpp reads it as we do.
    Named(&'static str),
    /// As a whole `tokenizer.json`: llama.cpp has no rule for it, and reads it only approximately.
    Whole,
    /// Not completely: the file must lie beside the model.
    Beside,
}

/// Writes the vocabulary of a `tokenizer.json`; ids up to `rows` that have no token are filled up.
///
/// # Errors
/// [`Error::Tokenizer`] when it is not byte-level BPE, or contradicts itself.
pub fn write_tokenizer(json: &str, rows: usize, metadata: &mut Metadata) -> Result<Vocabulary> {
    // Proves what the rest relies on.
    let ours = Tokenizer::from_json(json.as_bytes())?;
    let file: Json = serde_json::from_str(json).map_err(|e| fail(e.to_string()))?;
    let model = &file["model"];
    let (Some(vocab), Some(merges), true) = (
        model["vocab"].as_object(),
        model["merges"].as_array(),
        model["type"].as_str() == Some("BPE"),
    ) else {
        return Err(fail(
            "only byte-level BPE can be written into GGUF; keep the model as a folder".into(),
        ));
    };
    let mut tokens = vec![None; rows.min(MAX_TOKENS)];
    let mut put = |text: &str, id: &Json, kind: i32| {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok());
        let slot = id.and_then(|id| tokens.get_mut(id)).ok_or_else(|| {
            fail(format!(
                "the token `{text}` is beyond the {rows} rows of the embedding matrix"
            ))
        })?;
        *slot = Some((text.to_owned(), kind));
        Ok::<(), Error>(())
    };
    for (text, id) in vocab {
        put(text, id, 1)?;
    }
    let added = file["added_tokens"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for token in added {
        let kind = if token["special"] == true { 3 } else { 4 };
        put(
            token["content"].as_str().unwrap_or_default(),
            &token["id"],
            kind,
        )?;
    }
    let (texts, kinds) = tokens
        .into_iter()
        .enumerate()
        .map(|(id, token)| token.unwrap_or_else(|| (format!("[PAD{id}]"), 5)))
        .unzip();
    metadata.set(MODEL, Value::String("gpt2".into()));
    metadata.set(TOKENS, Value::Array(Array::String(texts)));
    metadata.set(TYPES, Value::Array(Array::I32(kinds)));
    metadata.set(MERGES, Value::Array(Array::String(merged(merges)?)));
    let odd = |token: &Json| {
        ["lstrip", "rstrip", "single_word"]
            .iter()
            .any(|flag| token[*flag] == true)
    };
    let name =
        rule::name_of(&file).filter(|_| !added.iter().any(odd) && model["ignore_merges"] != true);
    if let Some(name) = name {
        let named = metadata.clone().with(PRE, Value::String(name.into()));
        let theirs = Tokenizer::from_gguf(&named);
        if theirs.is_ok_and(|theirs| agree(&ours, &theirs)) {
            *metadata = named;
            return Ok(Vocabulary::Named(name));
        }
    }
    if json.len() > MAX_TEXT {
        return Ok(Vocabulary::Beside);
    }
    metadata.set(JSON, Value::String(json.to_owned()));
    Ok(Vocabulary::Whole)
}

/// `"a b"` of each merge, in either of the two forms files have.
fn merged(merges: &[Json]) -> Result<Vec<String>> {
    let text = |merge: &Json| match merge {
        Json::String(text) => Some(text.clone()),
        Json::Array(pair) => match pair.as_slice() {
            [left, right] => Some(format!("{} {}", left.as_str()?, right.as_str()?)),
            _ => None,
        },
        _ => None,
    };
    merges
        .iter()
        .filter(|merge| {
            !merge
                .as_str()
                .is_some_and(|text| text.starts_with("#version"))
        })
        .map(|merge| text(merge).ok_or_else(|| fail(format!("{merge} is no merge"))))
        .collect()
}

/// Whether two tokenizers make the same of a text with a bit of everything.
fn agree(ours: &Tokenizer, theirs: &Tokenizer) -> bool {
    const PROBE: &str = "Where is Bo's mug? It's 12345 cm\tleft of\n\n  <Mochi>, naïve e\u{301}t\u{e9}; 你好 🐱 don't!!  \r\n";
    let both = [ours, theirs].map(|tokenizer| {
        let encode = |special| tokenizer.encode(PROBE, special).ok();
        (
            encode(false),
            encode(true),
            tokenizer.special_ids().to_vec(),
        )
    });
    both[0] == both[1] && both[0].0.is_some()
}

/// Writes the special tokens, the chat template and what is recommended for drawing answers. Says what GGUF has no key for.
///
/// # Errors
/// [`Error::Tokenizer`] when a special token is not in the vocabulary `metadata` has.
pub fn write_settings(settings: &TextSettings, metadata: &mut Metadata) -> Result<Vec<String>> {
    let tokens = metadata.strings(TOKENS).unwrap_or_default().to_vec();
    let id_of = |text: &str| {
        let id = tokens.iter().position(|token| token == text);
        id.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
            fail(format!(
                "the special token `{text}` is not in the vocabulary"
            ))
        })
    };
    let generation = &settings.generation;
    let mut ends: Vec<u32> = settings
        .eos
        .iter()
        .map(|eos| id_of(eos))
        .collect::<Result<_>>()?;
    for id in &generation.eos {
        if !ends.contains(id) {
            ends.push(*id);
        }
    }
    for (key, id) in ENDS.iter().zip(&ends) {
        metadata.set(*key, Value::U32(*id));
    }
    for (role, text) in [("bos", &settings.bos), ("padding", &settings.pad)] {
        if let Some(text) = text {
            let key = format!("tokenizer.ggml.{role}_token_id");
            metadata.set(key, Value::U32(id_of(text)?));
        }
    }
    metadata.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    if let Some(template) = &settings.chat_template {
        metadata.set("tokenizer.chat_template", Value::String(template.clone()));
    }
    let mut lost = Vec::new();
    if ends.len() > ENDS.len() {
        lost.push(format!(
            "tokens that end an answer beyond the first two: {:?}",
            &ends[2..]
        ));
    }
    if generation.do_sample == Some(true) {
        let real = [
            Some(generation.temperature.unwrap_or(1.0)),
            None,
            generation.top_p,
            generation.min_p,
            generation.repetition_penalty,
        ];
        for ((key, _), value) in SAMPLING.iter().zip(real) {
            if let Some(value) = value {
                metadata.set(*key, Value::F32(value));
            }
        }
        if let Some(k) = generation.top_k.and_then(|k| i32::try_from(k).ok()) {
            metadata.set(SAMPLING[1].0, Value::I32(k));
        }
    } else if let Some(penalty) = generation.repetition_penalty {
        metadata.set(SAMPLING[4].0, Value::F32(penalty));
    }
    if let Some(most) = generation.max_new_tokens {
        lost.push(format!("max_new_tokens: {most}"));
    }
    for (name, token, usual) in [
        (
            "fake_image_token",
            &settings.fake_image,
            "<fake_token_around_image>",
        ),
        ("global_image_token", &settings.global_image, "<global-img>"),
    ] {
        if let Some(token) = token.as_ref().filter(|token| *token != usual) {
            lost.push(format!("{name}: {token}"));
        }
    }
    Ok(lost)
}

fn fail(problem: String) -> Error {
    Error::Tokenizer { problem }
}
