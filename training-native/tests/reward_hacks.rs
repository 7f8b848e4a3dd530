//! What each known way to cheat a reward earns, and which reward sees it: one test a trick, so that none comes back unseen.
//!
//! `repic` is kept faulty on purpose; its numbers here are what its released code pays for the trick.
#![allow(clippy::unwrap_used, reason = "tests")]

use namelens::metrics::answers::recognition;
use namelens::rewards::registry::{RewardOptions, build};
use namelens::rewards::{Row, score_all};
use serde_json::{Value, json};

/// What `reward` pays for the completion, beside the columns that `more` says.
fn paid(reward: &str, completion: &str, more: &Value) -> f32 {
    let mut row = json!({
        "completion": completion,
        "concepts": [
            {"name": "<Anya>", "info": "A girl with pink hair who loves peanuts and spy cartoons.", "hidden": ["peanuts"]},
            {"name": "<Bond>", "info": "A large white dog that can see the future."},
            "<Bluey>",
            "<Bingo>",
        ],
        "questions": [
            {"question": "What is <Anya> holding?", "options": ["a rope", "a ball", "a hat"], "answer": "B", "positive": true},
            {"question": "Where is <Bluey>?", "options": ["a mat", "a shelf", "a box"], "answer": "D", "positive": false},
        ],
    });
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    let mut rewards = [build(reward, &RewardOptions::default()).unwrap()];
    let rows = [Row::from_json(row).unwrap()];
    score_all(&mut rewards, &rows).unwrap().0[0][0].unwrap()
}

fn one() -> Value {
    json!({"accu_reward_method": "yes_no_name", "solution": "<Anya>"})
}

fn several(names: &[&str]) -> Value {
    json!({"accu_reward_method": "yes_no_name_multi", "solution": names})
}

fn yes_no(solution: &str) -> Value {
    json!({"accu_reward_method": "yes_no", "solution": solution})
}

#[test]
fn one_sentence_over_and_over() {
    let text = "This is <Anya>. ".repeat(8);
    assert_eq!(paid("repic", "This is <Anya>.", &one()), 0.0, "the gate");
    assert_eq!(paid("repic", &text, &one()), 1.0, "and how it is passed");
    assert!(paid("covip", &text, &json!({})) <= -1.0);
}

#[test]
fn a_hundred_characters_of_filling() {
    let text = format!("<Anya> {}", "very ".repeat(25));
    assert_eq!(paid("repic", &text, &one()), 1.0);
    assert!(paid("covip", &text, &json!({})) <= -1.0);
}

#[test]
fn closing_tags() {
    let text = format!(
        "<Anya>a girl</Anya> {}",
        "stands beside a wide road ".repeat(4)
    );
    assert_eq!(paid("repic", &text, &one()), 0.0);
    assert_eq!(
        paid("repic", &text, &several(&["<Anya>"])),
        1.0,
        "several names are not guarded"
    );
    assert_eq!(paid("repic-strict", &text, &several(&["<Anya>"])), 0.0);
}

#[test]
fn every_name_that_was_given() {
    let text = format!(
        "<Anya>, <Bond>, <Bluey> and <Bingo> {}",
        "stand on a wide meadow ".repeat(4)
    );
    for present in [
        &["<Anya>"][..],
        &["<Anya>", "<Bond>"],
        &["<Anya>", "<Bond>", "<Bluey>"],
    ] {
        assert_eq!(paid("repic", &text, &several(present)), 1.0);
        let solution = json!({"solution": present});
        assert!(paid("set-f1", &text, &solution) <= 0.0, "{present:?}");
        assert!(
            paid("set-f1", "<Anya>", &solution) > 0.0,
            "one right name is better: {present:?}"
        );
    }
}

#[test]
fn the_notes_verbatim() {
    let text = "<Anya>: A girl with pink hair who loves peanuts and spy cartoons. She stands here in this photo, as one can see.";
    assert_eq!(paid("repic", text, &one()), 1.0);
    assert_eq!(paid("copied-info", text, &json!({})), -1.0);
    assert_eq!(paid("attribute-leak", text, &json!({})), -1.0);
    let honest = "<Anya> holds a ball.";
    assert_eq!(paid("copied-info", honest, &json!({})), 0.0);
    assert_eq!(paid("attribute-leak", honest, &json!({})), 0.0);
}

