//! What training may gain and what it may not: held-out figures follow the reward that is given, and nothing where it means nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use namelens::rewards::row::Photo;
use namelens::rewards::{Reward, Row, repic_strict};
use namelens::rl::a2c_config::{A2cConfig, preset};
use namelens::rl::config::GrpoConfig;
use namelens::rl::course::{Outcome, RunOptions};
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::file_prompts::FilePrompts;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use namelens::rl::vlrm::A2cTrainer;
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
    // Sixteen updates in no direction: what they scatter, and less than a reward moves.
    assert!((random[1] - random[0]).abs() < 0.04, "{random:?}");
    assert!(score[1] < score[0] + 0.05, "{score:?}");
}

/// Questions whether a thing is in a photo, in files; with `shuffled` each has the photo of another question.
fn questions(folder: &Path, split: Split, count: u64, shuffled: bool) -> Prompts {
    let world = PlayroomPrompts::new(PlayroomOptions {
        split,
        prompts: count,
        present: 1..=1,
        absent: Some(1),
        tasks: vec![Task::Recognize],
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

/// Share of right answers before and after learning from them, and that of the answer which is right more often.
fn answers(shuffled: bool) -> [f64; 3] {
    let folder = tempfile::tempdir().unwrap();
    let learned = questions(folder.path(), Split::Train, 32, shuffled);
    let held = questions(folder.path(), Split::Val, 40, shuffled);
    let yes = (0..40).filter(|at| {
        let answer = held.get(*at).unwrap().columns["solution"].to_string();
        answer.to_lowercase().contains("yes")
    });
    let yes = yes.count() as f64 / 40.0;
    let config = GrpoConfig {
        learning_rate: 3e-3,
        temperature: 1.5,
        lora_dropout: 0.0,
        ..config()
    };
    let options = RunOptions {
        eval_prompts: 40,
        ..options(&folder.path().join("run"), 12)
    };
    let right = |row: &Row| repic_strict::score(row, 0.0).unwrap().unwrap_or(0.0);
    let rewards: Vec<Box<dyn Reward>> = vec![Box::new(Rule("rule", right))];
    let calm = AtomicBool::new(false);
    let outcome = train_on([&learned, &held], &options, &config, &calm, rewards).unwrap();
    let [before, after] = figures(&outcome, "eval/answers");
    [before, after, yes.max(1.0 - yes)]
}

#[test]
fn with_photos_of_other_questions_answers_stay_at_chance() {
    let [before, after, chance] = answers(true);
    println!("shuffled: {before} and then {after}; always the same answer {chance}");
    let own = answers(false);
    println!("own photos: {own:?}");
    // Forty answers at chance scatter by .08; three times that is not reached by luck.
    assert!(
        before < chance + 0.2 && after < chance + 0.2,
        "{before} {after} {chance}"
    );
    assert!(own[0] > own[2] + 0.2, "the photos tell nothing: {own:?}");
    assert!(own[1] > own[0] - 0.1, "{own:?}");
}

/// VLRM on plain captions of one thing, at a size of seconds.
#[test]
fn a2c_raises_its_held_out_figure() {
    let config = A2cConfig {
        batch_size: 16,
        max_completion_length: 16,
        value_head_hidden: 32,
        value_lora_r: 2,
        learning_rate: 1e-3,
        value_learning_rate: 1e-3,
        warmup_steps: 2,
        ..preset("vlrm").unwrap()
    };
    let run = tempfile::tempdir().unwrap();
    let options = RunOptions {
        eval_prompts: 24,
        eval_every: 5,
        ..options(run.path(), 10)
    };
    let world = |split| {
        let source = PlayroomPrompts::new(PlayroomOptions {
            split,
            tasks: vec![Task::PlainCaption],
            present: 1..=1,
            absent: Some(0),
            ..PlayroomOptions::default()
        });
        Prompts::new(Source::Playroom(source), Some(1)).unwrap()
    };
    let data = [world(Split::Train), world(Split::Val)];
    let trainer = A2cTrainer::new(&data[0], &data[1], &config, &options, Device::flex()).unwrap();
    let outcome = trainer.run(&AtomicBool::new(false)).unwrap();
    for line in namelens_tests::rl::logged(run.path()) {
        println!(
            "{} {} {} {}",
            line["step"], line["eval/looks"], line["reward"], line["entropy"]
        );
    }
    let [before, after] = figures(&outcome, "eval/looks");
    assert!(after > before, "{before} and then {after}");
}
