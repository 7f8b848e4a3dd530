//! `namelens experiment` on the embedded model, very small: all arms run, resume, are measured once and become tables; and supervised
//! learning in the loop of reinforcement has the gradient of the log-likelihood.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use namelens::rewards::Reward;
use namelens::rl::buffer::scores;
use namelens::rl::config::{GrpoConfig, Teacher};
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::demonstrations::generate;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use namelens::rl::policy::Policy;
use namelens::rl::rollout::Draw;
use namelens::rl::step::{StepKey, gradients};
use namelens::train::Loss;
use namelens::train::gradients::Summed;
use namelens_engine::host::Still;
use playroom::Split;
use serde_json::Value;

fn model() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/playroom")
}

/// Two arms of one step, two seeds, one learning rate, two photos.
const PLAN: &str = r#"
prompts = 2
data_seed = 7
seeds = 2
conditions = [1]
[photos]
val = 2
test = 3
[gate]
prompts = 2
samples = 2
least = -1.0
[settings]
per_device_train_batch_size = 2
num_generations = 2
max_completion_length = 24
disable_dropout = true
reward_funcs = ["set-f1"]
[[arm]]
name = "gold"
label = "Gold"
steps = 1
learning_rates = [1e-3]
settings = { teacher = "gold" }
[[arm]]
name = "then"
label = "Then"
start = "gold"
steps = 1
learning_rates = [1e-4]
settings = { gradient_accumulation_steps = 2 }
[[contrast]]
better = "then"
than = "gold"
primary = true
"#;

fn namelens(folder: &Path, what: &[&str]) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_namelens"))
        .current_dir(folder)
        .args(["experiment", "--plan", "plan.toml", "--results", "results"])
        .args(what)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.success(), text(&out.stdout) + &text(&out.stderr))
}

#[test]
fn arms_run_once_are_measured_once_and_become_tables() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("plan.toml"), PLAN).unwrap();
    let base = model().display().to_string();
    let places = ["--base", base.as_str(), "--runs", "runs"];
    let with = |what: &str| -> (bool, String) { namelens(here, &[&[what], &places[..]].concat()) };
    let (fine, said) = with("run");
    assert!(fine, "{said}");
    let results = |dir: &Path| -> Vec<(String, String)> {
        let mut all: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        all.sort();
        all
    };
    let first = results(&here.join("results"));
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = [
        "base-lr0e0-seed0.json",
        "gold-lr1e-3-seed1.json",
        "gold-lr1e-3-seed2.json",
        "name-all-lr0e0-seed0.json",
        "then-lr1e-4-seed1.json",
        "then-lr1e-4-seed2.json",
    ];
    assert_eq!(names, wanted);
    let gold: Value = serde_json::from_str(&first[1].1).unwrap();
    assert_eq!(gold["compute"]["drawn_tokens"], 0);
    assert_eq!(gold["compute"]["learned_completions"], 2);
    let photos = gold["splits"]["val"]["1"]["binding"].as_str().unwrap();
    assert_eq!(photos.len(), 2 * 3, "three digits a photo");
    assert_eq!(
        gold["splits"]["test"],
        Value::Null,
        "nobody has looked at it"
    );
    let then: Value = serde_json::from_str(&first[4].1).unwrap();
    assert!(then["compute"]["drawn_tokens"].as_u64().unwrap() > 0);

    // What is finished is not run again; what is lost is, and comes out the same but for the time it took.
    std::fs::remove_file(here.join("results").join(wanted[4])).unwrap();
    let (fine, said) = with("run");
    assert!(fine && said.matches("begins").count() == 1, "{said}");
    let again = results(&here.join("results"));
    for (before, after) in first.iter().zip(&again) {
        let [mut before, mut after]: [Value; 2] =
            [before, after].map(|(_, text)| serde_json::from_str(text).unwrap());
        for value in [&mut before, &mut after] {
            value["compute"].as_object_mut().unwrap().remove("seconds");
        }
        assert_eq!(before, after);
    }

    let (fine, said) = with("test");
    assert!(fine, "{said}");
    let (fine, said) = with("test");
    assert!(fine && said.is_empty(), "measured once: {said}");
    std::fs::write(
        here.join("page.md"),
        "a\n<!-- experiment:begin -->\n<!-- experiment:end -->\nb\n",
    )
    .unwrap();
    let (fine, said) = namelens(here, &["report", "--write", "page.md", "--plots", "."]);
    assert!(fine, "{said}");
    let page = std::fs::read_to_string(here.join("page.md")).unwrap();
    for words in [
        "split `test`, 3 photos",
        "| Then less Gold |",
        "| primary |",
        "| Gold | 1e-3:",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(here.join("experiment.png").exists());
}

