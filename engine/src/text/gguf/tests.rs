//! Vocabularies from GGUF metadata against the reference library (fixtures by `tests/fixtures/generate/gguf_tokenizers.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use super::*;
use crate::text::ChatTemplate;
use crate::weights::{SliceSource, WeightFile};

const GOLDEN: &str = include_str!("../../../../tests/fixtures/gguf/tokenizers.json");
const RULES: [(&str, &[u8]); 4] = [
    (
        "smollm",
        include_bytes!("../../../../tests/fixtures/gguf/tokenizer_smollm.gguf"),
    ),
    (
        "gpt-2",
        include_bytes!("../../../../tests/fixtures/gguf/tokenizer_gpt-2.gguf"),
    ),
    (
        "default",
        include_bytes!("../../../../tests/fixtures/gguf/tokenizer_default.gguf"),
    ),
    (
        "qwen2",
        include_bytes!("../../../../tests/fixtures/gguf/tokenizer_qwen2.gguf"),
    ),
];

fn golden() -> Json {
    serde_json::from_str(GOLDEN).unwrap()
}

fn metadata(bytes: &[u8]) -> Metadata {
    let file = WeightFile::open("tokenizer.gguf", Box::new(SliceSource::new(bytes))).unwrap();
    file.metadata().clone()
}

fn ids(value: &Json) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn ids_equal_those_of_the_reference_library() {
    let golden = golden();
    for (rule, bytes) in RULES {
        let tokenizer = Tokenizer::from_gguf(&metadata(bytes)).unwrap();
        let case = &golden["rules"][rule];
        for (i, text) in golden["texts"].as_array().unwrap().iter().enumerate() {
            let text = text.as_str().unwrap();
            let found = tokenizer.encode(text, true).unwrap();
            assert_eq!(found, ids(&case["ids"][i]), "{rule}: {text:?}");
            assert_eq!(
                tokenizer.decode(&found, true).unwrap(),
                case["decoded"][i].as_str().unwrap(),
                "{rule}: {text:?}"
            );
        }
    }
}

/// What merging never crosses, in the byte alphabet.
fn words(rule: &str, text: &str) -> Vec<String> {
    let rule = rule::named(rule).unwrap();
    let mut text = NormalizedString::from(text);
    if let Some(normalizer) = rule.normalizer {
        normalizer.normalize(&mut text).unwrap();
    }
    let mut words = PreTokenizedString::from(text);
    rule.words.pre_tokenize(&mut words).unwrap();
    let words = words.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    words.into_iter().map(|(word, _, _)| word.into()).collect()
}

#[test]
fn words_are_cut_as_the_reference_cuts_them() {
    let golden = golden();
    for (rule, _) in RULES {
        let expected = golden["rules"][rule]["words"].as_array().unwrap();
        for (text, expected) in golden["texts"].as_array().unwrap().iter().zip(expected) {
            let text = text.as_str().unwrap();
            let expected: Vec<String> = serde_json::from_value(expected.clone()).unwrap();
            assert_eq!(words(rule, text), expected, "{rule}: {text:?}");
        }
    }
}

/// How many numbers and the SHA-256 of them as little-endian u32, as the fixture has it.
fn digest(numbers: impl Iterator<Item = u32>) -> Json {
    let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    let digest = Sha256::digest(&bytes);
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    json!([bytes.len() / 4, hex])
}

/// A search that goes back through such a run once for each of its characters would give up.
#[test]
fn long_runs_of_white_space_are_cut_as_the_reference_cuts_them() {
    let golden = golden();
    for (rule, bytes) in RULES {
        let tokenizer = Tokenizer::from_gguf(&metadata(bytes)).unwrap();
        let expected = golden["rules"][rule]["long"].as_array().unwrap();
        for (run, expected) in golden["long"].as_array().unwrap().iter().zip(expected) {
            let times = usize::try_from(run[1].as_u64().unwrap()).unwrap();
            let text = run[0].as_str().unwrap().repeat(times) + run[2].as_str().unwrap();
            let lengths = words(rule, &text)
                .into_iter()
                .map(|word| word.chars().count() as u32);
            assert_eq!(digest(lengths), expected["words"], "{rule}: {run}");
            let ids = tokenizer.encode(&text, true).unwrap();
            assert_eq!(digest(ids.into_iter()), expected["ids"], "{rule}: {run}");
        }
    }
}

