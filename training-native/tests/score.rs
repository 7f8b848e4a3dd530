//! `namelens score`: tables, JSON, processes that answer, die, hang or talk nonsense, and rows that are wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const ROWS: &str = r#"{"completion": "yes", "accu_reward_method": "yes_no", "solution": "yes", "concepts": ["<Bo>"]}
{"completion": "I cannot tell", "accu_reward_method": "yes_no", "solution": "no", "concepts": ["<Bo>"]}
"#;

fn score(folder: &Path, rows: &str, args: &[&str]) -> Output {
    std::fs::write(folder.join("rows.jsonl"), rows).unwrap();
    Command::new(env!("CARGO_BIN_EXE_namelens"))
        .current_dir(folder)
        .args(["score", "rows.jsonl"])
        .args(args)
        .output()
        .unwrap()
}

fn printed(rows: &str, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = score(folder.path(), rows, args);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

fn refused(rows: &str, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = score(folder.path(), rows, args);
    assert_eq!(out.status.code(), Some(1));
    assert!(out.stdout.is_empty());
    String::from_utf8(out.stderr).unwrap()
}

#[test]
fn a_table_and_the_same_as_json() {
    let table = printed(ROWS, &["--reward", "repic", "repic-strict"]);
    let cells: Vec<Vec<&str>> = table
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(cells[0], ["row", "repic", "repic-strict"]);
    assert_eq!(cells[2], ["2", "1.0000", "0.0000"]);
    assert_eq!(cells[3], ["mean", "1.0000", "0.5000"]);
    let json = printed(
        ROWS,
        &["--reward", "repic", "--reward", "repic-strict", "--json"],
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rewards"][1]["repic-strict"], 0.0);
    assert_eq!(json["metrics"]["rewards/repic-strict/mean"], 0.5);
}

#[test]
fn what_is_wrong_is_said() {
    assert!(refused(ROWS, &["--reward", "repick"]).contains("did you mean 'repic'"));
    let said = refused(ROWS, &["--reward", "covip"]);
    assert!(
        said.contains("row 1") && said.contains("'questions'"),
        "{said}"
    );
    let said = refused(
        "{\"completion\": \"a\"}\n{\"prompt\": \"b\"}\n",
        &["--reward", "repic"],
    );
    assert!(
        said.contains("rows.jsonl: line 2") && said.contains("completion"),
        "{said}"
    );
    assert!(refused("\n", &["--reward", "repic"]).contains("no rows"));
    assert!(refused(ROWS, &["--reward", "repic", "--timeout", "0"]).contains("--timeout"));
}

#[cfg(unix)]
mod processes {
    use super::*;

    fn process(script: &str) -> String {
        format!("exec:sh -c '{script}'")
    }

    #[test]
    fn a_process_is_a_reward() {
        let script = r#"while read -r line; do case "$line" in *cannot*) echo null;; *) echo 0.25;; esac; done"#;
        let out = printed(ROWS, &["--reward", &process(script), "--json"]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let name = process(script);
        assert_eq!(json["rewards"][0][&name], 0.25);
        assert!(json["rewards"][1][&name].is_null());
        assert_eq!(json["metrics"][format!("rewards/{name}/mean")], 0.25);
    }

    #[test]
    fn a_nan_is_none_and_counted() {
        let script = "while read -r line; do echo NaN; done";
        let json = printed(ROWS, &["--reward", &process(script), "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            json["metrics"][format!("rewards/{}/nan", process(script))],
            2.0
        );
    }

    #[test]
    fn a_process_that_dies_is_quoted() {
        let said = refused(
            ROWS,
            &[
                "--reward",
                &process("read -r line; echo 1; echo out of memory >&2; exit 3"),
            ],
        );
        assert!(
            said.contains("row 2 of 2") && said.contains("exit status: 3"),
            "{said}"
        );
        assert!(said.contains("out of memory"), "{said}");
        let said = refused(ROWS, &["--reward", "exec:no-such-program-here"]);
        assert!(said.contains("no-such-program-here"), "{said}");
    }

    #[test]
    fn a_process_that_hangs_is_given_up() {
        let began = Instant::now();
        let said = refused(ROWS, &["--reward", "exec:sleep 60", "--timeout", "0.5"]);
        assert!(
            said.contains("0.5 s") && said.contains("row 1 of 2"),
            "{said}"
        );
        // Far from a minute, and wide enough for a machine that is busy.
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn nonsense_is_quoted() {
        let said = refused(ROWS, &["--reward", &process("echo hello")]);
        assert!(said.contains("'hello'") && said.contains("row 1"), "{said}");
    }

    #[test]
    fn neither_side_waits_for_the_other() {
        // Far more than two pipes hold: the process says all before it reads, then reads all.
        let rows: String = (0..400)
            .map(|i| format!("{{\"completion\": \"{i} {}\"}}\n", "x".repeat(2000)))
            .collect();
        let number = format!("0.{}1", "0".repeat(400));
        let script = format!(
            "i=0; while [ $i -lt 400 ]; do echo {number}; i=$((i+1)); done; cat > /dev/null"
        );
        let out = printed(&rows, &["--reward", &process(&script)]);
        assert_eq!(out.lines().count(), 403);
    }
}
