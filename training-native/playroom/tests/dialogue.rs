//! Every answer follows from the truth of its sample.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;

use playroom::{
    Sample, SampleOptions, Task, Turn, format_box, refusal_class, sample, sample_tasks,
};

/// Samples with every task in every dialogue.
fn samples(count: u64) -> impl Iterator<Item = Sample> {
    let tasks: Vec<Task> = Task::MIX.iter().map(|&(task, _)| task).collect();
    let options = SampleOptions {
        side: 32,
        lookalike_rate: 0.5,
        ..Default::default()
    };
    (0..count).map(move |seed| sample_tasks(seed, &options, &tasks))
}

fn turn(sample: &Sample, task: Task) -> &Turn {
    sample.turns.iter().find(|turn| turn.task == task).unwrap()
}

/// The names in angle brackets, in order.
fn names(text: &str) -> Vec<&str> {
    text.split('<')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('>')?.0))
        .collect()
}

#[test]
fn captions_name_every_present_concept_once_from_left_to_right() {
    for drawn in samples(200) {
        let answer = &turn(&drawn, Task::Caption).answer;
        let truth: Vec<&str> = drawn
            .things
            .iter()
            .filter_map(|thing| Some(drawn.concepts[thing.concept?].name.as_str()))
            .collect();
        assert_eq!(names(answer), truth, "{answer}");
        let middle = |thing: &playroom::ThingTruth| thing.box_px[0] + thing.box_px[2];
        assert!(
            drawn
                .things
                .windows(2)
                .all(|pair| middle(&pair[0]) <= middle(&pair[1]))
        );
        for mistake in [",,", ",.", "  ", ", and and", " ,"] {
            assert!(!answer.contains(mistake), "{mistake:?} in {answer}");
        }
        assert!(
            answer.to_lowercase().contains(drawn.place.word()),
            "{answer}"
        );
    }
}

#[test]
fn plain_captions_name_nobody_and_mention_every_colour() {
    for drawn in samples(100) {
        let answer = &turn(&drawn, Task::PlainCaption).answer;
        assert!(names(answer).is_empty(), "{answer}");
        for thing in &drawn.things {
            assert!(
                answer.to_lowercase().contains(thing.identity.body.word()),
                "{answer}"
            );
            assert!(answer.contains(thing.identity.category.word()), "{answer}");
        }
    }
}

#[test]
fn a_photo_without_concepts_gets_a_caption_without_names() {
    let options = SampleOptions {
        present: 0..=0,
        noise: 1..=2,
        side: 32,
        ..Default::default()
    };
    for seed in 0..40 {
        let drawn = sample_tasks(seed, &options, &[Task::Caption]);
        assert!(!drawn.things.is_empty());
        assert!(
            names(&drawn.turns[0].answer).is_empty(),
            "{}",
            drawn.turns[0].answer
        );
    }
}

#[test]
fn a_lone_concept_is_there_as_often_as_not_and_asked_about_fittingly() {
    let options = SampleOptions {
        alone: true,
        strangers: 2,
        side: 32,
        ..Default::default()
    };
    let tasks: Vec<Task> = Task::MIX.iter().map(|(task, _)| *task).collect();
    let mut here = 0;
    for seed in 0..400 {
        let drawn = sample_tasks(seed, &options, &tasks);
        assert_eq!(drawn.concepts.len(), 1);
        let shown = drawn.things.iter().any(|thing| thing.concept.is_some());
        let strangers = drawn.things.iter().filter(|t| t.concept.is_none());
        assert!(strangers.count() >= 2, "seed {seed}");
        here += usize::from(shown);
        let out_of_place = |turn: &&playroom::Turn| match turn.task {
            Task::Locate | Task::VisualQa => !shown,
            Task::RefuseAbsent => shown,
            Task::Recognize => turn.answer != if shown { "Yes." } else { "No." },
            _ => false,
        };
        assert_eq!(drawn.turns.iter().find(out_of_place), None, "seed {seed}");
    }
    // 400 fair coins: 50 off the middle is five standard deviations.
    assert!((150..=250).contains(&here), "{here} of 400 are there");
}

#[test]
fn yes_and_no_are_balanced_and_true() {
    let mut yes = 0;
    for drawn in samples(600) {
        let asked = turn(&drawn, Task::Recognize);
        let shown = drawn
            .things
            .iter()
            .any(|thing| thing.concept == asked.subject);
        assert_eq!(asked.answer, if shown { "Yes." } else { "No." });
        yes += usize::from(shown);
    }
    // 600 fair coins: 60 off the middle is five standard deviations.
    assert!((240..=360).contains(&yes), "{yes} of 600 are yes");
}

