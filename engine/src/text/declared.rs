//! What a `tokenizer.json` declares and the library does not tell, or does not check before it indexes by it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The part of the file that is read beside the library.
#[derive(Deserialize)]
pub(super) struct Declared {
    pub(super) model: DeclaredModel,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    added_tokens: Vec<AddedText>,
}

/// The text of an added token.
#[derive(Deserialize)]
struct AddedText {
    #[serde(default)]
    content: String,
}

/// Most bytes of all added tokens, of which the library makes a machine that takes many times as much.
const MOST_ADDED_BYTES: usize = 1 << 20;
/// How many times as long replacements may make a text.
const MOST_GROWTH: f64 = 64.0;

impl Declared {
    /// Refuses what the library would index by without looking.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.model.check()?;
        let added = self.added_tokens.iter().map(|token| token.content.len());
        if added.sum::<usize>() > MOST_ADDED_BYTES {
            return Err("its added tokens are longer than any tokenizer's");
        }
        if growth(&self.normalizer) > MOST_GROWTH || growth(&self.decoder) > MOST_GROWTH {
            return Err("its replacements would make a text many times as long");
        }
        check_processor(&self.post_processor)
    }
}

/// How many times as long a normaliser or decoder makes a text at most, by its replacements; a pattern is taken for one byte.
fn growth(step: &Value) -> f64 {
    let own = match step["type"].as_str() {
        Some("Replace") => step["content"]
            .as_str()
            .map_or(1.0, |text| text.len().max(1) as f64),
        _ => 1.0,
    };
    let inner = ["normalizers", "decoders"]
        .into_iter()
        .flat_map(|list_of| list(&step[list_of]));
    own * inner.map(growth).product::<f64>()
}

/// Refuses a template around one text, at any depth of a sequence, that has a place for a second text, or for a special
/// token that is not listed or has not as many ids as tokens.
fn check_processor(processor: &Value) -> Result<(), &'static str> {
    for inner in list(&processor["processors"]) {
        check_processor(inner)?;
    }
    for piece in list(&processor["single"]) {
        if piece["Sequence"]["id"] == "B" {
            return Err("its post-processor asks for a second text");
        }
        let Some(id) = piece["SpecialToken"]["id"].as_str() else {
            continue;
        };
        let token = &processor["special_tokens"][id];
        if token.is_null() || list(&token["ids"]).len() != list(&token["tokens"]).len() {
            return Err("its post-processor adds a special token that it does not list");
        }
    }
    Ok(())
}

/// The items of a list; of anything else none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What stands for text without a token, and the lengths of tokens and merges.
#[derive(Deserialize)]
pub(super) struct DeclaredModel {
    /// BPE, WordPiece and WordLevel name it.
    pub(super) unk_token: Option<String>,
    /// Unigram numbers it.
    pub(super) unk_id: Option<u32>,
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    vocab: Longest,
    #[serde(default)]
    merges: Merges,
}

impl DeclaredModel {
    /// Refuses merges the library would read outside its buffer for: it joins both sides, cutting the prefix off
    /// the right one, in the length of the longest token.
    fn check(&self) -> Result<(), &'static str> {
        let prefixed = self
            .continuing_subword_prefix
            .as_ref()
            .is_some_and(|p| !p.is_empty());
        match self.merges.0 {
            0 => Ok(()),
            _ if prefixed => Err("merges with a continuing_subword_prefix are not supported"),
            longest if longest > self.vocab.0 => {
                Err("a merge makes a token that is not in the vocabulary")
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of the longest token of a vocabulary by text; 0 for one in another form.
#[derive(Default)]
struct Longest(usize);

impl<'de> Deserialize<'de> for Longest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LongestVisitor;
        impl<'de> Visitor<'de> for LongestVisitor {
            type Value = Longest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Longest, A::Error> {
                let mut longest = 0;
                while let Some((token, _)) = map.next_entry::<String, IgnoredAny>()? {
                    longest = longest.max(token.len());
                }
                Ok(Longest(longest))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Longest, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Longest(0))
            }
        }
        deserializer.deserialize_any(LongestVisitor)
    }
}

/// Bytes of the longest merge, both sides; 0 without merges.
#[derive(Default)]
struct Merges(usize);

/// The two forms of a merge; that the older one has one space is for the library to check.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Joined(String),
}

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MergesVisitor;
        impl<'de> Visitor<'de> for MergesVisitor {
            type Value = Merges;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of merges")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Merges, A::Error> {
                let mut longest = 0;
                while let Some(merge) = items.next_element::<Merge>()? {
                    let bytes = match &merge {
                        Merge::Pair(left, right) => left.len() + right.len(),
                        // The file the older form is from began with its version.
                        Merge::Joined(text) if text.starts_with("#version") => 0,
                        Merge::Joined(text) => text.len().saturating_sub(1),
                    };
                    longest = longest.max(bytes);
                }
                Ok(Merges(longest))
            }
        }
        deserializer.deserialize_seq(MergesVisitor)
    }
}
