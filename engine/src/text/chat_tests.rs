//! Chats with photos against the processors of transformers (fixtures by `tests/fixtures/generate/chats.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;

use super::test_support::message;
use super::*;
use crate::Error;
use crate::image::{ImageMarkup, ImageProcessor, PhotoLayout, Rgb8};

const GOLDEN: &str = include_str!("../../../tests/fixtures/text/chats.json");
const SMOLVLM: &[u8] = include_bytes!("../../../tests/fixtures/text/chats_smolvlm.json");
const QWEN: &[u8] = include_bytes!("../../../tests/fixtures/text/chats_qwen.json");

/// The encoder of one family of the fixture.
fn encoder(family: &Value) -> ChatEncoder {
    let template = ChatTemplate::new(family["template"].as_str().unwrap()).unwrap();
    let (tokenizer, markup, [eos, pad, image]) = match family["tokenizer"].as_str().unwrap() {
        "smolvlm" => (
            SMOLVLM,
            ImageMarkup::smolvlm(3),
            ["<end_of_utterance>", "<|im_end|>", "<image>"],
        ),
        _ => (
            QWEN,
            ImageMarkup::Repeat,
            ["<|im_end|>", "<|endoftext|>", "<|image_pad|>"],
        ),
    };
    let specials = Specials {
        bos: String::new(),
        eos: eos.into(),
        pad: pad.into(),
        image: image.into(),
    };
    let tokenizer = Tokenizer::from_json(tokenizer).unwrap();
    ChatEncoder::new(tokenizer, template, specials, markup).unwrap()
}

fn families() -> Vec<Value> {
    serde_json::from_str(GOLDEN).unwrap()
}

fn messages(case: &Value) -> Vec<Message> {
    let turns = case["messages"].as_array().unwrap();
    turns.iter().map(message).collect()
}

#[test]
fn chats_with_photos_equal_transformers() {
    let families = families();
    assert_eq!(families.len(), 4);
    for family in &families {
        let chat = encoder(family);
        let config = family["image_processor"].to_string();
        let processor = ImageProcessor::from_json("p.json", &config).unwrap();
        let cases = family["cases"].as_array().unwrap();
        assert!(cases.len() >= 14);
        for case in cases {
            let sizes: Vec<(u32, u32)> = serde_json::from_value(case["sizes"].clone()).unwrap();
            let layouts: Vec<PhotoLayout> = sizes
                .into_iter()
                .map(|(width, height)| {
                    let pixels = vec![0; (width * height * 3) as usize];
                    let photo = Rgb8::new(width, height, pixels).unwrap();
                    processor.layout(&processor.process(&photo).unwrap())
                })
                .collect();
            let prompt = case["prompt"].as_bool().unwrap();
            let ids = chat.encode(&messages(case), &layouts, prompt).unwrap();
            let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(ids, expected, "{config} {case}");
        }
    }
}

#[test]
fn answers_and_only_answers_are_masked() {
    for family in families() {
        let chat = encoder(&family);
        let mut answers = 0;
        for case in family["cases"].as_array().unwrap() {
            let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            let mask = chat.answer_mask(&ids).unwrap();
            let said: Vec<u32> = ids
                .into_iter()
                .zip(mask)
                .filter_map(|(id, said)| said.then_some(id))
                .collect();
            // Each answer and the end of its turn.
            let expected: String = messages(case)
                .iter()
                .filter(|turn| turn.role == "assistant")
                .flat_map(|turn| &turn.content)
                .filter_map(|part| match part {
                    Part::Text(text) => Some(format!("{text}{}", end(&chat))),
                    Part::Image => None,
                })
                .collect();
            answers += usize::from(!expected.is_empty());
            let text = chat.tokenizer().decode(&said, false).unwrap();
            // SmolVLM's template puts a space before an answer that belongs to its first word.
            let text = text.replace(&format!("{} ", end(&chat)), &end(&chat));
            assert_eq!(text.trim_start(), expected, "{case}");
        }
        assert_eq!(answers, 4);
    }
}

fn end(chat: &ChatEncoder) -> String {
    chat.tokenizer().id_to_token(chat.end_of_turn()).unwrap()
}

#[test]
fn further_ends_come_after_the_end_of_a_turn() {
    let family = &families()[2];
    let chat = encoder(family);
    let (end, other) = (chat.end_of_turn(), chat.pad());
    assert_eq!(chat.ends(), [end]);
    let chat = chat.with_ends(&[other, end, other]);
    assert_eq!(chat.ends(), [end, other]);
    assert_eq!(chat.end_of_turn(), end);
}

#[test]
fn a_template_that_hides_where_answers_begin_is_refused() {
    let mut family = families()[2].clone();
    for template in [
        // No generation prompt.
        "{% for m in messages %}{{ m.role }}: {% for p in m.content %}{{ p.text }}{% endfor %}<|im_end|>{% endfor %}",
        // No end of a turn.
        "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}",
    ] {
        family["template"] = template.into();
        let chat = encoder(&family);
        let error = chat.answer_mask(&[1, 2, 3]);
        assert!(matches!(error, Err(Error::Template { .. })), "{error:?}");
    }
}

#[test]
fn photos_that_do_not_match_the_chat_are_refused() {
    let family = &families()[2];
    let chat = encoder(family);
    let turns = messages(&family["cases"][0]);
    for layouts in [
        &[][..],
        &[PhotoLayout::WHOLE],
        &[PhotoLayout::Tokens(1 << 60)],
    ] {
        assert!(chat.encode(&turns, layouts, true).is_err(), "{layouts:?}");
    }
    assert!(chat.encode(&turns, &[PhotoLayout::Tokens(4)], true).is_ok());
}
