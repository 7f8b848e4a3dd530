//! A reader that goes away, as in `cargo xtask map | head -1`, ends a command quietly.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Stdio};

/// The end of a pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn commands_whose_output_nobody_reads_end_well() {
    for args in [&["--help"][..], &["mutants", "--list"]] {
        let out = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(args)
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
    let status = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["mutants", "--only", "no-such-bug"])
        .stdout(closed())
        .stderr(closed())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
