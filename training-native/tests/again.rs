//! The same command once more, and others in the same folders: what ended stays ended, and what does not belong together is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn model() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/playroom")
}

fn namelens(args: &[&str]) -> (Option<i32>, String) {
    let out: Output = Command::new(env!("CARGO_BIN_EXE_namelens"))
        .args(args)
        .output()
        .unwrap();
    let said = [&out.stdout, &out.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (out.status.code(), said.concat())
}

/// `namelens grpo` on the Playroom, as small as it goes.
fn grpo(model: &Path, run: &Path, more: &[&str]) -> (Option<i32>, String) {
    let (model, run) = (model.to_str().unwrap(), run.to_str().unwrap());
    let mut args = vec!["grpo", "--device", "cpu", "--preset", "trl", "--reward"];
    args.extend(["set-f1", "--model", model, "--run", run]);
    args.extend(["--eval-prompts", "0", "--completions-every", "0"]);
    for setting in [
        "num_generations=2",
        "per_device_train_batch_size=2",
        "gradient_accumulation_steps=1",
        "max_completion_length=4",
    ] {
        args.extend(["--set", setting]);
    }
    args.extend(more);
    namelens(&args)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_run_that_a_bound_has_ended_does_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // No completion is as long, so the bound ends it at its second step.
    let bound = ["--steps", "6", "--min-length", "100", "--patience", "2"];
    let more = [&bound[..], &["--set", "use_peft=true"]].concat();
    let mut steps = Vec::new();
    for _ in 0..2 {
        let (code, said) = grpo(&model(), &run, &more);
        assert_eq!(code, Some(0), "{said}");
        let line = said.lines().find(|line| line.starts_with("stopped after"));
        steps.push(line.unwrap_or(&said).to_owned());
    }
    assert!(
        steps[0].starts_with("stopped after 2 of 6 steps"),
        "{steps:?}"
    );
    assert_eq!(steps[0], steps[1]);
    // Whoever moves the bound wants it to go on.
    let wider = ["--steps", "3", "--min-length", "100", "--patience", "9"];
    let (code, said) = grpo(
        &model(),
        &run,
        &[&wider[..], &["--set", "use_peft=true"]].concat(),
    );
    assert!(code == Some(1) && said.contains("steps"), "{said}");
    let wider = ["--steps", "6", "--min-length", "100", "--patience", "9"];
    let (code, said) = grpo(
        &model(),
        &run,
        &[&wider[..], &["--set", "use_peft=true"]].concat(),
    );
    assert!(code == Some(0) && said.contains("done: 6 steps"), "{said}");
}

#[test]
fn a_run_is_not_gone_on_with_from_another_model_and_writes_none_into_the_one_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (run, other) = (folder.path().join("run"), folder.path().join("other"));
    copy(&model(), &other);
    let adapter = ["--steps", "1", "--set", "use_peft=true"];
    let (code, said) = grpo(&model(), &run, &adapter);
    assert_eq!(code, Some(0), "{said}");
    // The same weights elsewhere are the same model.
    let (code, said) = grpo(&other, &run, &adapter);
    assert_eq!(code, Some(0), "{said}");
    let config = other.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + "\n").unwrap();
    let (code, said) = grpo(&other, &run, &adapter);
    assert!(code == Some(1) && said.contains("weights"), "{said}");
    // A whole model within the one it is made of would be copied with it the next time.
    let inside = other.join("runs/one");
    let (code, said) = grpo(
        &other,
        &inside,
        &["--steps", "1", "--set", "use_peft=false"],
    );
    assert!(
        code == Some(1) && said.contains("within the model's folder"),
        "{said}"
    );
}

#[test]
fn a_stage_is_not_gone_on_with_other_batches_and_numbers_that_train_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().to_str().unwrap();
    std::fs::copy(
        model().join("tokenizer.json"),
        folder.path().join("tokenizer.json"),
    )
    .unwrap();
    let train = |more: &[&str]| {
        let stage = ["train", "contrastive", "--device", "cpu", "--run", run];
        namelens(&[&stage[..], more].concat())
    };
    let small = ["--steps", "1", "--shards", "1", "--batch"];
    let (code, said) = train(&[&small[..], &["1"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = train(&[&small[..], &["2"]].concat());
    assert!(
        code == Some(1) && said.contains("objective.batch 1, not 2"),
        "{said}"
    );
    for bad in [
        ["--batch", "0"],
        ["--accumulate", "0"],
        ["--turns", "0"],
        ["--steps", "0"],
        ["--lr", "nan"],
        ["--lr", "-1"],
    ] {
        let (code, said) = train(&bad);
        assert_eq!(code, Some(2), "{bad:?}: {said}");
    }
}

#[test]
fn an_export_that_fails_leaves_the_bundle_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("bundle"));
    std::fs::create_dir_all(&run).unwrap();
    copy(&model(), &out);
    // Whatever is written first would show.
    let config = out.join("config.json");
    let before = std::fs::read_to_string(&config).unwrap() + "\n";
    std::fs::write(&config, &before).unwrap();
    let (run, out_name) = (run.to_str().unwrap(), out.to_str().unwrap());
    let (code, said) = namelens(&["export", "--run", run, "--out", out_name]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), before);
    assert!(out.join("manifest.json").exists());
    let none = ["export", "--run", run, "--out", out_name];
    let (code, _) = namelens(&[&none[..], &["--calibration-photos", "0"]].concat());
    assert_eq!(code, Some(2));
}