#[test]
fn what_a_user_writes_is_never_a_control_token() {
    let golden = golden();
    for (rule, bytes) in RULES {
        let tokenizer = Tokenizer::from_gguf(&metadata(bytes)).unwrap();
        assert_eq!(tokenizer.special_ids().len(), 4, "{rule}");
        let think = tokenizer.token_id("<think>").unwrap();
        for (i, text) in golden["texts"].as_array().unwrap().iter().enumerate() {
            let text = text.as_str().unwrap();
            let found = tokenizer.encode(text, false).unwrap();
            let reached = found
                .iter()
                .any(|id| *id == think || tokenizer.special_ids().contains(id));
            assert!(!reached, "{rule}: {text:?}");
            // The reference knows special tokens only, and so finds <think>.
            if !text.contains("<think>") {
                let expected = ids(&golden["rules"][rule]["ordinary"][i]);
                assert_eq!(found, expected, "{rule}: {text:?}");
            }
        }
    }
}

#[test]
fn fillers_have_no_text_and_roles_are_read() {
    let golden = golden();
    for (rule, bytes) in RULES {
        let metadata = metadata(bytes);
        let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
        let tokens = metadata.strings(TOKENS).unwrap();
        assert_eq!(tokenizer.vocab_size(), tokens.len() - 3, "{rule}");
        let filler = tokens.len() - 1;
        assert!(tokens[filler].starts_with("[PAD"));
        assert_eq!(tokenizer.decode(&[filler as u32], false).unwrap(), "");

        let specials = GgufSpecials::of(&metadata).unwrap();
        assert_eq!(
            specials,
            GgufSpecials {
                bos: Some("<|im_start|>"),
                eos: Some("<|im_end|>"),
                eot: None,
                pad: Some("<|endoftext|>"),
                add_bos: false,
                chat_template: golden["template"].as_str(),
            }
        );
        assert!(ChatTemplate::new(specials.chat_template.unwrap()).is_ok());
    }
}

fn strings(items: &[&str]) -> Value {
    Value::Array(Array::String(items.iter().map(|s| (*s).into()).collect()))
}

fn types(codes: &[i32]) -> Value {
    Value::Array(Array::I32(codes.to_vec()))
}

/// A vocabulary of three letters, a merge and a control token.
fn small() -> Metadata {
    Metadata::new()
        .with(MODEL, Value::String("gpt2".into()))
        .with(PRE, Value::String("gpt-2".into()))
        .with(TOKENS, strings(&["a", "b", "ab", "<s>", "[PAD4]"]))
        .with(TYPES, types(&[1, 1, 1, 3, 5]))
        .with(MERGES, strings(&["a b"]))
}

#[test]
fn a_small_vocabulary_works_and_says_nothing_it_does_not_know() {
    let tokenizer = Tokenizer::from_gguf(&small()).unwrap();
    assert_eq!(tokenizer.encode("abba<s>", true).unwrap(), [2, 1, 0, 3]);
    assert_eq!(tokenizer.encode("ab<s>", false).unwrap(), [2]);
    let metadata = small();
    let specials = GgufSpecials::of(&metadata).unwrap();
    assert_eq!((specials.bos, specials.chat_template), (None, None));
}

