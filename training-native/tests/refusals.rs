//! Commands write over nothing that they read and no photo, and refuse options and places that they would not heed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::{album, fixture, put, refused, run, stderr, stdout};

fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

/// The program with no more than is said, in a folder.
fn bare(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namelens"));
    command.current_dir(folder).args(args).output().unwrap()
}

/// What a command says that ends with this code.
fn told(folder: &Path, args: &[&str], code: i32) -> String {
    let out = bare(folder, args);
    let said = stderr(&out);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
    said
}

#[test]
fn results_are_written_over_nothing_that_was_read() {
    let album = album();
    let root = album.path();
    let photo = fs::read(fixture("dog-1.jpg")).unwrap();
    put(root, "a.jpg", &photo);
    put(root, "b.jpg", &photo);
    let things = fs::read(root.join("things.json")).unwrap();
    for args in [
        // A wildcard's first photo is what the option swallows.
        &["find", "--json", "a.jpg", "b.jpg"][..],
        &["find", "photos", "--csv", "photos/cat.jpg"],
        &["find", "photos", "--json", "things.json"],
        &["find", "photos", "--json", "./photos/../things.json"],
        &["find", "photos", "--json", "photos"],
        &[
            "find",
            "photos",
            "--json",
            "nowhere/found.json",
            "--csv",
            "found.csv",
        ],
        &["library", "export", "a.jpg"],
        &["library", "export", "things.json"],
    ] {
        let error = refused(root, args);
        assert!(
            error.contains("name another file")
                || error.contains("name a file")
                || error.contains("make it first"),
            "{args:?}: {error}"
        );
        assert!(!stderr_of_progress(&error), "{args:?} began: {error}");
    }
    assert!(fs::read(root.join("a.jpg")).unwrap() == photo);
    assert!(fs::read(root.join("things.json")).unwrap() == things);
    assert!(!root.join("found.csv").exists());
    // Results of before may be replaced, and a library be exported beside itself.
    run(root, &["find", "photos", "--json", "found.json"]);
    run(root, &["find", "photos", "--json", "found.json"]);
    run(root, &["library", "export", "copy.json"]);
    assert!(serde_json::from_slice::<Value>(&fs::read(root.join("found.json")).unwrap()).is_ok());
}

/// Whether a search told of photos before it failed.
fn stderr_of_progress(said: &str) -> bool {
    said.contains("photos/s")
}

#[test]
fn a_question_without_its_photo_or_a_photo_without_its_question_is_refused() {
    let playroom = root().join("models/playroom").display().to_string();
    let photo = fixture("dog-1.jpg").display().to_string();
    let concept = format!("Rex={photo}");
    let folder = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| {
        let args = [&["ask"], args, &["--model", &playroom, "--device", "cpu"]].concat();
        told(folder.path(), &args, 1)
    };
    assert!(ask(&[&photo]).contains("the question is missing"));
    for more in [&["--concept", &concept][..], &["--all"], &["--thorough"]] {
        let said = ask(&[&["Where is Rex?"], more].concat());
        assert!(said.contains(more[0]) && said.contains("PHOTO"), "{said}");
    }
}

#[test]
fn things_that_would_take_no_part_in_a_caption_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = root().join("tests/fixtures/checkpoints/smolvlm");
    let model = model.display().to_string();
    let photo = fixture("dog-1.jpg").display().to_string();
    let concept = format!("Rex={photo}");
    let args = ["caption", &photo, "--model", &model, "--concept", &concept];
    let args = [&args[..], &["--device", "cpu"]].concat();
    assert!(told(folder.path(), &args, 1).contains("--retriever"));
    let all = [&args[..], &["--all", "--json"]].concat();
    let out = bare(folder.path(), &all);
    assert!(out.status.success(), "{}", stderr(&out));
    let outcome: Value = serde_json::from_str(&stdout(&out)).unwrap();
    assert_eq!(
        outcome["retrieved"].as_array().unwrap().len(),
        1,
        "{outcome}"
    );
}

