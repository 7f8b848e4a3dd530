//! Further questions about a photo: what was computed of it is used again, and changes no answer.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::Device;
use namelens_engine::concepts::{ConceptPatch, NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::messages::Exchange;
use namelens_engine::personalize::{Engine, Event, Kind, Outcome, Request};
use namelens_tests::album::{NAME, introduced, photo};

fn ask(question: &str, earlier: &[Exchange]) -> Request {
    Request {
        question: Some(question.into()),
        earlier: earlier.to_vec(),
        ..Request::new(Kind::Ask)
    }
}

fn run(engine: &mut Engine, request: &Request, photo: &[u8]) -> Outcome {
    pollster::block_on(engine.run(request, photo, &Still, &mut |_| ())).unwrap()
}

/// The same request to an engine that never saw the photo.
fn anew(engine: &mut Engine, request: &Request, photo: &[u8]) -> Outcome {
    engine.forget_photo();
    let outcome = run(engine, request, photo);
    assert_eq!(outcome.tokens.reused, 0);
    outcome
}

/// Everything but times and what was reused.
fn assert_same(what: &str, a: &Outcome, b: &Outcome) {
    assert_eq!(a.raw, b.raw, "{what}");
    assert_eq!(a.text, b.text, "{what}");
    assert_eq!(a.answer, b.answer, "{what}");
    assert_eq!(a.tokens.prompt, b.tokens.prompt, "{what}");
    // Two orders of summation of some hundred f32 terms.
    assert!((a.confidence - b.confidence).abs() < 1e-3, "{what}");
    assert_eq!(a.mentions.len(), b.mentions.len(), "{what}");
}

fn turn(request: &Request, outcome: &Outcome) -> Exchange {
    Exchange {
        question: request.question.clone().unwrap_or_default(),
        answer: outcome.raw.clone(),
    }
}

#[test]
fn a_second_question_reads_only_what_is_new_and_says_the_same() {
    let (mut engine, scene) = introduced(&Device::flex());
    let caption = Request::new(Kind::Caption);
    run(&mut engine, &caption, &scene);
    let requests = [
        ask("What is this?", &[]),
        ask("What colour is it?", &[]),
        Request {
            concept: Some(NAME.into()),
            ..Request::new(Kind::Recognize)
        },
        Request {
            concept: Some(NAME.into()),
            ..Request::new(Kind::Locate)
        },
        caption,
    ];
    let again: Vec<Outcome> = requests
        .iter()
        .map(|request| run(&mut engine, request, &scene))
        .collect();
    for (request, again) in requests.iter().zip(again) {
        let fresh = anew(&mut engine, request, &scene);
        assert_same(&format!("{request:?}"), &again, &fresh);
    }
    let mut stages = Vec::new();
    let request = ask("Is it big?", &[]);
    let outcome = pollster::block_on(engine.run(&request, &scene, &Still, &mut |event| {
        if let Event::Stage { stage, done, total } = event {
            stages.push((stage, done, total));
        }
    }))
    .unwrap();
    // All before the question: concept, reference and photo are most of the prompt.
    assert!(
        outcome.tokens.reused * 10 > outcome.tokens.prompt * 8,
        "{:?}",
        outcome.tokens
    );
}

#[test]
fn a_conversation_says_what_it_would_say_if_it_were_read_from_the_start() {
    let (mut engine, scene) = introduced(&Device::flex());
    let mut earlier = Vec::new();
    for question in [
        "Who is in the photo?",
        "Where is it?",
        "What else is there?",
    ] {
        let request = ask(question, &earlier);
        let outcome = run(&mut engine, &request, &scene);
        if !earlier.is_empty() {
            assert!(outcome.tokens.reused > 0, "{:?}", outcome.tokens);
        }
        let exchange = turn(&request, &outcome);
        let (mut other, _) = introduced(&Device::flex());
        assert_same(question, &outcome, &anew(&mut other, &request, &scene));
        earlier.push(exchange);
    }
}

#[test]
fn another_photo_is_not_taken_for_the_one_before() {
    let (mut engine, scene) = introduced(&Device::flex());
    let other = photo("scene-2.png");
    let request = Request::new(Kind::Caption);
    let first = run(&mut engine, &request, &scene);
    let second = run(&mut engine, &request, &other);
    assert_eq!(second.tokens.reused, 0);
    assert_ne!(first.raw, second.raw);
    assert_same("other photo", &second, &anew(&mut engine, &request, &other));
    assert_same("back again", &first, &run(&mut engine, &request, &scene));
}

/// All changes happen in the same millisecond: what is kept must not depend on the clock.
#[test]
fn a_changed_library_counts_at_once() {
    let (mut engine, scene) = introduced(&Device::flex());
    let request = Request::new(Kind::Caption);
    run(&mut engine, &request, &scene);
    let id = engine.library.list().next().unwrap().id.clone();
    let rename = ConceptPatch {
        name: Some("Otto".into()),
        ..ConceptPatch::default()
    };
    engine.library.edit(&id, rename, 0).unwrap();
    let renamed = run(&mut engine, &request, &scene);
    assert!(renamed.raw.contains("<Otto>"), "{}", renamed.raw);
    assert_same("renamed", &renamed, &anew(&mut engine, &request, &scene));

    // The same id, name and time, but another photo.
    let concept = engine.library.get(&id).unwrap().clone();
    engine.library.delete(&id).unwrap();
    let new = NewConcept {
        id: Some(id),
        name: concept.name,
        references: vec![Reference::new(photo("thing-3-1.png"))],
        ..NewConcept::default()
    };
    engine.library.add(new, 0).unwrap();
    pollster::block_on(engine.embed_references(&Still)).unwrap();
    let question = ask("Is <Otto> in the image?", &[]);
    let replaced = run(&mut engine, &question, &scene);
    assert_same("replaced", &replaced, &anew(&mut engine, &question, &scene));
}