#[test]
fn vocabularies_that_cannot_be_used_are_refused_by_name() {
    let text = |text: &str| Value::String(text.into());
    let long = "x".repeat(1 << 20);
    let cases: Vec<(&str, Value, &str)> = vec![
        (MODEL, text("llama"), "is \"llama\"; only gpt2"),
        (MODEL, Value::U32(1), "no usable `tokenizer.ggml.model`"),
        (
            PRE,
            text("deepseek-llm"),
            "`tokenizer.ggml.pre` is \"deepseek-llm\"; smollm",
        ),
        (PRE, text(&long), "is \"xxxx"),
        (PRE, Value::Bool(true), "no usable `tokenizer.ggml.pre`"),
        (TOKENS, strings(&[]), "has 0 tokens"),
        (TOKENS, types(&[1]), "no usable `tokenizer.ggml.tokens`"),
        (
            TOKENS,
            strings(&["a", "b", "ab"]),
            "has 5 entries for 3 tokens",
        ),
        (
            TOKENS,
            strings(&["a", "b", "ab", "a", ""]),
            "tokens 0 and 3 have the same text",
        ),
        (
            TOKENS,
            strings(&["a", "b", "ab", "", "c"]),
            "token 3 is an added one of 0 bytes",
        ),
        (
            TOKENS,
            strings(&["a", "b", "ab", &long, "c"]),
            "of 1048576 bytes",
        ),
        (TYPES, types(&[1, 1, 1]), "has 3 entries for 5 tokens"),
        (TYPES, types(&[]), "has 0 entries"),
        (TYPES, types(&[1, 1, 1, 3, 6]), "token 4 is of type 6"),
        (
            TYPES,
            types(&[1, 1, 1, i32::MIN, 5]),
            "token 3 is of type -2147483648",
        ),
        (
            TYPES,
            strings(&["1"]),
            "no usable `tokenizer.ggml.token_type`",
        ),
        (MERGES, types(&[]), "no usable `tokenizer.ggml.merges`"),
        (
            MERGES,
            strings(&["a b", "a c"]),
            "merge 1 (\"a c\") is not two tokens",
        ),
        // Both sides are tokens, the result is longer than any: it would leave the library's buffer.
        (MERGES, strings(&["ab ab"]), "merge 0 (\"ab ab\")"),
        (MERGES, strings(&["ab"]), "merge 0"),
        (MERGES, strings(&["a b c"]), "merge 0"),
        (MERGES, strings(&[""]), "merge 0"),
        (MERGES, strings(&[" "]), "merge 0"),
        (MERGES, strings(&[&long]), "merge 0 (\"xxxx"),
        // A filler is no token.
        (MERGES, strings(&["[PAD4] a"]), "merge 0"),
    ];
    for (key, value, expected) in cases {
        let error = Tokenizer::from_gguf(&small().with(key, value)).unwrap_err();
        assert!(matches!(error, Error::Tokenizer { .. }));
        let error = error.to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.len() < 300, "{expected}: {} bytes", error.len());
    }
    let many = vec![String::new(); MAX_TOKENS + 1];
    let many = small().with(TOKENS, Value::Array(Array::String(many)));
    let error = Tokenizer::from_gguf(&many).unwrap_err().to_string();
    assert!(error.contains("has 1048577 tokens"), "{error}");
}

#[test]
fn roles_that_name_no_token_are_refused() {
    let role = "tokenizer.ggml.eos_token_id";
    for value in [
        Value::U32(5),
        Value::U32(u32::MAX),
        Value::I32(-1),
        Value::U64(u64::MAX),
        Value::Bool(true),
    ] {
        let metadata = small().with(role, value);
        let error = GgufSpecials::of(&metadata).unwrap_err().to_string();
        assert!(
            error.contains("`tokenizer.ggml.eos_token_id` is not the number of one of the 5"),
            "{error}"
        );
    }
    let metadata = Metadata::new().with(role, Value::U32(0));
    assert!(GgufSpecials::of(&metadata).is_err());
    for (key, value) in [
        ("tokenizer.ggml.add_bos_token", Value::U32(1)),
        ("tokenizer.chat_template", strings(&["x"])),
    ] {
        let metadata = small().with(key, value);
        let error = GgufSpecials::of(&metadata).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

mod damage {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn damaged_metadata_never_panics(
            rule in 0usize..4,
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = RULES[rule].1.to_vec();
            for (at, value) in edits {
                let at = at.index(bytes.len());
                // Printable bytes leave strings whole, and so reach deeper.
                bytes[at] = if value < 64 { value } else { 32 + value % 95 };
            }
            if let Ok(file) = WeightFile::open("damaged", Box::new(SliceSource::from(bytes))) {
                let _ = GgufSpecials::of(file.metadata());
                if let Ok(tokenizer) = Tokenizer::from_gguf(file.metadata()) {
                    let ids = tokenizer.encode("Rex <image> 42 é東\n", true).unwrap();
                    let _ = tokenizer.decode(&ids, true);
                }
            }
        }
    }
}
