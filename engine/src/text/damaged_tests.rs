//! Files that are no tokenizer, or one the library would panic on, are refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::test_support::*;
use super::*;
use crate::Error;

#[test]
fn merges_that_make_no_token_are_refused_before_the_library_joins_them() {
    let bpe = |prefix: &str, merges: Value| {
        json!({"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "continuing_subword_prefix": prefix,
            "vocab": {"abc": 0, "d": 1, "abcd": 2}, "merges": merges}})
        .to_string()
    };
    for (prefix, merges, expected) in [
        ("", json!([["abc", "d"]]), None),
        ("", json!(["#version: 0.2", "abc d"]), None),
        ("", json!([["abc", "abc"]]), Some("not in the vocabulary")),
        ("", json!(["abc abc"]), Some("not in the vocabulary")),
        ("", json!(["abc d d"]), Some("not in the vocabulary")),
        ("", json!(["abc"]), Some("cannot load")),
        ("", json!([["d", "d"]]), Some("cannot load")),
        ("@@@", json!([["abc", "d"]]), Some("not supported")),
    ] {
        let json = bpe(prefix, merges);
        let found = Tokenizer::from_json(json.as_bytes());
        match (found, expected) {
            (Ok(_), None) => {}
            (Err(Error::Tokenizer { problem }), Some(expected)) => {
                assert!(problem.contains(expected), "{json}: {problem}");
            }
            (found, _) => panic!("{json}: {found:?}"),
        }
    }
}

#[test]
fn post_processors_that_point_at_nothing_are_refused() {
    let piece = |kind: &str, id: &str| json!({kind: {"id": id, "type_id": 0}});
    let load = |single: &[Value], tokens: Value, inside: bool| {
        let template = json!({"type": "TemplateProcessing", "single": single,
            "pair": [piece("Sequence", "A"), piece("Sequence", "B")], "special_tokens": tokens});
        let sequence = json!({"type": "Sequence", "processors": [template]});
        let json = json!({"version": "1.0", "added_tokens": [], "post_processor": if inside { sequence } else { template },
            "model": {"type": "WordLevel", "vocab": {"a": 0, "</s>": 1}, "unk_token": "a"}});
        Tokenizer::from_json(json.to_string().as_bytes())
    };
    let (text, end) = (piece("Sequence", "A"), piece("SpecialToken", "</s>"));
    let token = |ids: Value| json!({"</s>": {"id": "</s>", "ids": ids, "tokens": ["</s>"]}});
    for inside in [false, true] {
        let good = load(&[text.clone(), end.clone()], token(json!([1])), inside).unwrap();
        assert_eq!(good.encode_wrapped("a").unwrap(), [0, 1]);
        for (single, tokens, expected) in [
            (vec![piece("Sequence", "B")], json!({}), "second text"),
            (vec![text.clone(), end.clone()], json!({}), "does not list"),
            (
                vec![text.clone(), end.clone()],
                token(json!([])),
                "does not list",
            ),
            (
                vec![text.clone(), end.clone()],
                token(json!([1, 1])),
                "does not list",
            ),
        ] {
            let Err(Error::Tokenizer { problem }) = load(&single, tokens, inside) else {
                panic!("{expected} {inside}")
            };
            assert!(problem.contains(expected), "{problem}");
        }
    }
}

#[test]
fn what_is_not_a_tokenizer_is_refused() {
    let cut = &TOKENIZER[..TOKENIZER.len() / 2];
    for bytes in [&b""[..], b"{}", b"[1]", b"\xff\xfe", cut] {
        assert!(matches!(
            Tokenizer::from_json(bytes),
            Err(Error::Tokenizer { .. })
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_tokenizers_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: bool) {
        let mut bytes = TOKENIZER.to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            // Printable bytes leave the JSON whole more often, and so reach deeper.
            bytes[at] = if cut { value } else { 32 + value % 95 };
        }
        if let Ok(tokenizer) = Tokenizer::from_json(&bytes) {
            let _ = tokenizer.encode("Rex <image> 42 é東", false);
            let _ = tokenizer.decode(&[0, 1, 300, 9999], true);
        }
    }
}

#[test]
fn what_would_make_texts_or_tables_without_end_is_refused() {
    let load = |normalizer: Value, decoder: Value, added: Value| {
        let json = json!({"version": "1.0", "added_tokens": added, "normalizer": normalizer, "decoder": decoder,
            "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}});
        Tokenizer::from_json(json.to_string().as_bytes())
    };
    let replace = |times: usize| {
        let step =
            json!({"type": "Replace", "pattern": {"String": "e"}, "content": "e".repeat(10)});
        vec![step; times]
    };
    let normalizer = |times| json!({"type": "Sequence", "normalizers": replace(times)});
    let decoder = |times| json!({"type": "Sequence", "decoders": replace(times)});
    let none = Value::Null;
    assert!(load(normalizer(1), decoder(1), json!([])).is_ok());
    assert!(load(normalizer(12), none.clone(), json!([])).is_err());
    assert!(load(none.clone(), decoder(12), json!([])).is_err());
    let nested = json!({"type": "Sequence", "normalizers": [normalizer(6), normalizer(6)]});
    assert!(load(nested, none.clone(), json!([])).is_err());
    let token = |id: usize, content: String| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    let added = |count: usize, length: usize| -> Value {
        let of = |id: usize| token(id + 1, format!("{id:0length$}"));
        (0..count).map(of).collect::<Vec<_>>().into()
    };
    assert!(load(none.clone(), none.clone(), added(500, 20)).is_ok());
    assert!(load(none.clone(), none, added(2000, 1000)).is_err());
}
