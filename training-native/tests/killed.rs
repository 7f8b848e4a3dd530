//! `namelens grpo` on rows of a file, killed again and again: its log, weights and completions are those of a run that was not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use namelens::train::checkpoint;
use serde_json::{Value, json};

fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

/// Rows as RePIC has them, their photos in files beside them.
fn rows(folder: &Path) -> PathBuf {
    let album = root().join("web-demo/public/album");
    std::fs::create_dir(folder.join("photos")).unwrap();
    let mut lines = String::new();
    for at in 0..6 {
        let (thing, scene) = (
            ["thing-0-0.png", "thing-1-0.png"][at % 2],
            format!("scene-{at}.png"),
        );
        for file in [thing, &scene] {
            std::fs::copy(album.join(file), folder.join("photos").join(file)).unwrap();
        }
        let row = json!({
            "image": [format!("photos/{thing}"), format!("photos/{scene}")],
            "problem": "<image>This is <Mochi>. <image>Describe the photo.",
            "solution": "<Mochi>",
            "concepts": ["<Mochi>", "<Bo>"],
            "accu_reward_method": "yes_no_name",
        });
        lines += &format!("{row}\n");
    }
    let file = folder.join("rows.jsonl");
    std::fs::write(&file, lines).unwrap();
    file
}

fn start(data: &Path, run: &Path, steps: u64, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namelens"));
    // A device that is not there: nothing may look for another than the one that was asked for.
    command.env("BURN_DEVICE", "rocm");
    command.args([
        "grpo", "--device", "cpu", "--preset", "trl", "--reward", "set-f1",
    ]);
    command.arg("--model").arg(root().join("models/playroom"));
    command.arg("--data").arg(data).arg("--eval-data").arg(data);
    command.arg("--run").arg(run);
    command.arg("--steps").arg(steps.to_string());
    command.args([
        "--save-every",
        "2",
        "--eval-every",
        "2",
        "--eval-prompts",
        "2",
    ]);
    command.args(["--completions-every", "2", "--shards", "1"]);
    for setting in [
        "use_peft=true",
        "learning_rate=1e-3",
        "num_generations=4",
        "per_device_train_batch_size=4",
        "gradient_accumulation_steps=1",
        "num_iterations=2",
        "max_completion_length=6",
        "temperature=1.3",
        "beta=0.04",
        // Something to learn even where a group is rewarded alike.
        "entropy_coef=0.01",
    ] {
        command.args(["--set", setting]);
    }
    command
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What a run that must end well says on its way.
fn ended(child: Child) {
    let out = child.wait_with_output().unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Waits for a moment of the run; `false` where it ended before.
fn until(child: &mut Child, moment: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while !moment() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "the moment never came"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

fn lines(run: &Path) -> usize {
    std::fs::read_to_string(run.join("log.jsonl")).map_or(0, |text| text.lines().count())
}

fn has(run: &Path, part: &str) -> bool {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().contains(part))
}

fn logged(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("step_time");
        line
    };
    text.lines().map(line).collect()
}

/// Everything that must not depend on whether a run was killed.
fn files(run: &Path) -> Vec<(String, Vec<u8>)> {
    let newest = checkpoint::latest(run).unwrap().unwrap();
    let mut found = vec![(
        "weights".into(),
        std::fs::read(newest.join("model.safetensors")).unwrap(),
    )];
    for folder in ["completions", "last", "best"] {
        let entries = std::fs::read_dir(run.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries.filter(|entry| entry.path().is_file()) {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            found.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_as_one_that_is_not() {
    let room = tempfile::tempdir().unwrap();
    let data = rows(room.path());
    let whole = room.path().join("whole");
    ended(start(&data, &whole, 6, &[]));
    let log = logged(&whole);
    // One line before the first step, one each step, one each evaluation.
    assert_eq!(log.len(), 1 + 6 + 3);
    assert!(
        log.iter()
            .any(|line| line["grad_norm"].as_f64().unwrap_or(0.0) > 0.0)
    );
    let killed = room.path().join("killed");
    let run = killed.as_path();
    let moments: [(&str, &dyn Fn() -> bool); 5] = [
        ("while it begins", &|| has(run, "lock")),
        ("with a first checkpoint", &|| has(run, "step-00000000")),
        ("in its first steps", &|| lines(run) >= 2),
        ("while a checkpoint is written", &|| {
            lines(run) >= 3 && has(run, ".partial")
        }),
        ("behind an evaluation", &|| lines(run) >= 7),
    ];
    let mut kills = 0;
    for (name, moment) in moments {
        let mut child = start(&data, run, 6, &[]);
        if until(&mut child, moment) {
            child.kill().unwrap();
            kills += 1;
            println!("killed {name}: {} lines", lines(run));
        }
        child.wait_with_output().unwrap();
    }
    assert!(kills >= 3, "it was too fast to be killed");
    ended(start(&data, run, 6, &[]));
    assert_eq!(log, logged(run));
    let (want, got) = (files(&whole), files(run));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&want), names(&got));
    for ((name, want), (_, got)) in want.iter().zip(&got) {
        assert!(want == got, "{name} differs");
    }
}

#[test]
fn a_folder_takes_one_process_and_the_second_changes_nothing() {
    let room = tempfile::tempdir().unwrap();
    let data = rows(room.path());
    let run = room.path().join("run");
    let mut first = start(&data, &run, 100_000, &[]);
    assert!(until(&mut first, || has(&run, "step-")));
    for more in [&[][..], &["--start-over"]] {
        let second = start(&data, &run, 100_000, more)
            .wait_with_output()
            .unwrap();
        let said = String::from_utf8_lossy(&second.stderr);
        assert!(
            !second.status.success() && said.contains("in use"),
            "{more:?}: {said}"
        );
    }
    assert!(!has(&run, "before-"));
    assert!(
        first.try_wait().unwrap().is_none(),
        "the first was disturbed"
    );
    first.kill().unwrap();
    first.wait_with_output().unwrap();
}
