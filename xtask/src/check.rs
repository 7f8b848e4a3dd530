//! `cargo xtask check`: format, file maps, files that documents name, directions of dependencies, notices, lock files, lints, docs and types; changes nothing.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::root;
use crate::run::{loud, stage};
use crate::toolchain::WasmToolchain;
use crate::{doc_paths, layers, map, notices, wasm, web};

/// Options of `cargo xtask check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Instead: lints and tests of training in several processes, for which MPI and libclang must be installed
    #[arg(long)]
    mpi: bool,
    /// Instead: whether everything compiles with CUDA; rebuilds most dependencies
    #[arg(long, conflicts_with = "mpi")]
    cuda: bool,
}

/// Runs the checks in the order in which they are quick, and stops at the first that fails.
///
/// # Errors
/// When a check fails; the message says what to do.
pub(crate) fn check(options: &Options) -> Result<()> {
    if options.mpi {
        return mpi();
    }
    if options.cuda {
        return cuda();
    }
    stage("format", || {
        cargo(&["fmt", "--all", "--check"], "run `cargo fmt --all`")
    })?;
    map::map(&map::Options { write: false })?;
    doc_paths::check()?;
    layers::check()?;
    notices::notices(&notices::Options { write: false })?;
    stage("lock file of the fuzz targets", || {
        // A workspace of its own, which nothing here builds: nobody else would notice.
        let fuzz = ["update", "--workspace", "--locked", "--manifest-path"];
        cargo(
            &[&fuzz[..], &["tests/fuzz/Cargo.toml"]].concat(),
            "the same command without --locked mends it",
        )
    })?;
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
        let mut clippy = WasmToolchain::find()?.clippy(&[
            "-p",
            "namelens-wasm",
            "--features",
            "webgpu,threads",
        ])?;
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

/// What the default build leaves out because it needs an MPI: burn's features are the same, so little is built anew.
fn mpi() -> Result<()> {
    let features = ["--workspace", "--features", "namelens/mpi"];
    let advice = "on Debian: apt-get install libopenmpi-dev openmpi-bin libclang-dev";
    stage("lints with MPI", || {
        let end = ["--all-targets", "--", "-D", "warnings"];
        cargo(&[&["clippy"], &features[..], &end[..]].concat(), advice)
    })?;
    stage("two processes", || {
        let end = ["--test", "mpi"];
        cargo(&[&["test"], &features[..], &end[..]].concat(), advice)
    })
}

/// Compiles with CUDA. The crate that would download LLVM is replaced, and the lock file is put back as it was.
fn cuda() -> Result<()> {
    let stand_in = root().join("xtask/cuda/cubecl-llvm");
    let lock = root().join("Cargo.lock");
    let before = fs::read(&lock).context("reading Cargo.lock")?;
    let patch = format!(
        "patch.crates-io.cubecl-llvm.path={:?}",
        stand_in.display().to_string()
    );
    let checked = stage("types with CUDA", || {
        let args = [
            "check",
            "-p",
            "namelens",
            "-p",
            "namelens-tests",
            "--all-targets",
            "--features",
            "namelens/cuda,namelens-tests/cuda",
            "--config",
            &patch,
        ];
        cargo(&args, "the errors above say what to change")
    });
    fs::write(&lock, before).context("putting Cargo.lock back")?;
    checked
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
