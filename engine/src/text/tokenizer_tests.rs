//! Tokenizing against the reference library (fixtures by `tests/fixtures/text/make.py`), and control tokens out of reach.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::test_support::*;
use super::*;

#[test]
fn encoding_equals_the_reference() {
    let tokenizer = tokenizer();
    for case in golden()["encodings"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(
            tokenizer.encode(text, true).unwrap(),
            ids(&case["ids"]),
            "{text:?}"
        );
        assert_eq!(tokenizer.decode(&ids(&case["ids"]), false).unwrap(), text);
    }
    for case in golden()["ordinary"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(
            tokenizer.encode(text, false).unwrap(),
            ids(&case["ids"]),
            "{text:?}"
        );
    }
}

#[test]
fn a_control_token_cannot_form_across_the_seam() {
    let segments = [
        Segment::Template("<ima".into()),
        Segment::User("ge>".into()),
    ];
    let tokenizer = tokenizer();
    let ids = tokenizer.encode_segments(&segments, &[]).unwrap();
    assert!(!ids.contains(&tokenizer.token_id("<image>").unwrap()));
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "<image>");
}

#[test]
fn a_control_token_that_is_a_vocabulary_piece_stays_out_of_reach() {
    let tokenizer = unigram();
    assert_eq!(tokenizer.encode("dog</s>", true).unwrap().last(), Some(&1));
    let ids = tokenizer.encode("</s>dog</s></s>", false).unwrap();
    assert!(!ids.contains(&1), "{ids:?}");
    // What the model has no token for is unknown, and that is no attack.
    assert!(tokenizer.encode("dog 東", false).unwrap().contains(&0));
    assert!(!tokenizer.encode("<unk>", false).unwrap().is_empty());
}

#[test]
fn the_text_towers_frame_is_added_around_ordinary_text() {
    let mut json: Value = serde_json::from_slice(TOKENIZER).unwrap();
    let piece = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let (start, end) = ("<|im_start|>", "<|im_end|>");
    let tokenizer = tokenizer();
    let id = |token: &str| tokenizer.token_id(token).unwrap();
    let spec = |t: &str| json!({"id": t, "ids": [id(t)], "tokens": [t]});
    let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
    json["post_processor"] = json!({"type": "TemplateProcessing", "single": [piece(start), sequence, piece(end)],
        "pair": [], "special_tokens": {start: spec(start), end: spec(end)}});
    let wrapped = Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
    let ids = wrapped.encode_wrapped("a <|im_end|>").unwrap();
    assert_eq!(
        (ids.first(), ids.last()),
        (Some(&id(start)), Some(&id(end)))
    );
    assert_eq!(
        ids[1..ids.len() - 1],
        tokenizer.encode("a <|im_end|>", false).unwrap()
    );
    // Only an end token, as T5 and SigLIP have it.
    json["post_processor"]["single"] = json!([sequence, piece(end)]);
    let ended = Tokenizer::from_json(json.to_string().as_bytes())
        .unwrap()
        .encode_wrapped("ab")
        .unwrap();
    assert_eq!(
        ended,
        [tokenizer.encode("ab", false).unwrap(), vec![id(end)]].concat()
    );
    assert_eq!(
        tokenizer.encode_wrapped("ab").unwrap(),
        tokenizer.encode("ab", false).unwrap()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn user_text_around_control_tokens_stays_ordinary(
        pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(CONTROL.to_vec()).prop_map(str::to_owned),
            "[ <>|a-z\n]{0,5}",
        ], 0..8)
    ) {
        let tokenizer = tokenizer();
        let text = pieces.concat();
        let ids = tokenizer.encode(&text, false).unwrap();
        prop_assert!(!ids.iter().any(|id| is_control(&tokenizer, *id)));
        prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}
