//! `cargo xtask check`: format, file maps, directions of dependencies, lints, documentation and types; changes nothing.

use std::process::Command;

use anyhow::Result;

use crate::paths::root;
use crate::run::{loud, stage};
use crate::toolchain::WasmToolchain;
use crate::{layers, map, wasm, web};

/// Runs the checks in the order in which they are quick, and stops at the first that fails.
///
/// # Errors
/// When a check fails; the message says what to do.
pub(crate) fn check() -> Result<()> {
    stage("format", || {
        cargo(&["fmt", "--all", "--check"], "run `cargo fmt --all`")
    })?;
    map::map(&map::Options { write: false })?;
    layers::check()?;
    stage("lints", || {
        cargo(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
            "the lints above say what to change",
        )
    })?;
    stage("lints of the browser's code", || {
        // The bindings exist only for the browser's target, so a native clippy never sees them.
        let mut clippy = WasmToolchain::find()?.cargo("clippy", &["-p", "namelens-wasm"]);
        loud(
            clippy.args(["--", "-D", "warnings"]),
            "the lints above say what to change",
        )
    })?;
    stage("documentation", || {
        let mut doc = Command::new("cargo");
        doc.current_dir(root())
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings");
        loud(&mut doc, "the warnings above say what to change")
    })?;
    wasm::build(&wasm::Options::default())?;
    web::install()?;
    web::check_types()
}

fn cargo(args: &[&str], advice: &str) -> Result<()> {
    loud(Command::new("cargo").current_dir(root()).args(args), advice)
}
