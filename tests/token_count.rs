//! Tokens counted before a request runs are those it reads; a photo with tiles is another prompt than the same without.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::Device;
use namelens_engine::host::Still;
use namelens_engine::personalize::messages::Exchange;
use namelens_engine::personalize::{Engine, Kind, Outcome, Request, Retrieval};
use namelens_tests::album::{NAME, introduced};
use namelens_tests::golden::{bundle, vlms};
use serde_json::Value;

fn run(engine: &mut Engine, request: &Request, photo: &[u8]) -> Outcome {
    let request = Request {
        max_tokens: Some(4),
        ..request.clone()
    };
    pollster::block_on(engine.run(&request, photo, &Still, &mut |_| ())).unwrap()
}

/// The request's tokens as counted, which must be those that are read.
fn counted(engine: &mut Engine, request: &Request, photo: &[u8]) -> (usize, usize) {
    let count = pollster::block_on(engine.count_tokens(request, Some(photo), &Still)).unwrap();
    assert_eq!(count.limit, engine.captioner().unwrap().context_length());
    let outcome = run(engine, request, photo);
    assert_eq!(count.prompt, outcome.tokens.prompt, "{request:?}");
    (count.prompt, count.visual)
}

#[test]
fn every_kind_of_request_is_counted_as_it_is_read() {
    let (mut engine, scene) = introduced(&Device::flex());
    let caption = Request::new(Kind::Caption);
    let alone = Request {
        retrieval: Retrieval::Off,
        ..caption.clone()
    };
    let with = counted(&mut engine, &caption, &scene);
    let without = counted(&mut engine, &alone, &scene);
    assert!(
        with.0 > without.0 && with.1 == 2 * without.1,
        "{with:?} {without:?}"
    );
    let about = |kind| Request {
        concept: Some(NAME.into()),
        ..Request::new(kind)
    };
    counted(&mut engine, &about(Kind::Recognize), &scene);
    counted(&mut engine, &about(Kind::Locate), &scene);
    let turn = Exchange {
        question: "Who is it?".into(),
        answer: format!("<{NAME}>"),
    };
    let ask = Request {
        question: Some("Where?".into()),
        earlier: vec![turn],
        ..Request::new(Kind::Ask)
    };
    counted(&mut engine, &ask, &scene);
    // Too long to be read, but not to be counted.
    let long = Request {
        question: Some("word ".repeat(2000)),
        ..ask
    };
    let count = pollster::block_on(engine.count_tokens(&long, Some(&scene), &Still)).unwrap();
    assert!(count.prompt > count.limit, "{count:?}");
    let refused = pollster::block_on(engine.run(&long, &scene, &Still, &mut |_| ()));
    assert_eq!(refused.unwrap_err().code(), "context-full");
}

#[test]
fn counting_leaves_the_conversation_as_it_is() {
    let (mut engine, scene) = introduced(&Device::flex());
    let caption = Request::new(Kind::Caption);
    run(&mut engine, &caption, &scene);
    let other = namelens_tests::album::photo("scene-2.png");
    pollster::block_on(engine.count_tokens(&caption, Some(&other), &Still)).unwrap();
    assert!(run(&mut engine, &caption, &scene).tokens.reused > 0);
}

#[test]
fn tiles_are_a_choice_of_each_request_and_never_those_of_the_one_before() {
    let checkpoints = vlms();
    let smolvlm = checkpoints.iter().find(|c| c.name == "smolvlm").unwrap();
    let load = || {
        let files = bundle(smolvlm.files(&Value::Null));
        pollster::block_on(Engine::load(files, &Device::flex(), &Still, &mut |_, _| ())).unwrap()
    };
    let scene = namelens_tests::album::photo("scene-0.png");
    let mut engine = load();
    let mut prompts = Vec::new();
    for splitting in [Some(true), Some(false), None, Some(true)] {
        let request = Request {
            splitting,
            ..Request::new(Kind::Caption)
        };
        prompts.push(counted(&mut engine, &request, &scene).0);
        let fresh = run(&mut load(), &request, &scene);
        let again = run(&mut engine, &request, &scene);
        assert_eq!(again.raw, fresh.raw, "{splitting:?}");
    }
    // This checkpoint cuts when nobody says otherwise.
    assert!(prompts[0] > prompts[1], "{prompts:?}");
    assert_eq!((prompts[0], prompts[0]), (prompts[2], prompts[3]));
}
