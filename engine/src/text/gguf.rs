//! The tokenizer a GGUF file carries in its metadata: byte-level BPE, split into words as the named rule says.

pub(super) mod rule;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::BPE;
use tokenizers::{AddedToken, Tokenizer as HfTokenizer};

use super::Tokenizer;
use crate::weights::{Array, Metadata, Value};
use crate::{Error, Result};

pub(super) const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const TYPES: &str = "tokenizer.ggml.token_type";
pub(super) const MERGES: &str = "tokenizer.ggml.merges";
/// The whole `tokenizer.json`, for tokenizers that ggml has no rule for.
pub(super) const JSON: &str = "tokenizer.huggingface.json";

/// Most tokens a vocabulary may have; the largest have a quarter of it.
const MAX_TOKENS: usize = 1 << 20;
/// Most merges; a vocabulary has about one a token.
const MAX_MERGES: usize = 2 * MAX_TOKENS;
/// Longest control or added token in bytes; the library's search tree grows with each of them.
const MAX_ADDED: usize = 1024;

/// What a token is for, as ggml numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Spelled in the byte alphabet; reached by merging.
    Normal,
    /// Plain text that only templates may use.
    Control,
    /// Plain text that is one token wherever it stands.
    UserDefined,
    /// A filler without a meaning: no text has it.
    Unused,
}

impl Tokenizer {
    /// Builds the tokenizer a GGUF file describes in its metadata.
    ///
    /// Ids equal those of the `tokenizer.json` the file was converted from, for models of the kind `gpt2` with
    /// the rules `smollm`, `gpt-2`, `default` and `qwen2`. A file that carries the whole `tokenizer.json` is taken at
    /// its word.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the metadata has no vocabulary, one of another kind or rule (the message says
    /// which), or one that contradicts itself.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        if let Some(json) = metadata.str(JSON) {
            return Self::from_json(json.as_bytes());
        }
        match metadata.str(MODEL) {
            Some("gpt2") => {}
            Some(other) => {
                return Err(fail(format!(
                    "`{MODEL}` is {:?}; only gpt2 (byte-level BPE) can be read from GGUF, put the model's tokenizer.json beside it",
                    short(other)
                )));
            }
            None => return Err(missing(MODEL)),
        }
        let rule = rule::named(metadata.str(PRE).ok_or_else(|| missing(PRE))?)?;
        let tokens = tokens(metadata)?;
        let kinds = kinds(metadata, tokens.len())?;
        let ids = ids(tokens, &kinds)?;
        let merges = merges(metadata, &ids)?;

        let vocab = ids.iter().map(|(token, id)| ((*token).to_owned(), *id));
        let unusable = |e: tokenizers::Error| fail(format!("cannot use the GGUF vocabulary: {e}"));
        let bpe = BPE::builder()
            .vocab_and_merges(vocab.collect::<tokenizers::models::bpe::Vocab>(), merges)
            .build()
            .map_err(unusable)?;
        let mut hf = HfTokenizer::new(bpe);
        hf.with_normalizer(rule.normalizer).map_err(unusable)?;
        hf.with_pre_tokenizer(Some(rule.words));
        hf.with_decoder(Some(ByteLevel::default()));
        let added = |kind, special| {
            let tokens = tokens.iter().zip(&kinds).filter(move |(_, k)| **k == kind);
            tokens
                .map(move |(token, _)| AddedToken::from(token.as_str(), special).normalized(false))
        };
        hf.add_special_tokens(added(Kind::Control, true))
            .and_then(|_| hf.add_tokens(added(Kind::UserDefined, false)))
            .map_err(unusable)?;
        Ok(Self::wrap(hf, None))
    }
}

/// What a GGUF file says about its text besides the vocabulary: the special tokens by role, and the chat template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GgufSpecials<'a> {
    /// Begins a text.
    pub bos: Option<&'a str>,
    /// Ends a text, in chat models mostly a turn.
    pub eos: Option<&'a str>,
    /// Ends a turn, where that is not `eos`.
    pub eot: Option<&'a str>,
    /// Fills rows up in a batch.
    pub pad: Option<&'a str>,
    /// Whether a plain text (not a chat, whose template prints it) begins with `bos`.
    pub add_bos: bool,
    /// The Jinja source for [`super::ChatTemplate::new`].
    pub chat_template: Option<&'a str>,
}