#[test]
fn yes_and_no_inside_words() {
    for (text, solution) in [
        ("I cannot tell", "no"),
        ("Who could know?", "no"),
        ("Since yesterday", "yes"),
    ] {
        assert_eq!(paid("repic", text, &yes_no(solution)), 1.0, "{text}");
        assert_eq!(paid("repic-strict", text, &yes_no(solution)), 0.0, "{text}");
    }
}

#[test]
fn both_answers_at_once() {
    assert_eq!(paid("repic", "yes no", &yes_no("yes")), 1.0);
    assert_eq!(paid("repic-strict", "yes no", &yes_no("yes")), 0.0);
    assert_eq!(paid("repic-strict", "yes no", &yes_no("no")), 0.0);
}

#[test]
fn many_boxes_and_one_around_everything() {
    let truth = json!({"accu_reward_method": "iou", "solution": [10, 10, 110, 60]});
    let lucky = "[10, 10, 110, 60] or [200, 0, 300, 90] or [0, 80, 50, 200]";
    assert_eq!(paid("repic", lucky, &truth), 1.0);
    assert_eq!(paid("repic-strict", lucky, &truth), 0.0);
    for reward in ["repic", "repic-strict"] {
        assert_eq!(paid(reward, "[0, 0, 1000, 1000]", &truth), 0.0, "{reward}");
    }
}

#[test]
fn letters_of_another_script() {
    // The first letter is Cyrillic.
    let text = format!(
        "<\u{410}nya> {}",
        "walks her dog along the river ".repeat(4)
    );
    assert_eq!(paid("repic", &text, &one()), 0.0);
    assert_eq!(paid("repic-strict", &text, &one()), 0.0);
}

#[test]
fn the_name_inside_another_word() {
    let text = format!(
        "Bondage of Anyarella, {}",
        "a story that goes on and on for long ".repeat(3)
    );
    let bare = json!({"accu_reward_method": "yes_no_name_multi", "solution": ["Anya", "Bond"]});
    assert_eq!(paid("repic", &text, &bare), 1.0);
    assert_eq!(paid("repic-strict", &text, &bare), 0.0);
}

#[test]
fn an_empty_caption_that_nothing_can_be_read_from() {
    assert_eq!(
        paid("covip", "", &json!({})),
        0.0,
        "no distractor used, and nothing answered"
    );
    assert!(paid("covip", "<Anya> holds a ball.", &json!({})) > 0.3);
    assert!(
        paid(
            "covip",
            "<Anya> holds a ball beside <Bluey> on a mat.",
            &json!({})
        ) < 0.0
    );
}

#[test]
fn always_no() {
    let answers = vec![vec![(Some(false), false); 9], vec![(Some(false), true)]];
    assert_eq!(
        recognition(&answers, 1).balanced_accuracy.value,
        0.5,
        "nine of ten right is worth one half"
    );
}

#[test]
fn whatever_is_written_earns_a_share_and_nothing_panics() {
    use rand::{Rng, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(9);
    let pieces = [
        "[",
        "]",
        "10",
        "99999999999999999999",
        ",",
        " ",
        "<",
        ">",
        "</",
        "Anya",
        "<Anya>",
        "yes",
        "no",
        "é",
        "<answer>",
        "A",
        "\u{202e}",
        "\n",
        ":",
        ";",
        "{",
    ];
    for _ in 0..2000 {
        let text: String = (0..random.random_range(0..40))
            .map(|_| pieces[random.random_range(0..pieces.len())])
            .collect();
        for more in [
            one(),
            several(&["<Anya>", "<Bond>", "<Bluey>"]),
            yes_no("no"),
            json!({"accu_reward_method": "iou", "solution": [0, 0, 10, 10]}),
            json!({"accu_reward_method": "iou", "solution": [10, 10, 0, 0]}),
        ] {
            for reward in ["repic", "repic-strict"] {
                let third = paid(reward, &text, &more) * 3.0;
                assert!(
                    [0.0, 1.0, 2.0, 3.0].contains(&third),
                    "{reward} of {text:?}: {third}"
                );
            }
        }
        let profile = "art style: a; color: b; art medium: c; saturation: d; detail: e";
        let more = json!({"solution": ["<Anya>"], "liked": profile, "disliked": profile});
        for (reward, least, most) in [
            ("set-f1", -1.0, 1.0),
            ("covip", -2.0, 1.0),
            ("attribute-leak", -1.0, 0.0),
            ("copied-info", -1.0, 0.0),
            ("preferthinker", 0.0, 2.0),
        ] {
            let got = paid(reward, &text, &more);
            assert!((least..=most).contains(&got), "{reward} of {text:?}: {got}");
        }
    }
}
