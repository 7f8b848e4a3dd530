//! A reader that goes away, as in `namelens check --json | head -1`, ends a command quietly.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

fn namelens(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namelens"));
    command.current_dir(root()).args(args);
    command
}

/// The end of a pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// The commands that print, with what they need.
fn commands(folder: &Path) -> Vec<Vec<String>> {
    let report = folder.join("report.json");
    let empty = r#"{"split":"val","split_digest":"d","seed":1,"model":"m","rows":[]}"#;
    std::fs::write(&report, empty).unwrap();
    let run = folder.join("run/contrastive");
    std::fs::create_dir_all(&run).unwrap();
    let log = "{\"step\":1,\"loss\":2.0}\n{\"step\":2,\"loss\":1.0}\n";
    std::fs::write(run.join("log.jsonl"), log).unwrap();
    let text = |path: PathBuf| path.display().to_string();
    let (run, plots, sheet) = (
        text(folder.join("run")),
        text(folder.join("plots")),
        text(folder.join("sheet.png")),
    );
    let photo = "web-demo/public/album/scene-0.png";
    let all: [&[&str]; 9] = [
        &["--help"],
        &["eval", "--help"],
        &["check", "models/playroom"],
        &["check", "models/playroom", "--json"],
        &["world", "splits"],
        &["world", "sheet", "--out", &sheet],
        &["card", &text(report)],
        &["curve", "--run", &run, "--out", &plots],
        &["caption", photo, "--model", "models/playroom"],
    ];
    all.iter()
        .map(|args| args.iter().map(|arg| (*arg).to_owned()).collect())
        .collect()
}

#[test]
fn commands_whose_output_nobody_reads_end_well() {
    let folder = tempfile::tempdir().unwrap();
    for args in commands(folder.path()) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let out = namelens(&args)
            .stdout(closed())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {:?} {errors}", out.status);
        assert_eq!(errors, "", "{args:?}");
    }
}

#[test]
fn errors_that_nobody_reads_are_still_errors() {
    for args in [
        &["check", "nowhere"][..],
        &["card", "nowhere.json"],
        &["no-such-command"],
    ] {
        let status = namelens(args)
            .stdout(closed())
            .stderr(closed())
            .env("RUST_LOG", "trace")
            .status()
            .unwrap();
        let code = status.code().unwrap();
        assert!(code == 1 || code == 2, "{args:?}: {code}");
    }
}

#[test]
fn one_line_can_be_taken_of_many() {
    let mut child = namelens(&["check", "models/playroom", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    // Dropped at the end of the statement, as `head -1` goes away.
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert_eq!(first, "{\n");
    let mut errors = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), errors.as_str()),
        (Some(0), "")
    );
}