#[test]
fn a_base_that_cannot_be_improved_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let plan = PLAN.replace("least = -1.0", "least = 1.5");
    std::fs::write(folder.path().join("plan.toml"), plan).unwrap();
    let base = model().display().to_string();
    let (fine, said) = namelens(folder.path(), &["run", "--base", &base, "--runs", "runs"]);
    assert!(
        !fine && said.contains("pass@2 - pass@1") && said.contains("below 1.5"),
        "{said}"
    );
    assert!(!folder.path().join("runs").exists());
}

/// How far gradients are from others: sums of squares of differences, and of the others.
struct Apart {
    found: GradientsParams,
    wanted: GradientsParams,
    squares: [f64; 2],
}

impl ModuleVisitor for Apart {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let [found, wanted] =
            [&self.found, &self.wanted].map(|gradients| gradients.get::<D>(param.id));
        assert_eq!(found.is_some(), wanted.is_some());
        if let (Some(found), Some(wanted)) = (found, wanted) {
            let square =
                |values: Tensor<D>| f64::from(values.powi_scalar(2).sum().into_scalar::<f32>());
            self.squares[0] += square(found - wanted.clone());
            self.squares[1] += square(wanted);
        }
    }
}

#[test]
fn what_is_taught_has_the_gradient_of_its_log_likelihood() {
    let device = Device::flex();
    let config = GrpoConfig {
        per_device_train_batch_size: 3,
        num_generations: 3,
        teacher: Teacher::Gold,
        disable_dropout: true,
        max_completion_length: 96,
        reward_funcs: vec!["set-f1".into()],
        ..GrpoConfig::default()
    };
    config.validate().unwrap();
    let policy = Policy::open(&model(), &config, &device).unwrap();
    let options = PlayroomOptions {
        split: Split::Tune,
        prompts: 3,
        ..PlayroomOptions::default()
    };
    let prompts = Prompts::new(Source::Playroom(PlayroomPrompts::new(options)), None).unwrap();
    let mut cursor = 0;
    let mut rewards: Vec<Box<dyn Reward>> = Vec::new();
    let draw = Draw {
        number: 0,
        ranks: &namelens::ranks::Alone,
        host: &Still,
    };
    let rewards = &mut rewards;
    let mut taught = generate(&policy, &prompts, rewards, &config, draw, &mut cursor).unwrap();
    assert_eq!((cursor, taught.rows.len()), (3, 3));
    for row in &taught.rows {
        let gold = taught.prompts[row.prompt].prompt.columns["reference"][0]
            .as_str()
            .unwrap();
        assert_eq!(policy.kit.text(&row.tokens).unwrap().trim(), gold);
        let last = *row.tokens.last().unwrap();
        assert!(policy.kit.chat.ends().contains(&last), "it learns to end");
    }
    let key = StepKey {
        dropout: 0,
        fresh: true,
        entropy_coef: 0.0,
        shards: 1,
    };
    let training = device.clone().autodiff();
    let (found, _) = gradients(
        &policy.vlm,
        &mut taught,
        0..1,
        key,
        &config,
        &namelens::ranks::Alone,
        &training,
    )
    .unwrap();
    let tokens: usize = taught.rows.iter().map(|row| row.tokens.len()).sum();
    // By hand: minus the mean log-probability of the tokens.
    let mut summed = Summed::new();
    let (rows, asked) = (&taught.rows, &taught.prompts);
    summed
        .add(&policy.vlm, &training, 1, |vlm, _| {
            let logps = scores(vlm, asked, rows, 1.0)?.logps;
            let loss = -logps.sum() / tokens as f32;
            Ok(Loss::of_mean(loss, 1.0, Vec::new()))
        })
        .unwrap();
    let wanted = summed.mean(&policy.vlm, 1.0);
    let mut apart = Apart {
        found,
        wanted,
        squares: [0.0; 2],
    };
    policy.vlm.visit(&mut apart);
    let [difference, size] = apart.squares.map(f64::sqrt);
    assert!(size > 1e-3, "there is something to learn: {size}");
    // Sums of f32 in another order.
    assert!(difference < 1e-4 * size, "{difference} of {size}");
}
