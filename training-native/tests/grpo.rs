//! `namelens grpo` and `namelens a2c`: what is unknown is named, a dry run writes nothing, and a run on rows of a file ends.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use namelens::rewards::row::Photo;
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};

fn model() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/playroom")
}

fn namelens(args: &[&str]) -> (bool, String) {
    command("grpo", args)
}

fn command(name: &str, args: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    command_in(&folder.path().join("run"), name, args)
}

fn command_in(run: &Path, name: &str, args: &[&str]) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_namelens"))
        .args([name, "--device", "cpu", "--run"])
        .arg(run)
        .arg("--model")
        .arg(model())
        .args(args)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    (out.status.success(), said)
}

#[test]
fn what_is_unknown_is_named_with_the_near_miss() {
    for (args, words) in [
        (&["--preset", "repik"][..], "did you mean 'repic'"),
        (&["--set", "epsilom=1"], "did you mean 'epsilon'"),
        (&["--reward", "set_f1"], "did you mean 'set-f1'"),
        (&["--set", "num_generations=3"], "multiple"),
        (
            &[
                "--set",
                "steps_per_generation=3",
                "--set",
                "num_generations=8",
            ],
            "multiple of gradient_accumulation_steps",
        ),
        (&["--set", "repetition_penalty=1.1"], "repetition_penalty"),
        (&["--set", "num_generations_eval=4"], "num_generations_eval"),
        (&["--present", "3-1"], "range"),
        (
            &["--preset", "trl", "--max-kl", "1"],
            "not measured here: say how much it weighs in the loss (--set beta=",
        ),
        (
            &["--preset", "trl", "--tasks", "recognize,plain"],
            "set-f1 rewards names, and no prompt asks for any",
        ),
    ] {
        let (fine, said) = namelens(args);
        assert!(!fine && said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn a_row_without_its_photo_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    std::fs::write(
        &file,
        "{\"problem\": \"Who?\", \"image\": \"gone.png\", \"solution\": \"<Bo>\"}\n",
    )
    .unwrap();
    let (fine, said) = namelens(&["--data", file.to_str().unwrap()]);
    assert!(
        !fine && said.contains("row 1") && said.contains("gone.png"),
        "{said}"
    );
}

#[test]
fn a_dry_run_says_what_a_step_takes_and_writes_nothing() {
    let (fine, said) = namelens(&["--dry-run", "--set", "max_completion_length=8"]);
    assert!(fine, "{said}");
    for words in ["lora_r = 64", "MiB in all", "s to draw", "parameters learn"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// What may be said of a run that is over in a moment.
const SHORT: [&str; 8] = [
    "--steps",
    "1",
    "--eval-prompts",
    "4",
    "--set",
    "per_device_train_batch_size=4",
    "--set",
    "max_completion_length=8",
];

#[test]
fn rewards_of_names_leave_other_tasks_alone() {
    // The line of --help, smaller.
    let brief = ["--preset", "sft", "--tasks", "brief,brief,brief,plain"];
    let more = ["--set", "learning_rate=3e-4", "--set", "use_peft=false"];
    let (fine, said) = namelens(&[&brief[..], &more, &SHORT].concat());
    assert!(fine && said.contains("eval/looks"), "{said}");
    let mixed = ["--preset", "trl", "--tasks", "caption,recognize,locate"];
    let rewards = ["--reward", "set-f1", "--reward", "binding-f1"];
    let group = ["--set", "num_generations=2"];
    let (fine, said) = namelens(&[&mixed[..], &rewards, &group, &SHORT].concat());
    for words in ["eval/answers", "eval/f1", "eval/rewards/binding-f1/mean"] {
        assert!(fine && said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_run_does_not_go_on_with_other_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (folder.path().join("run"), folder.path().join("rows.jsonl"));
    let row = |n: usize| {
        format!(
            "{{\"problem\": \"Who is it?\", \"solution\": \"<T{n}>\", \"accu_reward_method\": \"yes_no_name\"}}\n"
        )
    };
    let go = |rows: usize| {
        std::fs::write(&file, (0..rows).map(row).collect::<String>()).unwrap();
        let data = ["--preset", "repic", "--data", file.to_str().unwrap()];
        let group = ["--set", "num_generations=2"];
        command_in(&run, "grpo", &[&data[..], &group, &SHORT].concat())
    };
    let (fine, said) = go(20);
    assert!(fine && said.contains("done: 1 steps"), "{said}");
    let (fine, said) = go(30);
    assert!(!fine && said.contains("data "), "{said}");
    let (fine, said) = go(20);
    assert!(fine, "{said}");
}

/// What policy and critic are after a step of `namelens a2c` at these learning rates.
fn learned(rates: [&str; 2]) -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let [policy, critic] = rates;
    let rates = [
        format!("learning_rate={policy}"),
        format!("value_learning_rate={critic}"),
    ];
    let mut args = vec!["--steps", "1", "--eval-prompts", "0"];
    for setting in [
        &rates[0],
        &rates[1],
        "batch_size=2",
        "max_completion_length=4",
        "value_head_hidden=8",
        "value_lora_r=1",
    ] {
        args.extend(["--set", setting]);
    }
    let (fine, said) = command_in(&run, "a2c", &args);
    assert!(fine, "{said}");
    let newest = namelens::train::checkpoint::latest(&run).unwrap().unwrap();
    let bytes = std::fs::read(newest.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut sides = [Vec::new(), Vec::new()];
    let mut names = file.names();
    names.sort();
    for name in names {
        let side = usize::from(namelens::rl::actor_critic::is_critic(name));
        sides[side].extend_from_slice(file.tensor(name).unwrap().data());
    }
    sides
}

#[test]
fn a_critic_learns_where_the_policy_does_not() {
    let [policy, critic] = learned(["0", "0"]);
    let [same, moved] = learned(["0", "1e-3"]);
    assert!(policy == same, "the policy moved");
    assert!(critic != moved, "the critic did not learn");
}

#[test]
fn a_bound_of_what_is_not_measured_is_refused() {
    let (fine, said) = command("a2c", &["--max-kl", "1"]);
    assert!(!fine && said.contains("leave --max-kl out"), "{said}");
}

#[test]
fn photos_that_nobody_described_are_learned_from() {
    let folder = tempfile::tempdir().unwrap();
    let world = PlayroomPrompts::new(PlayroomOptions::default());
    let mut lines = String::new();
    for at in 0..20 {
        let Some(Photo::Bytes(photo)) = world.get(at).unwrap().photos.pop() else {
            panic!("the Playroom draws its photos")
        };
        std::fs::write(folder.path().join(format!("{at}.png")), photo).unwrap();
        lines += &format!("{{\"image\": \"{at}.png\", \"problem\": \"Describe it.\"}}\n");
    }
    let file = folder.path().join("photos.jsonl");
    let short = ["--steps", "1", "--set", "batch_size=4", "--set"];
    let run = |lines: &str, more: &[&str]| {
        std::fs::write(&file, lines).unwrap();
        let data = ["--data", file.to_str().unwrap()];
        let length = ["max_completion_length=8"];
        command("a2c", &[&data[..], &short, &length, more].concat())
    };
    let (fine, said) = run(&lines, &[]);
    assert!(fine, "{said}");
    // Nothing but the dual encoder can judge them.
    let of = |name: &str| -> Vec<String> {
        let line = said.lines().find(|line| line.starts_with(name));
        let words = line.unwrap_or_else(|| panic!("{name}: {said}"));
        words
            .split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(of("eval/score"), of("eval/clip_recall_at_1"));
    let (fine, said) = run(&format!("{{\"problem\": \"Who?\"}}\n{lines}"), &[]);
    assert!(!fine && said.contains("\"Who?\" shows no photo"), "{said}");
    let (fine, said) = run(&lines, &["--tasks", "locate"]);
    assert!(!fine && said.contains("leave --tasks out"), "{said}");
}