impl<'a> GgufSpecials<'a> {
    /// Reads the roles and the template; what the file does not say is `None`, and `add_bos` false.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when a role is not the id of a token, or a value is of another type.
    pub fn of(metadata: &'a Metadata) -> Result<Self> {
        let role = |role: &str| {
            let key = format!("tokenizer.ggml.{role}_token_id");
            if metadata.get(&key).is_none() {
                return Ok(None);
            }
            let id = metadata.u64(&key).and_then(|id| usize::try_from(id).ok());
            let tokens = metadata.strings(TOKENS).unwrap_or_default();
            match id.and_then(|id| tokens.get(id)) {
                Some(token) => Ok(Some(token.as_str())),
                None => Err(fail(format!(
                    "`{key}` is not the number of one of the {} tokens; convert the model again",
                    tokens.len()
                ))),
            }
        };
        let typed = |key: &str, fine: bool| match metadata.get(key) {
            Some(_) if !fine => Err(fail(format!(
                "`{key}` is of an unusable type; convert the model again"
            ))),
            _ => Ok(()),
        };
        let (add_bos, template) = ("tokenizer.ggml.add_bos_token", "tokenizer.chat_template");
        typed(add_bos, metadata.bool(add_bos).is_some())?;
        typed(template, metadata.str(template).is_some())?;
        Ok(Self {
            bos: role("bos")?,
            eos: role("eos")?,
            eot: role("eot")?,
            pad: role("padding")?,
            add_bos: metadata.bool(add_bos).unwrap_or(false),
            chat_template: metadata.str(template),
        })
    }
}

fn tokens(metadata: &Metadata) -> Result<&[String]> {
    let tokens = metadata.strings(TOKENS).ok_or_else(|| missing(TOKENS))?;
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return Err(fail(format!(
            "`{TOKENS}` has {} tokens; 1 to {MAX_TOKENS} are possible",
            tokens.len()
        )));
    }
    Ok(tokens)
}

fn kinds(metadata: &Metadata, tokens: usize) -> Result<Vec<Kind>> {
    let codes: Vec<i64> = match metadata.get(TYPES) {
        Some(Value::Array(Array::I32(codes))) => codes.iter().map(|c| i64::from(*c)).collect(),
        Some(Value::Array(Array::U32(codes))) => codes.iter().map(|c| i64::from(*c)).collect(),
        // Without them a chat's control tokens would be read as letters, and nobody would notice.
        _ => return Err(missing(TYPES)),
    };
    if codes.len() != tokens {
        return Err(fail(format!(
            "`{TYPES}` has {} entries for {tokens} tokens; convert the model again",
            codes.len()
        )));
    }
    let kind = |(id, code): (usize, i64)| match code {
        1 => Ok(Kind::Normal),
        // In a vocabulary that has every byte, the unknown token is one that only a template can write.
        2 | 3 => Ok(Kind::Control),
        4 => Ok(Kind::UserDefined),
        5 => Ok(Kind::Unused),
        _ => Err(fail(format!(
            "token {id} is of type {code}, which byte-level BPE does not have; convert the model again"
        ))),
    };
    codes.into_iter().enumerate().map(kind).collect()
}

/// The id of every token that is in use; texts must be distinct, for the library knows tokens by text.
fn ids<'a>(tokens: &'a [String], kinds: &[Kind]) -> Result<HashMap<&'a str, u32>> {
    let mut ids = HashMap::with_capacity(tokens.len());
    for ((id, token), kind) in (0u32..).zip(tokens).zip(kinds) {
        match kind {
            Kind::Unused => continue,
            Kind::Control | Kind::UserDefined if token.is_empty() || token.len() > MAX_ADDED => {
                return Err(fail(format!(
                    "token {id} is an added one of {} bytes; 1 to {MAX_ADDED} are possible",
                    token.len()
                )));
            }
            _ => {}
        }
        if let Some(other) = ids.insert(token.as_str(), id) {
            return Err(fail(format!(
                "tokens {other} and {id} have the same text; convert the model again"
            )));
        }
    }
    Ok(ids)
}

/// The merges, both sides and result of each proved to be tokens: the library would index outside its buffer otherwise.
fn merges(metadata: &Metadata, ids: &HashMap<&str, u32>) -> Result<Vec<(String, String)>> {
    let merges = metadata.strings(MERGES).ok_or_else(|| missing(MERGES))?;
    if merges.len() > MAX_MERGES {
        return Err(fail(format!(
            "`{MERGES}` has {} entries, more than the {MAX_MERGES} allowed",
            merges.len()
        )));
    }
    let mut joined = String::new();
    let merge = |(number, merge): (usize, &String)| {
        let pair = merge.split_once(' ').filter(|(left, right)| {
            joined.clear();
            joined.extend([*left, *right]);
            [*left, *right, &joined]
                .iter()
                .all(|token| ids.contains_key(token))
        });
        match pair {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(fail(format!(
                "merge {number} ({:?}) is not two tokens that make a third; convert the model again",
                short(merge)
            ))),
        }
    };
    merges.iter().enumerate().map(merge).collect()
}

/// As much of a text of the file as a message should show.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn missing(key: &str) -> Error {
    fail(format!(
        "the GGUF file has no usable `{key}`; convert the model again, or put its tokenizer.json beside it"
    ))
}

fn fail(problem: String) -> Error {
    Error::Tokenizer { problem }
}
