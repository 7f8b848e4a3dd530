//! What the tests of text share: the small tokenizer of the fixtures, its templates and chats.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::*;

pub(super) const TOKENIZER: &[u8] = include_bytes!("../../../tests/fixtures/text/tokenizer.json");
pub(super) const GOLDEN: &str = include_str!("../../../tests/fixtures/text/golden.json");
pub(super) const CONTROL: [&str; 5] = [
    "<image>",
    "<end_of_utterance>",
    "<|im_start|>",
    "<fake_token_around_image>",
    "<think>",
];

pub(super) fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(TOKENIZER).unwrap()
}

pub(super) fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

pub(super) fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

pub(super) fn template(name: &str) -> ChatTemplate {
    ChatTemplate::new(golden()["templates"][name].as_str().unwrap()).unwrap()
}

pub(super) fn specials() -> Specials {
    Specials {
        bos: "<|im_start|>".into(),
        eos: "<end_of_utterance>".into(),
        pad: "<|im_end|>".into(),
        image: "<image>".into(),
    }
}

pub(super) fn user(content: Vec<Part>) -> Message {
    Message {
        role: "user".into(),
        content,
    }
}

pub(super) fn text(text: &str) -> Part {
    Part::Text(text.into())
}

pub(super) fn is_control(tokenizer: &Tokenizer, id: u32) -> bool {
    tokenizer.special_ids().contains(&id)
        || CONTROL.iter().any(|t| tokenizer.token_id(t) == Some(id))
}

pub(super) fn message(value: &Value) -> Message {
    let part = |part: &Value| match part["text"].as_str() {
        Some(text) => Part::Text(text.into()),
        None => Part::Image,
    };
    Message {
        role: value["role"].as_str().unwrap().into(),
        content: value["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(part)
            .collect(),
    }
}

/// A sentencepiece-like model whose vocabulary holds `</s>` as an ordinary piece.
pub(super) fn unigram() -> Tokenizer {
    let mut vocab = vec![
        json!(["<unk>", 0.0]),
        json!(["</s>", 0.0]),
        json!(["▁", -3.0]),
        json!(["▁dog", -4.0]),
    ];
    vocab.extend(
        "<>/sdogcatse "
            .chars()
            .map(|c| json!([c.to_string(), -6.0])),
    );
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "special": true,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
    };
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let json = json!({
        "version": "1.0",
        "added_tokens": [special(0, "<unk>"), special(1, "</s>")],
        "pre_tokenizer": metaspace,
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false},
    });
    Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
}