#[test]
fn boxes_are_the_thing_in_whole_percent() {
    for drawn in samples(100) {
        let asked = turn(&drawn, Task::Locate);
        let thing = drawn
            .things
            .iter()
            .find(|thing| thing.concept == asked.subject)
            .unwrap();
        assert_eq!(asked.answer, format_box(thing.box_px));
        let numbers: Vec<f32> = asked
            .answer
            .trim_matches(['[', ']'])
            .split(", ")
            .map(|number| number.parse().unwrap())
            .collect();
        for (number, share) in numbers.iter().zip(thing.box_px) {
            assert!(
                (number / 100.0 - share).abs() <= 0.0101,
                "{} {:?}",
                asked.answer,
                thing.box_px
            );
        }
    }
    assert_eq!(format_box([0.0, 0.999, 1.0, 0.125]), "[0, 99, 99, 12]");
}

#[test]
fn visual_answers_follow_from_the_thing() {
    let mut kinds = HashSet::new();
    for drawn in samples(400) {
        let asked = turn(&drawn, Task::VisualQa);
        let at = drawn
            .things
            .iter()
            .position(|thing| thing.concept == asked.subject)
            .unwrap();
        let thing = &drawn.things[at];
        let name = &drawn.concepts[asked.subject.unwrap()].name;
        let kind = asked.question.replace(&format!("<{name}>"), "X");
        let neighbour = |at: usize| {
            let concept = drawn.things[at].concept.unwrap();
            format!("<{}>", drawn.concepts[concept].name)
        };
        let truth = match kind.as_str() {
            "What colour is X?" => thing.identity.body.word().to_owned(),
            "What pattern does X have?" => thing.identity.pattern.word().to_owned(),
            "What is X wearing?" => thing.identity.wears(),
            "What mark does X have?" => thing.identity.marked(),
            "What is X doing?" => thing.pose.clone(),
            "What kind of thing is X?" => format!("a {}", thing.identity.category.word()),
            "Where was this photo taken?" => drawn.place.word().to_owned(),
            "How many things are there?" => {
                ["one", "two", "three", "four", "five"][drawn.things.len() - 1].to_owned()
            }
            "Who is left of X?" => neighbour(at - 1),
            "Who is right of X?" => neighbour(at + 1),
            other => panic!("unknown question {other}"),
        };
        assert_eq!(
            asked.answer.to_lowercase(),
            format!("{}.", truth.to_lowercase()),
            "{kind}"
        );
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 10, "{kinds:?}");
}

#[test]
fn info_answers_stand_in_the_info_line() {
    for drawn in samples(150) {
        for concept in &drawn.concepts {
            assert!(concept.info.len() <= 120 && !concept.info.contains(['\n', '<', '>']));
        }
        let asked = turn(&drawn, Task::InfoQa);
        let info = drawn.concepts[asked.subject.unwrap()].info.to_lowercase();
        let told = asked.answer.to_lowercase();
        assert!(
            info.contains(told.trim_end_matches('.')),
            "{told} not in {info}"
        );
    }
    let options = SampleOptions {
        side: 32,
        ..Default::default()
    };
    let all: Vec<Sample> = (0..60).map(|seed| sample(seed, &options)).collect();
    let empty = all
        .iter()
        .flat_map(|drawn| &drawn.concepts)
        .filter(|c| c.info.is_empty())
        .count();
    assert!(empty > 0, "no concept comes without info");
}

#[test]
fn refusals_are_recognised_and_nothing_else_is() {
    for drawn in samples(200) {
        for said in &drawn.turns {
            let refusal = matches!(said.task, Task::RefuseAbsent | Task::RefuseUnknown);
            let expected = refusal.then_some(said.task);
            assert_eq!(refusal_class(&said.answer), expected, "{}", said.answer);
        }
        let absent = turn(&drawn, Task::RefuseAbsent);
        assert!(
            drawn
                .things
                .iter()
                .all(|thing| thing.concept != absent.subject)
        );
        let stranger = names(&turn(&drawn, Task::RefuseUnknown).question)[0].to_owned();
        assert!(
            drawn
                .concepts
                .iter()
                .all(|concept| concept.name != stranger)
        );
    }
    for other in [
        "",
        "Yes.",
        "<> is not in the image.",
        "<A> is not in the image",
        "I do not know.",
    ] {
        assert_eq!(refusal_class(other), None, "{other:?}");
    }
}

#[test]
fn options_hold_and_the_mix_is_the_published_one() {
    let options = SampleOptions {
        present: 2..=3,
        noise: 1..=2,
        turns: 8,
        side: 32,
        ..Default::default()
    };
    let mut captions = 0;
    for seed in 0..250 {
        let drawn = sample(seed, &options);
        assert_eq!((drawn.seed, drawn.turns.len()), (seed, 8));
        let present = drawn
            .things
            .iter()
            .filter(|thing| thing.concept.is_some())
            .count();
        assert!((2..=3).contains(&present));
        assert!((1..=2).contains(&(drawn.concepts.len() - present)));
        let names: HashSet<&str> = drawn.concepts.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), drawn.concepts.len());
        captions += drawn
            .turns
            .iter()
            .filter(|turn| turn.task == Task::Caption)
            .count();
    }
    // A quarter of 2000 turns; 100 off is five standard deviations.
    assert!(
        (400..=600).contains(&captions),
        "{captions} captions in 2000 turns"
    );
}
