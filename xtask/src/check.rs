//! `cargo xtask check`: format, file maps, directions of dependencies, notices, lints, documentation and types; changes nothing.

use std::process::Command;

use anyhow::Result;

use crate::paths::root;
use crate::run::{loud, stage};
use crate::toolchain::WasmToolchain;
use crate::{layers, map, notices, wasm, web};

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
    notices::notices(&notices::Options { write: false })?;
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
        let mut clippy =
            WasmToolchain::find()?.clippy(&["-p", "namelens-wasm", "--features", "webgpu"])?;
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
    web::check_types()
}

fn cargo(args: &[&str], advice: &str) -> Result<()> {
    loud(Command::new("cargo").current_dir(root()).args(args), advice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;
    use crate::run::quiet;

    #[test]
    fn no_crate_goes_to_a_registry_and_the_manifest_says_why() {
        let mut metadata = Command::new("cargo");
        metadata
            .current_dir(root())
            .args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&quiet(&mut metadata, "").unwrap()).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        assert!(packages.len() >= 6);
        for package in packages {
            // An empty list of registries: `publish = false`.
            assert_eq!(
                package["publish"],
                Value::Array(Vec::new()),
                "{}",
                package["name"]
            );
        }
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let (before, _) = manifest.split_once("\npublish = false").unwrap();
        assert!(before.lines().last().unwrap().starts_with("# "), "{before}");
    }

    #[test]
    fn ci_runs_the_commands_that_a_developer_runs() {
        let script = fs::read_to_string(root().join(".ci/run")).unwrap();
        let commands: Vec<&str> = script
            .lines()
            .filter(|line| line.starts_with("cargo "))
            .collect();
        assert_eq!(commands, ["cargo xtask check", "cargo xtask test"]);
        for command in commands {
            assert!(
                fs::read_to_string(root().join("CONTRIBUTING.md"))
                    .unwrap()
                    .contains(command),
                "{command}"
            );
        }
    }
}
