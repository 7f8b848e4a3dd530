//! Retrieval on scores made by hand: order, limits, overlaps, fallback, emptiness.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const LEFT: [f32; 4] = [0.0, 0.0, 0.4, 0.4];
const LEFT_TOO: [f32; 4] = [0.05, 0.0, 0.45, 0.4];
const RIGHT: [f32; 4] = [0.6, 0.6, 1.0, 1.0];

fn concept(name: &str, aliases: &[&str]) -> Concept {
    Concept {
        id: name.to_lowercase(),
        name: name.into(),
        aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        category: String::new(),
        info: String::new(),
        references: vec![],
        created_ms: 0,
        updated_ms: 0,
    }
}

fn scored<'a>(concept: &'a Concept, windows: &[([f32; 4], f32)], whole: f32) -> Scored<'a> {
    let windows = windows
        .iter()
        .map(|(box_, score)| Candidate {
            box_: *box_,
            score: *score,
        })
        .collect();
    Scored {
        concept,
        windows,
        whole: Some(whole),
    }
}

fn options() -> Options {
    Options::auto(0.5, 0.6)
}

/// (id, reason, has a box, score) of every concept retrieved.
fn run(
    question: &str,
    scored: &[Scored<'_>],
    options: &Options,
) -> Vec<(String, Reason, Option<[f32; 4]>, f32)> {
    retrieve(question, scored, options)
        .unwrap()
        .into_iter()
        .map(|r| (r.id, r.reason, r.box_, r.score))
        .collect()
}

fn ids(question: &str, scored: &[Scored<'_>], options: &Options) -> Vec<String> {
    retrieve(question, scored, options)
        .unwrap()
        .into_iter()
        .map(|r| r.id)
        .collect()
}

#[test]
fn named_concepts_come_first_in_question_order() {
    let (mochi, bobo, yor) = (
        concept("Mochi", &["小白"]),
        concept("Bobo", &[]),
        concept("Yor", &[]),
    );
    let list = [
        scored(&mochi, &[(LEFT, 0.55)], 0.1),
        scored(&bobo, &[], 0.1),
        scored(&yor, &[(RIGHT, 0.9)], 0.1),
    ];
    let found = run(
        "Is BOBO near <mochi>'s bed?",
        &list,
        &Options {
            top_k: 1,
            ..options()
        },
    );
    assert_eq!(
        found,
        [
            ("bobo".into(), Reason::Named, None, 0.1),
            ("mochi".into(), Reason::Named, Some(LEFT), 0.55),
            ("yor".into(), Reason::Similar, Some(RIGHT), 0.9),
        ],
        "names do not use up the one place for similar concepts"
    );
    assert_eq!(
        ids(
            "小白在哪里",
            &list,
            &Options {
                top_k: 0,
                ..options()
            }
        ),
        ["mochi"]
    );
    assert_eq!(
        ids(
            "Mochis Yorick",
            &list,
            &Options {
                top_k: 0,
                ..options()
            }
        ),
        [] as [&str; 0]
    );
}

#[test]
fn a_region_belongs_to_the_better_concept_only() {
    let (a, b) = (concept("A", &[]), concept("B", &[]));
    let list = [
        scored(&a, &[(LEFT, 0.8)], 0.0),
        scored(&b, &[(LEFT_TOO, 0.9), (RIGHT, 0.7)], 0.0),
    ];
    assert!(iou(&LEFT, &LEFT_TOO) > 0.5);
    let found = run("", &list, &options());
    assert_eq!(
        found,
        [("b".into(), Reason::Similar, Some(LEFT_TOO), 0.9)],
        "one window a concept, one concept a region"
    );
    let list = [
        scored(&a, &[(LEFT, 0.8), (RIGHT, 0.6)], 0.0),
        list[1].clone(),
    ];
    let found = run("", &list, &options());
    assert_eq!(
        found[1],
        ("a".into(), Reason::Similar, Some(RIGHT), 0.6),
        "the loser may take another region"
    );
}

#[test]
fn windows_nearly_as_good_in_the_same_place_move_the_box() {
    let a = concept("A", &[]);
    let box_of = |windows: &[([f32; 4], f32)]| {
        let found = run("", &[scored(&a, windows, 0.0)], &options());
        (found[0].2.unwrap(), found[0].3)
    };
    // A third as far from the best as counts at all, so two thirds of its weight; elsewhere and much worse count nothing.
    let (moved, score) = box_of(&[
        (LEFT, 0.9),
        (LEFT_TOO, 0.85),
        (RIGHT, 0.89),
        (LEFT_TOO, 0.6),
    ]);
    for (edge, wanted) in moved.iter().zip([0.02, 0.0, 0.42, 0.4]) {
        assert!((edge - wanted).abs() < 1e-5, "{moved:?}");
    }
    assert_eq!(score, 0.9);
    assert_eq!(box_of(&[(LEFT, 0.9)]).0, LEFT);
    assert_eq!(box_of(&[(LEFT, 0.9), (LEFT_TOO, f32::NAN)]).0, LEFT);
}

#[test]
fn at_most_top_k_by_similarity() {
    let concepts: Vec<Concept> = (0..6).map(|i| concept(&format!("C{i}"), &[])).collect();
    let window = |i: usize| [i as f32 * 0.1, 0.0, i as f32 * 0.1 + 0.09, 0.1];
    let list: Vec<Scored<'_>> = concepts
        .iter()
        .enumerate()
        .map(|(i, c)| scored(c, &[(window(i), 0.6 + i as f32 * 0.05)], 0.0))
        .collect();
    assert_eq!(ids("", &list, &options()), ["c5", "c4", "c3", "c2"]);
    assert_eq!(
        ids("C0 please", &list, &options()),
        ["c0", "c5", "c4", "c3", "c2"]
    );
    assert_eq!(
        ids(
            "",
            &list,
            &Options {
                mode: Mode::All,
                ..options()
            }
        )
        .len(),
        6
    );
}

#[test]
fn the_whole_photo_is_the_fallback_and_nothing_stays_nothing() {
    let (a, b) = (concept("A", &[]), concept("B", &[]));
    let with =
        |wa: f32, wb: f32, window: f32| [scored(&a, &[(LEFT, window)], wa), scored(&b, &[], wb)];
    assert_eq!(
        run("", &with(0.65, 0.7, 0.2), &options()),
        [("b".into(), Reason::Similar, None, 0.7)]
    );
    assert_eq!(
        ids("", &with(0.65, 0.7, 0.6), &options()),
        ["a"],
        "a window that passes makes the fallback needless"
    );
    assert!(ids("", &with(0.59, 0.59, 0.49), &options()).is_empty());
    assert!(ids("", &with(f32::NAN, f32::NAN, f32::NAN), &options()).is_empty());
    assert_eq!(
        ids("where is B?", &with(0.65, 0.7, 0.2), &options()),
        ["b"],
        "the photo is B, who is named already"
    );
    let first = retrieve("", &with(0.7, 0.7, 0.2), &options())
        .unwrap()
        .remove(0);
    assert_eq!(
        (first.id.as_str(), first.threshold),
        ("a", 0.6),
        "ties go to library order"
    );
}

#[test]
fn lists_are_kept_as_given() {
    let (a, b) = (concept("A", &[]), concept("B", &[]));
    let list = [
        scored(&a, &[(LEFT, 0.1)], 0.0),
        scored(&b, &[(RIGHT, 0.9)], 0.0),
    ];
    let explicit = |ids: &[&str]| Options {
        mode: Mode::Explicit(ids.iter().map(|i| (*i).to_owned()).collect()),
        ..options()
    };
    let found = run("A?", &list, &explicit(&["b", "a", "b"]));
    assert_eq!(
        found,
        [
            ("b".into(), Reason::Listed, Some(RIGHT), 0.9),
            ("a".into(), Reason::Listed, None, 0.1)
        ]
    );
    let error = retrieve("", &list, &explicit(&["ghost"])).unwrap_err();
    assert!(error.to_string().contains("ghost"), "{error}");
    assert!(
        ids(
            "A?",
            &list,
            &Options {
                mode: Mode::Off,
                ..options()
            }
        )
        .is_empty()
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    for bad in [
        Options {
            threshold: f32::NAN,
            ..options()
        },
        Options {
            whole_threshold: 1.5,
            ..options()
        },
        Options {
            max_iou: -0.1,
            ..options()
        },
    ] {
        assert_eq!(retrieve("", &[], &bad).unwrap_err().code(), "option");
    }
}

#[test]
fn overlap_of_senseless_boxes_is_nothing() {
    assert_eq!(iou(&LEFT, &LEFT), 1.0);
    assert_eq!(iou(&[0.0; 4], &[0.0; 4]), 0.0);
    assert_eq!(iou(&[1.0, 1.0, 0.0, 0.0], &LEFT), 0.0);
    assert_eq!(iou(&[f32::NAN; 4], &LEFT), 0.0);
}
