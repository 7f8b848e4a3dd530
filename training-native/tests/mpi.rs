//! `mpirun -n 2 namelens grpo`: two processes make the steps that one makes with twice the micro-batches. Needs `--features mpi`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

fn train(mut command: Command, run: &Path, rounds: usize, more: &[&str]) -> Output {
    command.args([
        "grpo", "--device", "cpu", "--preset", "repic", "--reward", "set-f1",
    ]);
    command
        .arg("--model")
        .arg(root().join("models/playroom"))
        .arg("--run")
        .arg(run);
    command.args([
        "--steps",
        "2",
        "--eval-prompts",
        "2",
        "--present",
        "1",
        "--shards",
        "1",
    ]);
    let rounds = format!("gradient_accumulation_steps={rounds}");
    for setting in [
        &rounds,
        "steps_per_generation=none",
        "num_generations=4",
        "per_device_train_batch_size=4",
        "max_completion_length=12",
        "temperature=1.2",
        "scale_rewards=batch",
        "top_entropy_quantile=0.7",
    ] {
        command.args(["--set", setting]);
    }
    command.args(more).output().unwrap()
}

fn two() -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "-n", "2"]);
    command.arg(env!("CARGO_BIN_EXE_namelens"));
    // Between two processes of one machine nothing else is needed, and looking for more takes seconds.
    command
        .env("OMPI_MCA_btl", "self,vader")
        .env("OMPI_MCA_pml", "ob1");
    command
}

fn said(out: &Output) -> String {
    let text = [&out.stdout, &out.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    text.concat()
}

fn logged(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn two_processes_make_the_steps_of_one() {
    let room = tempfile::tempdir().unwrap();
    let (one, both) = (room.path().join("one"), room.path().join("two"));
    let alone = train(Command::new(env!("CARGO_BIN_EXE_namelens")), &one, 4, &[]);
    assert!(alone.status.success(), "{}", said(&alone));
    let together = train(two(), &both, 2, &[]);
    assert!(together.status.success(), "{}", said(&together));
    assert_eq!(
        said(&together).matches("done: 2 steps").count(),
        1,
        "{}",
        said(&together)
    );
    let (one, both) = (logged(&one), logged(&both));
    assert_eq!(one.len(), both.len());
    let mut compared = 0;
    for (one, two) in one.iter().zip(&both) {
        // The second step begins where the first one's rounding left it.
        let bar = if one["step"] == 2 { 2e-2 } else { 1e-4 };
        for (name, value) in one.as_object().unwrap() {
            let (value, other) = (value.as_f64().unwrap(), two[name].as_f64().unwrap());
            let close = (value - other).abs() <= bar * value.abs().max(1e-2);
            assert!(close || name == "step_time", "{name}: {other}, not {value}");
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
    assert!(
        one.iter()
            .any(|line| line["grad_norm"].as_f64().unwrap_or(0.0) > 1e-4)
    );
}

#[test]
fn where_one_process_fails_all_end() {
    let room = tempfile::tempdir().unwrap();
    // The lock is held: only the rank that leads looks, and the other hears of it.
    let run = room.path().join("run");
    let _held = namelens::train::run_lock::RunLock::take(&run).unwrap();
    let out = train(two(), &run, 2, &[]);
    assert!(!out.status.success());
    assert!(said(&out).contains("in use"), "{}", said(&out));
}