#[test]
fn a_conversion_refuses_what_says_nothing_about_its_model() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.pth"), "PK").unwrap();
    let model = root().join("tests/fixtures/checkpoints/smolvlm");
    let model = model.display().to_string();
    for (model, option, value) in [
        ("net.pth", "--text", "f32"),
        ("net.pth", "--embeddings", "q4_0"),
        ("net.pth", "--split-size", "1"),
        ("net.pth", "--measure", "nowhere.txt"),
        (&model, "--words", "nowhere.txt"),
    ] {
        let args = ["convert", "--model", model, "--out", "out", option, value];
        let said = told(folder.path(), &args, 1);
        assert!(
            said.contains(option) && said.contains("leave it out"),
            "{said}"
        );
        assert!(!folder.path().join("out").exists(), "{option}");
    }
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.jsonl"), "").unwrap();
    let largest = u64::MAX.to_string();
    for args in [
        &["score", "c.jsonl", "--reward", "set-f1", "--penalty", "nan"][..],
        &[
            "score",
            "c.jsonl",
            "--reward",
            "set-f1",
            "--min-share",
            "nan",
        ],
        &["score", "c.jsonl", "--reward", "set-f1", "--min-share", "7"],
        &["world", "sheet", "--out", "s.png", "--rows", "0"],
        &["world", "sheet", "--out", "s.png", "--side", "0"],
        &["world", "sheet", "--out", "s.png", "--side", "5000"],
        &["world", "album", "--out", "a", "--side", "0"],
    ] {
        told(folder.path(), args, 2);
    }
    let huge = ["world", "sheet", "--out", "s.png", "--rows", &largest];
    assert!(told(folder.path(), &huge, 1).contains("too large"));
    let seed = [
        "world", "album", "--out", "a", "--side", "32", "--seed", &largest,
    ];
    let out = bare(folder.path(), &seed);
    assert!(out.status.success(), "{}", stderr(&out));
}

#[test]
fn the_line_that_help_shows_of_score_works() {
    let folder = tempfile::tempdir().unwrap();
    let row = r#"{"completion": "yes", "accu_reward_method": "yes_no", "solution": "yes", "concepts": ["<Bo>"]}"#;
    fs::write(folder.path().join("c.jsonl"), row).unwrap();
    let out = bare(folder.path(), &["score", "--help"]);
    let usage = "Usage: namelens score [OPTIONS] <FILE> --reward <NAME>...";
    assert!(stdout(&out).contains(usage), "{}", stdout(&out));
    for rewards in [&["--reward", "repic", "set-f1"][..], &["--reward", "repic"]] {
        let out = bare(folder.path(), &[&["score", "c.jsonl"], rewards].concat());
        assert!(out.status.success(), "{}", stderr(&out));
    }
}

#[test]
fn reinforcement_has_its_plots() {
    let folder = tempfile::tempdir().unwrap();
    let line = |step: u32| {
        format!(
            "{{\"step\":{step},\"reward\":0.{step},\"rewards/repic/mean\":0.{step},\"kl\":0.01,\
             \"eval/score\":0.5,\"completions/mean_length\":20.0,\"loss\":-0.1}}\n"
        )
    };
    put(
        folder.path(),
        "run/log.jsonl",
        (line(1) + &line(2)).as_bytes(),
    );
    let out = bare(folder.path(), &["curve", "--run", "run", "--out", "plots"]);
    assert!(out.status.success(), "{}", stderr(&out));
    for name in ["reward", "eval", "drift", "length", "loss"] {
        let plot = folder.path().join(format!("plots/reinforced-{name}.png"));
        assert!(plot.metadata().unwrap().len() > 1000, "{name}");
    }
}

/// A set without boxes says nothing of boxes, and one of two things nothing of libraries of three.
#[test]
fn what_was_not_measured_has_no_figure() {
    let folder = tempfile::tempdir().unwrap();
    for thing in ["dog", "can"] {
        for photo in 0..2 {
            let bytes = fs::read(fixture(&format!("{thing}-{photo}.jpg"))).unwrap();
            put(folder.path(), &format!("set/{thing}/{photo}.jpg"), &bytes);
        }
    }
    let args = ["eval", "photos", "--set", "set", "--quick", "--draws", "2"];
    let args = [&args[..], &["--json", "figures.json"]].concat();
    let out = run(folder.path(), &args);
    assert!(!stdout(&out).contains("library of 3"), "{}", stdout(&out));
    let figures = fs::read(folder.path().join("figures.json")).unwrap();
    let figures: Value = serde_json::from_slice(&figures).unwrap();
    let row = &figures["rows"][0];
    assert!(
        row["iou_half"].is_null() && row["iou_mean"].is_null(),
        "{row}"
    );
    let interval = row["top1_interval"].as_array().unwrap();
    let [low, high] = [&interval[0], &interval[1]].map(|end| end.as_f64().unwrap());
    let top1 = row["top1"].as_f64().unwrap();
    assert!(low <= top1 && top1 <= high && high <= 1.0, "{row}");
}
