//! A model that reads text only: it answers questions, as a folder and as GGUF files, and refuses photos.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use burn::tensor::Device;
use namelens_engine::Error;
use namelens_engine::host::Still;
use namelens_engine::personalize::messages::Exchange;
use namelens_engine::personalize::{Engine, Kind, Outcome, Request};
use namelens_engine::text::Tokenizer;
use namelens_engine::weights::Dtype;
use namelens_tests::gguf::{all, converted};
use namelens_tests::golden::{Checkpoint, bundle, checkpoints};
use serde_json::Value;

fn llama() -> Checkpoint {
    checkpoints(&["llama"]).remove(0)
}

fn engine(files: HashMap<String, Vec<u8>>) -> Engine {
    let device = Device::flex();
    pollster::block_on(Engine::load(bundle(files), &device, &Still, &mut |_, _| ())).unwrap()
}

fn question(text: &str, earlier: &[Exchange]) -> Request {
    Request {
        question: Some(text.into()),
        earlier: earlier.to_vec(),
        max_tokens: Some(16),
        ..Request::new(Kind::Ask)
    }
}

fn reply(engine: &mut Engine, request: &Request) -> Result<Outcome, Error> {
    pollster::block_on(engine.reply(request, &Still, &mut |_| ()))
}

/// The golden text of a case, as a person reads it.
fn said(checkpoint: &Checkpoint, case: &str) -> String {
    let case = checkpoint
        .cases()
        .into_iter()
        .find(|c| c.name.ends_with(case));
    let (_, ids) = case.unwrap().ints("greedy_ids").unwrap();
    let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
    let tokenizer = Tokenizer::from_json(checkpoint.text("tokenizer.json").unwrap().as_bytes());
    tokenizer.unwrap().decode(&ids, true).unwrap()
}

#[test]
fn a_question_is_answered_with_the_references_tokens_and_a_second_one_reads_only_what_is_new() {
    let checkpoint = llama();
    let mut engine = engine(checkpoint.files(&Value::Null));
    let first = reply(&mut engine, &question("What is 12+3?", &[])).unwrap();
    assert_eq!(first.raw.trim(), said(&checkpoint, "one").trim());
    assert_eq!((first.tokens.reused, first.tokens.generated), (0, 16));
    let earlier = [Exchange {
        question: "What is 12+3?".into(),
        answer: first.raw,
    }];
    let request = question("And here?", &earlier);
    let second = reply(&mut engine, &request).unwrap();
    assert!(second.tokens.reused >= first.tokens.prompt, "{second:?}");
    let counted = pollster::block_on(engine.count_tokens(&request, None, &Still)).unwrap();
    assert_eq!((counted.prompt, counted.visual), (second.tokens.prompt, 0));
}

#[test]
fn what_needs_a_photo_is_refused_with_a_way_out() {
    let mut engine = engine(llama().files(&Value::Null));
    let photo = include_bytes!("../web-demo/public/album/scene-1.png");
    for kind in [Kind::Caption, Kind::Ask, Kind::Recognize, Kind::Locate] {
        let request = Request {
            concept: Some("Miso".into()),
            ..question("What is this?", &[])
        };
        let request = Request { kind, ..request };
        let error = pollster::block_on(engine.run(&request, photo, &Still, &mut |_| ()));
        let error = error.unwrap_err();
        assert_eq!(error.code(), "option");
        assert!(error.to_string().contains("reads text only"), "{error}");
        let counted = pollster::block_on(engine.count_tokens(&request, Some(photo), &Still));
        assert_eq!(counted.unwrap_err().to_string(), error.to_string());
        if kind != Kind::Ask {
            let error = reply(&mut engine, &request).unwrap_err();
            assert!(error.to_string().contains("photo"), "{error}");
        }
    }
}

/// Every model that sees answers a question without a photo as well.
#[test]
fn a_model_that_sees_answers_without_a_photo_too() {
    let checkpoint = checkpoints(&["smolvlm"]).remove(0);
    let mut engine = engine(checkpoint.files(&Value::Null));
    let found = reply(&mut engine, &question("What is 12+3?", &[])).unwrap();
    assert_eq!(found.raw.trim(), said(&checkpoint, "text_only").trim());
}

/// In f32 nothing is lost: rows are interleaved and brought back, and nothing lies beside the one file.
#[test]
fn as_one_gguf_file_it_answers_the_same() {
    let checkpoint = llama();
    let want = said(&checkpoint, "one");
    for text in [Dtype::F32, Dtype::Q4_1] {
        let (out, _) = converted(&checkpoint, all(text), None);
        assert!(!out.path().join("mmproj.gguf").exists());
        let bytes = std::fs::read(out.path().join("model.gguf")).unwrap();
        let mut engine = engine(HashMap::from([("model.gguf".to_owned(), bytes)]));
        let found = reply(&mut engine, &question("What is 12+3?", &[])).unwrap();
        match text {
            Dtype::F32 => assert_eq!(found.raw.trim(), want.trim()),
            // Random weights in four bits say something else; that they are read is seen in `quant` and `gguf`.
            _ => assert_eq!(found.tokens.generated, 16),
        }
    }
}
