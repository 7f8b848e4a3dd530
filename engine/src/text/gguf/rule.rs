//! How text is cut into words before merging, by the name `tokenizer.ggml.pre` gives the rule.

use serde_json::Value;
use tokenizers::SplitDelimiterBehavior;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};

use super::{PRE, fail, short};
use crate::Result;

/// What happens to ordinary text before byte-pair merging.
pub(super) struct Rule {
    pub(super) normalizer: Option<NFC>,
    pub(super) words: PreTokenizerWrapper,
}

/// English endings, words, numbers, and other signs with the space before them; white space.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// As `GPT2`, but one digit at a time, a word with any one sign before it, and line ends kept with signs.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The rule of a name.
///
/// # Errors
/// [`crate::Error::Tokenizer`] naming the rule when it is not one of ours.
pub(super) fn named(name: &str) -> Result<Rule> {
    let bytes = PreTokenizerWrapper::from(ByteLevel::new(false, true, false));
    let (normalizer, words) = match name {
        "gpt-2" => (None, vec![isolate(GPT2)?, bytes]),
        // Idefics3 and SmolLM: every digit is a word.
        "smollm" => (None, vec![Digits::new(true).into(), isolate(GPT2)?, bytes]),
        // What llama.cpp does with a file that says nothing better: punctuation first, digits in threes.
        "default" => (
            None,
            vec![
                isolate(r"[\p{P}$+<=>^~|]+")?,
                isolate(GPT2)?,
                isolate(r"\p{N}+")?,
                isolate("[0-9][0-9][0-9]")?,
                bytes,
            ],
        ),
        "qwen2" => (Some(NFC), vec![isolate(QWEN2)?, bytes]),
        other => {
            return Err(fail(format!(
                "`{PRE}` is {:?}; smollm, gpt-2, default and qwen2 can be read from GGUF, put the model's tokenizer.json beside it",
                short(other)
            )));
        }
    };
    Ok(Rule {
        normalizer,
        words: Sequence::new(words).into(),
    })
}

/// The name of the rule a `tokenizer.json` has, if it is one of those that files can name.
pub(in crate::text) fn name_of(tokenizer: &Value) -> Option<&'static str> {
    let steps = match &tokenizer["pre_tokenizer"] {
        sequence if sequence["type"] == "Sequence" => {
            sequence["pretokenizers"].as_array()?.as_slice()
        }
        one => std::slice::from_ref(one),
    };
    let kind = |step: &Value, kind: &str| step["type"] == kind;
    let bytes = |step: &Value, regex: bool| {
        kind(step, "ByteLevel") && step["add_prefix_space"] == false && step["use_regex"] == regex
    };
    let cut = |step: &Value, pattern: &str| {
        kind(step, "Split")
            && step["pattern"]["Regex"] == pattern
            && step["behavior"] == "Isolated"
            && step["invert"] == false
    };
    let plain = tokenizer["normalizer"].is_null();
    match steps {
        [step] if plain && bytes(step, true) => Some("gpt-2"),
        [digits, step]
            if plain
                && kind(digits, "Digits")
                && digits["individual_digits"] == true
                && bytes(step, true) =>
        {
            Some("smollm")
        }
        [words, step]
            if tokenizer["normalizer"]["type"] == "NFC"
                && cut(words, QWEN2)
                && bytes(step, false) =>
        {
            Some("qwen2")
        }
        _ => None,
    }
}

/// Makes every match of `pattern` a word of its own, and what is between matches too.
///
/// The library's search gives up after a million steps back: from a longer run of white space on, the text stays
/// one word. Nothing of it is lost.
fn isolate(pattern: &str) -> Result<PreTokenizerWrapper> {
    let pattern = SplitPattern::Regex(pattern.to_owned());
    Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
        .map(Into::into)
        .map_err(|e| fail(format!("cannot use the rule for words: {e}")))
}
