//! `namelens grpo` and `namelens a2c`: what is unknown is named, a dry run writes nothing, and a run on rows of a file ends.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
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
    let out = Command::new(env!("CARGO_BIN_EXE_namelens"))
        .args([name, "--device", "cpu", "--run"])
        .arg(folder.path().join("run"))
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
