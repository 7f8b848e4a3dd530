//! Facts: every kind of request, found, perhaps found and not found.

use super::*;
use crate::concepts::{NewConcept, Reason};

fn library() -> Library {
    let mut library = Library::new("");
    for (name, category) in [("Miso", "tabby cat"), ("小白", ""), ("Otto", "dog")] {
        let new = NewConcept {
            name: name.into(),
            category: category.into(),
            ..NewConcept::default()
        };
        library.add(new, 0).unwrap();
    }
    library
}

fn retrieved(library: &Library, name: &str, confidence: f32, box_: Option<[f32; 4]>) -> Retrieved {
    let concept = library.find_by_name_or_alias(name).unwrap();
    Retrieved {
        id: concept.id.clone(),
        name: concept.name.clone(),
        score: 0.7,
        threshold: 0.5,
        reason: Reason::Similar,
        confidence: Some(confidence),
        box_,
        more_boxes: Vec::new(),
    }
}

fn answer(request: &Request, found: &[Retrieved], library: &Library) -> Outcome {
    facts(request, found, library, Timings::default()).unwrap()
}

#[test]
fn several_of_one_thing_are_told_each_where_it_is() {
    let library = library();
    let mut miso = retrieved(&library, "Miso", 0.974, Some([0.05, 0.3, 0.3, 0.8]));
    let told = |found: &Retrieved| {
        let request = Request::new(Kind::Caption);
        answer(&request, std::slice::from_ref(found), &library).text
    };
    miso.more_boxes = vec![[0.7, 0.3, 0.9, 0.8]];
    assert_eq!(
        told(&miso),
        "Miso (tabby cat) is on the left, 97 % sure. Another one like it is on the right."
    );
    miso.more_boxes.push([0.4, 0.3, 0.6, 0.8]);
    let text = told(&miso);
    assert!(
        text.ends_with(" Others like it are on the right and in the middle."),
        "{text}"
    );
}

#[test]
fn a_caption_says_who_where_and_how_sure() {
    let library = library();
    let found = [
        retrieved(&library, "Miso", 0.974, Some([0.05, 0.3, 0.3, 0.8])),
        retrieved(&library, "小白", 0.6, Some([0.7, 0.7, 0.9, 0.95])),
    ];
    let outcome = answer(&Request::new(Kind::Caption), &found, &library);
    assert_eq!(
        outcome.text,
        "Miso (tabby cat) is on the left, 97 % sure. Perhaps 小白 is on the right at the bottom, 60 % sure."
    );
    assert_eq!(outcome.source, Source::Recognition);
    assert_eq!(outcome.confidence, 0.6);
    let spans: Vec<String> = outcome
        .mentions
        .iter()
        .map(|m| {
            outcome
                .text
                .chars()
                .skip(m.start_char)
                .take(m.end_char - m.start_char)
                .collect()
        })
        .collect();
    assert_eq!(spans, ["Miso", "小白"]);
    assert_eq!(outcome.mentions[1].box_, Some([0.7, 0.7, 0.9, 0.95]));
    let none = answer(&Request::new(Kind::Caption), &[], &library);
    assert_eq!(none.text, "None of your things was found in this photo.");
}

#[test]
fn recognising_and_locating_answer_for_one_thing() {
    let library = library();
    let ask = |kind, name: &str| Request {
        concept: Some(name.into()),
        ..Request::new(kind)
    };
    let sure = [retrieved(
        &library,
        "Otto",
        0.95,
        Some([0.4, 0.4, 0.6, 0.6]),
    )];
    let perhaps = [retrieved(
        &library,
        "Otto",
        0.55,
        Some([0.4, 0.4, 0.6, 0.6]),
    )];
    let absent = [retrieved(&library, "Otto", 0.02, None)];
    let yes = answer(&ask(Kind::Recognize, "Otto"), &sure, &library);
    assert_eq!((yes.answer, yes.refused), (Some(true), None));
    assert!(yes.text.starts_with("Yes. Otto (dog) is in the middle"));
    let maybe = answer(&ask(Kind::Recognize, "Otto"), &perhaps, &library);
    assert_eq!(maybe.answer, Some(false));
    assert!(
        maybe.text.starts_with("Perhaps Otto (dog) is"),
        "{}",
        maybe.text
    );
    let no = answer(&ask(Kind::Recognize, "Otto"), &absent, &library);
    assert_eq!(no.text, "No. Otto was not found in this photo.");
    assert_eq!((no.answer, no.refused), (Some(false), Some("absent")));
    let place = answer(&ask(Kind::Locate, "Otto"), &sure, &library);
    assert_eq!(place.box_, Some([0.4, 0.4, 0.6, 0.6]));
    let stranger = answer(&ask(Kind::Locate, "Zorro"), &[], &library);
    assert_eq!(stranger.text, "Nothing is known by the name Zorro.");
    assert_eq!((stranger.box_, stranger.refused), (None, Some("unknown")));
}

#[test]
fn other_questions_are_not_made_up() {
    let library = library();
    let request = Request {
        question: Some("What is the weather like?".into()),
        ..Request::new(Kind::Ask)
    };
    let outcome = answer(&request, &[], &library);
    assert!(
        outcome
            .text
            .ends_with("Other questions need a model that writes captions.")
    );
}
