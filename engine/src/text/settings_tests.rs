//! Every home of every text setting, their order, and files that cannot be meant.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::image::{ImageMarkup, ImageProcessor, PhotoLayout};
use crate::{Error, Result};

/// A folder of files.
fn read(files: &[(&str, &str)]) -> Result<TextSettings> {
    TextSettings::read(&|name| {
        let file = files.iter().find(|(file, _)| *file == name);
        Ok(file.map(|(_, text)| (*text).to_owned()))
    })
}

fn template(files: &[(&str, &str)]) -> Option<String> {
    read(files).unwrap().chat_template
}

#[test]
fn a_template_is_found_in_each_home() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(template(&[]), None);
    assert_eq!(
        template(&[("chat_template.jinja", "A {{ b }}")]),
        some("A {{ b }}")
    );
    assert_eq!(
        template(&[("chat_template.json", r#"{"chat_template": "B"}"#)]),
        some("B")
    );
    for (file, json, expected) in [
        (
            "tokenizer_config.json",
            r#"{"chat_template": "C"}"#,
            some("C"),
        ),
        (
            "processor_config.json",
            r#"{"chat_template": "D"}"#,
            some("D"),
        ),
        ("tokenizer_config.json", r#"{"chat_template": null}"#, None),
        (
            "tokenizer_config.json",
            r#"{"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "E"}]}"#,
            some("E"),
        ),
        (
            "tokenizer_config.json",
            r#"{"chat_template": {"rag": "R", "default": "F"}}"#,
            some("F"),
        ),
    ] {
        assert_eq!(template(&[(file, json)]), expected, "{json}");
    }
}

#[test]
fn homes_count_in_the_order_of_the_reference() {
    let homes = [
        ("processor_config.json", r#"{"chat_template": "1"}"#),
        ("chat_template.json", r#"{"chat_template": "2"}"#),
        ("chat_template.jinja", "3"),
        ("tokenizer_config.json", r#"{"chat_template": "4"}"#),
    ];
    for first in 0..homes.len() {
        let expected = (first + 1).to_string();
        assert_eq!(template(&homes[first..]), Some(expected));
    }
    // A processor configuration without a template gives way.
    let mut homes = homes;
    homes[0].1 = r#"{"image_seq_len": 64}"#;
    assert_eq!(template(&homes), Some("2".into()));
}

#[test]
fn special_tokens_are_text_or_objects_and_the_map_helps_out() {
    let new = r#"{"added_tokens_decoder": {}, "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null}"#;
    let map = r#"{"eos_token": "<end>", "pad_token": {"content": "<pad>"}}"#;
    let tokens = |files: &[(&str, &str)]| {
        let settings = read(files).unwrap();
        [settings.bos, settings.eos, settings.pad].map(Option::unwrap_or_default)
    };
    let (config, special) = ("tokenizer_config.json", "special_tokens_map.json");
    assert_eq!(tokens(&[(config, new)]), ["<s>", "</s>", ""]);
    assert_eq!(tokens(&[(special, map)]), ["", "<end>", "<pad>"]);
    assert_eq!(
        tokens(&[(config, new), (special, map)]),
        ["<s>", "</s>", "<pad>"]
    );
    // An old configuration does not list its added tokens; there the map counts more.
    let old = new.replace("added_tokens_decoder", "other");
    assert_eq!(
        tokens(&[(config, &old), (special, map)]),
        ["<s>", "<end>", "<pad>"]
    );
    assert_eq!(tokens(&[]), ["", "", ""]);
}

#[test]
fn smolvlms_marks_are_those_of_the_checkpoint() {
    let shown = |json: &str| {
        let settings = read(&[("tokenizer_config.json", json)]).unwrap();
        let markup = settings.smolvlm_markup(1);
        markup.expand("<i>", PhotoLayout::WHOLE).unwrap()
    };
    assert_eq!(
        shown("{}"),
        "<fake_token_around_image><global-img><i><fake_token_around_image>"
    );
    assert_eq!(
        shown(
            r#"{"fake_image_token": "<f>", "extra_special_tokens": {"global_image_token": {"content": "<g>"}}}"#
        ),
        "<f><g><i><f>"
    );
}

#[test]
fn a_generation_configuration_is_read_and_reported_whole() {
    let json = r#"{
        "do_sample": true, "temperature": 0.1, "top_k": 20, "top_p": 0.8, "min_p": 0, "repetition_penalty": 1.05,
        "max_new_tokens": 128, "eos_token_id": [151645, 151643, 151645], "bos_token_id": 151643, "pad_token_id": 7,
        "use_cache": true, "transformers_version": "4.41.2", "num_beams": null
    }"#;
    let settings = GenerationSettings::from_json(json).unwrap();
    let expected = GenerationSettings {
        do_sample: Some(true),
        temperature: Some(0.1),
        top_k: Some(20),
        top_p: Some(0.8),
        min_p: Some(0.0),
        repetition_penalty: Some(1.05),
        max_new_tokens: Some(128),
        eos: vec![151_645, 151_643],
        bos: Some(151_643),
        pad: Some(7),
        ignored: vec!["transformers_version".into(), "use_cache".into()],
    };
    assert_eq!(settings, expected);
    assert_eq!(
        settings.report(),
        [
            "do_sample: true",
            "temperature: 0.1",
            "top_k: 20",
            "top_p: 0.8",
            "min_p: 0",
            "repetition_penalty: 1.05",
            "max_new_tokens: 128",
            "eos_token_id: 151645, 151643",
            "bos_token_id: 151643",
            "pad_token_id: 7",
            "ignored: transformers_version, use_cache",
        ]
    );
    let greedy = r#"{"temperature": 0.7, "eos_token_id": 2, "pad_token_id": -1}"#;
    let greedy = GenerationSettings::from_json(greedy).unwrap();
    assert_eq!((greedy.eos.clone(), greedy.pad), (vec![2], None));
    assert_eq!(
        greedy.report(),
        [
            "temperature: 0.7 (no effect: do_sample is not on)",
            "eos_token_id: 2",
            "ignored: pad_token_id",
        ]
    );
    assert!(
        GenerationSettings::from_json("{}")
            .unwrap()
            .report()
            .is_empty()
    );
}

#[test]
fn files_that_cannot_be_meant_are_named_with_their_key() {
    let tokenizer = "tokenizer_config.json";
    let generation = "generation_config.json";
    let many = format!(r#"{{"eos_token_id": {:?}}}"#, vec![1; 300]);
    for (file, text, key) in [
        (tokenizer, "{", "(whole file)"),
        (tokenizer, "[]", "(whole file)"),
        ("chat_template.json", "\"x\"", "(whole file)"),
        ("chat_template.json", "{}", "chat_template"),
        (
            "chat_template.json",
            r#"{"chat_template": 3}"#,
            "chat_template",
        ),
        (
            "processor_config.json",
            r#"{"chat_template": true}"#,
            "chat_template",
        ),
        (tokenizer, r#"{"chat_template": []}"#, "chat_template"),
        (
            tokenizer,
            r#"{"chat_template": [{"name": "default"}]}"#,
            "chat_template",
        ),
        (
            tokenizer,
            r#"{"chat_template": [{"name": "rag", "template": "x"}]}"#,
            "chat_template",
        ),
        (tokenizer, r#"{"eos_token": 3}"#, "eos_token"),
        (tokenizer, r#"{"pad_token": {"text": "x"}}"#, "pad_token"),
        (
            "special_tokens_map.json",
            r#"{"bos_token": ["x"]}"#,
            "bos_token",
        ),
        (generation, "", "(whole file)"),
        (generation, r#"{"do_sample": 1}"#, "do_sample"),
        (generation, r#"{"temperature": -1}"#, "temperature"),
        (generation, r#"{"temperature": 1e300}"#, "temperature"),
        (generation, r#"{"top_p": "0.5"}"#, "top_p"),
        (generation, r#"{"top_p": 1.5}"#, "top_p"),
        (generation, r#"{"min_p": 2}"#, "min_p"),
        (
            generation,
            r#"{"repetition_penalty": 0}"#,
            "repetition_penalty",
        ),
        (generation, r#"{"top_k": 1152921504606846976}"#, "top_k"),
        (generation, r#"{"top_k": -1}"#, "top_k"),
        (generation, r#"{"max_new_tokens": 0}"#, "max_new_tokens"),
        (generation, r#"{"eos_token_id": "</s>"}"#, "eos_token_id"),
        (
            generation,
            r#"{"eos_token_id": [1, 4294967296]}"#,
            "eos_token_id",
        ),
        (generation, r#"{"pad_token_id": [1, 2]}"#, "pad_token_id"),
        (generation, &many, "eos_token_id"),
    ] {
        match read(&[(file, text)]) {
            Err(Error::Config {
                file: named,
                key: found,
                ..
            }) => {
                assert_eq!((named.as_str(), found.as_str()), (file, key), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

const QWEN: &[u8] = include_bytes!("../../../tests/fixtures/text/chats_qwen.json");
const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{{ eos_token }}{% endfor %}";

fn encoder(settings: &TextSettings) -> Result<ChatEncoder> {
    let tokenizer = Tokenizer::from_json(QWEN).unwrap();
    let image = tokenizer.token_id("<|image_pad|>").unwrap();
    settings.chat_encoder(tokenizer, image, ImageMarkup::Repeat)
}

#[test]
fn settings_and_tokenizer_make_an_encoder() {
    let tokenizer = Tokenizer::from_json(QWEN).unwrap();
    let id = |token: &str| tokenizer.token_id(token).unwrap();
    let (end, text_end) = (id("<|im_end|>"), id("<|endoftext|>"));
    let ends = format!(r#"{{"eos_token_id": [{text_end}, {end}]}}"#);
    let mut settings = read(&[
        ("chat_template.jinja", TEMPLATE),
        ("tokenizer_config.json", r#"{"eos_token": "<|im_end|>"}"#),
        ("generation_config.json", &ends),
    ])
    .unwrap();
    let chat = encoder(&settings).unwrap();
    assert_eq!(chat.ends(), [end, text_end]);
    let turn = Message {
        role: "user".into(),
        content: vec![Part::Text("a".into())],
    };
    // No `bos_token` prints nothing.
    let a = tokenizer.token_id("a").unwrap();
    assert_eq!(chat.encode(&[turn], &[], false).unwrap(), [a, end]);

    // The tokenizer does not say what ends an answer, but generation does.
    settings.eos = None;
    assert_eq!(encoder(&settings).unwrap().ends(), [text_end, end]);
    settings.generation.eos = vec![9999];
    assert!(encoder(&settings).unwrap_err().to_string().contains("9999"));
    settings.generation.eos.clear();
    assert!(
        encoder(&settings)
            .unwrap_err()
            .to_string()
            .contains("eos_token")
    );
    settings.eos = Some("<nobody>".into());
    assert!(
        encoder(&settings)
            .unwrap_err()
            .to_string()
            .contains("<nobody>")
    );
    settings.chat_template = None;
    assert!(
        encoder(&settings)
            .unwrap_err()
            .to_string()
            .contains("chat_template.jinja")
    );
}

#[test]
fn the_embedded_models_folder_is_read() {
    let folder = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../models/playroom");
    let file = |name: &str| Ok(std::fs::read_to_string(folder.join(name)).ok());
    let settings = TextSettings::read(&file).unwrap();
    assert_eq!(settings.eos.as_deref(), Some("<end_of_utterance>"));
    let tokenizer = std::fs::read(folder.join("tokenizer.json")).unwrap();
    let tokenizer = Tokenizer::from_json(&tokenizer).unwrap();
    let image = tokenizer.token_id("<image>").unwrap();
    let markup = settings.smolvlm_markup(9);
    let chat = settings.chat_encoder(tokenizer, image, markup).unwrap();
    // Both files name the same token.
    assert_eq!(chat.ends(), settings.generation.eos);
    let processor = ImageProcessor::from_folder(&file).unwrap();
    assert_eq!(processor.side(), Some(96));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_settings_or_an_error(
        text in r#"(\{|\}|\[|\]|"chat_template"|"eos_token"|"eos_token_id"|"top_p"|"default"|:|,|1|-1|null|true|"x"){0,14}"#,
        key in prop::sample::select(vec!["chat_template", "eos_token", "eos_token_id", "temperature", "content"]),
    ) {
        let wrapped = format!("{{\"{key}\": {text}}}");
        for text in [&text, &wrapped] {
            for file in ["processor_config.json", "chat_template.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"] {
                if let Ok(settings) = read(&[(file, text)]) {
                    settings.generation.report();
                }
            }
        }
    }
}

#[test]
fn tokens_that_the_configuration_adds_must_be_those_of_the_tokenizer() {
    let end = "<|endoftext|>";
    let json = include_bytes!("../../../tests/fixtures/text/tokenizer.json");
    let joined = |added: &[(u32, &str)]| {
        let settings = TextSettings {
            chat_template: Some("{{ messages }}".into()),
            eos: Some(end.into()),
            added: added
                .iter()
                .map(|(id, text)| (*id, (*text).to_owned()))
                .collect(),
            ..TextSettings::default()
        };
        let tokenizer = Tokenizer::from_json(json).unwrap();
        let joined = settings.chat_encoder(tokenizer, 0, ImageMarkup::Absent);
        joined.map(drop).map_err(|error| error.to_string())
    };
    let id = Tokenizer::from_json(json).unwrap().token_id(end).unwrap();
    assert_eq!(joined(&[(id, end)]), Ok(()));
    for (id, text) in [(id + 1, end), (id, "<|new|>")] {
        let error = joined(&[(id, text)]).unwrap_err();
        assert!(
            error.contains("added_tokens_decoder") && error.contains(text),
            "{error}"
        );
    }
    let config = r#"{"added_tokens_decoder": {"7": {"content": "<a>", "special": true}}}"#;
    let settings = read(&[("tokenizer_config.json", config)]).unwrap();
    assert_eq!(settings.added, [(7, "<a>".to_owned())]);
    for bad in [
        r#"{"added_tokens_decoder": {"x": {"content": "<a>"}}}"#,
        r#"{"added_tokens_decoder": {"7": {}}}"#,
        r#"{"split_special_tokens": true}"#,
    ] {
        assert!(read(&[("tokenizer_config.json", bad)]).is_err(), "{bad}");
    }
}
