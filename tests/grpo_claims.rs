//! What training may gain and what it may not: held-out figures follow the reward that is given, and nothing where it means nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use namelens::rewards::row::Photo;
use namelens::rewards::{Reward, Row, columns};
use namelens::rl::config::GrpoConfig;
use namelens::rl::course::{Outcome, RunOptions};
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::file_prompts::FilePrompts;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use namelens_engine::random::Stream;
use namelens_engine::text::Part;
use namelens_tests::rl::{Rule, config, letters, options, prompts, train_on};
use playroom::{Split, Task};
use serde_json::{Value, json};

/// A held-out figure before and after.
fn figures(outcome: &Outcome, name: &str) -> [f64; 2] {
    let before = outcome.before.as_ref().unwrap()[name];
    [before, outcome.after.as_ref().unwrap().1[name]]
}

/// A run whose reward is `rule`; the share of the letter `e` is measured and counts nothing.
fn follows(rule: impl FnMut(&Row) -> f32 + Send + 'static) -> Outcome {
    let config = GrpoConfig {
        // At which the reward that means something is won altogether in these few steps.
        learning_rate: 1e-2,
        lora_dropout: 0.0,
        reward_funcs: vec!["rule".into(), "letters".into()],
        reward_weights: Some(vec![1.0, 0.0]),
        ..config()
    };
    let run = tempfile::tempdir().unwrap();
    let options = RunOptions {
        eval_prompts: 24,
        ..options(run.path(), 16)
    };
    let rewards: Vec<Box<dyn Reward>> = vec![
        Box::new(Rule("rule", rule)),
        Box::new(Rule("letters", letters)),
    ];
    let data = [&prompts(Split::Train), &prompts(Split::Val)];
    train_on(data, &options, &config, &AtomicBool::new(false), rewards).unwrap()
}

#[test]
fn held_out_figures_rise_with_their_reward_fall_with_its_opposite_and_not_with_chance() {
    let share = |outcome: Outcome| figures(&outcome, "eval/rewards/letters/mean");
    let given = share(follows(letters));
    let turned = share(follows(|row| -letters(row)));
    let mut stream = Stream::keyed(&[5]);
    let random = follows(move |_| stream.uniform() as f32);
    let score = figures(&random, "eval/score");
    let random = share(random);
    println!(
        "letters: rewarded {given:?}, punished {turned:?}, at random {random:?}; score {score:?}"
    );
    assert!(given[1] > given[0] + 0.05, "{given:?}");
    assert!(turned[1] < turned[0] - 0.02, "{turned:?}");
    // Sixteen updates in no direction may do harm. Some scatter, less than a reward moves, is no gain.
    assert!(random[1] < random[0] + 0.04, "{random:?}");
    assert!(score[1] < score[0] + 0.05, "{score:?}");
}

/// Photos to describe, in files; with `shuffled` each has the photo of another row.
fn questions(folder: &Path, split: Split, count: u64, shuffled: bool) -> Prompts {
    let world = PlayroomPrompts::new(PlayroomOptions {
        split,
        prompts: count,
        present: 1..=1,
        absent: Some(0),
        tasks: vec![Task::PlainCaption],
        ..PlayroomOptions::default()
    });
    let asked: Vec<_> = (0..count).map(|at| world.get(at).unwrap()).collect();
    let mut lines = String::new();
    for (at, prompt) in asked.iter().enumerate() {
        let other = &asked[if shuffled { (at + 1) % asked.len() } else { at }];
        let (references, _) = prompt.photos.split_at(prompt.photos.len() - 1);
        let photos = references.iter().chain(other.photos.last());
        let files = photos.enumerate().map(|(number, photo)| {
            let file = format!("{}-{at}-{number}.png", split.word());
            let Photo::Bytes(bytes) = photo else {
                panic!("the Playroom draws its photos")
            };
            std::fs::write(folder.join(&file), bytes).unwrap();
            file
        });
        let mut row = Value::Object(prompt.columns.clone());
        row["images"] = files.collect();
        let part = |part: &Part| match part {
            Part::Image => json!({"type": "image"}),
            Part::Text(text) => json!({"type": "text", "text": text}),
        };
        let turn = |message: &namelens_engine::text::Message| {
            json!({
                "role": message.role,
                "content": message.content.iter().map(part).collect::<Value>(),
            })
        };
        row["prompt"] = prompt.messages.iter().map(turn).collect();
        lines += &format!("{row}\n");
    }
    let file = folder.join(format!("{}.jsonl", split.word()));
    std::fs::write(&file, lines).unwrap();
    Prompts::new(Source::File(FilePrompts::open(&file).unwrap()), None).unwrap()
}

/// Share of the words for what is in a photo that a caption has.
fn looks(row: &Row) -> f32 {
    let wanted = columns::texts(row, "looks").unwrap();
    let text = row.completion.to_lowercase();
    let said = wanted.iter().filter(|word| text.contains(word.as_str()));
    said.count() as f32 / wanted.len().max(1) as f32
}

/// That share of held-out captions before and after learning from it.
fn described(shuffled: bool) -> [f64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let learned = questions(folder.path(), Split::Train, 16, shuffled);
    let held = questions(folder.path(), Split::Val, 32, shuffled);
    let config = GrpoConfig {
        learning_rate: 1e-3,
        temperature: 1.3,
        max_completion_length: 16,
        lora_dropout: 0.0,
        ..config()
    };
    let options = RunOptions {
        eval_prompts: 32,
        ..options(&folder.path().join("run"), 8)
    };
    let rewards: Vec<Box<dyn Reward>> = vec![Box::new(Rule("rule", looks))];
    let calm = AtomicBool::new(false);
    let outcome = train_on([&learned, &held], &options, &config, &calm, rewards).unwrap();
    figures(&outcome, "eval/looks")
}

#[test]
fn with_photos_of_other_rows_what_is_said_stays_at_chance() {
    let other = described(true);
    let own = described(false);
    println!("photos of others: {other:?}, own: {own:?}");
    // A colour is one of twelve, a kind one of sixteen; what is said most often fits a little more often.
    assert!(other[0] < 0.3 && other[1] < 0.35, "{other:?}");
    assert!(
        own[0] > other[1] + 0.25 && own[1] > other[1] + 0.25,
        "{own:?}"
    );
}
