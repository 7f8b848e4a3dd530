//! `cargo xtask test`: every test there is, in three suites, and one line that adds them up.

use std::process::Command;

use anstream::{eprintln, println};
use anyhow::{Context, Result, bail};

use crate::paths::{root, script, which};
use crate::run::{self, stage};
use crate::system::Need;
use crate::tally::Tally;
use crate::toolchain::WasmToolchain;
use crate::{bench, demo, packages, system, wasm};

/// One family of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Unit, cross-crate and documentation tests, on the CPU and on a software Vulkan adapter
    Rust,
    /// The engine inside a headless Chromium
    Wasm,
    /// The package in Node, the page in a headless Chromium, the packed package in apps of other tools
    Browser,
}

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run one suite only
    #[arg(long)]
    only: Option<Suite>,
}

/// Runs the suites, all of them even when one fails, and ends with `N passed, N failed`.
///
/// # Errors
/// When a test failed or was skipped, a suite could not be set up or ran no test, or something is missing that one of them needs;
/// that is told before anything is built.
pub(crate) fn test(options: &Options) -> Result<()> {
    let mut chosen = vec![Suite::Rust, Suite::Wasm, Suite::Browser];
    chosen.retain(|suite| options.only.is_none_or(|only| only == *suite));
    prepare(&chosen)?;
    let mut total = Tally::default();
    for suite in chosen {
        let done = match suite {
            Suite::Rust => rust(),
            Suite::Wasm => wasm_in_chromium(),
            Suite::Browser => browser(),
        };
        match done {
            Ok(tally) => total += tally,
            Err(error) => {
                eprintln!("\nerror: suite {suite:?}: {error:#}\n");
                // A suite that did not come to its tests is one failure.
                total.failed += 1;
            }
        }
    }
    let Tally {
        passed,
        failed,
        skipped,
    } = total;
    if skipped > 0 {
        println!("{skipped} skipped: a test that does not run proves nothing; run it or remove it");
    }
    println!("{passed} passed, {failed} failed");
    if failed + skipped > 0 || passed == 0 {
        bail!(
            "not everything passed; `cargo xtask test --only rust|wasm|browser` repeats one suite"
        );
    }
    Ok(())
}

/// What a suite needs of the machine.
fn needs(suite: Suite) -> &'static [&'static Need] {
    match suite {
        Suite::Rust => &[&system::SOFTWARE_VULKAN],
        Suite::Wasm => &[&system::CHROMIUM, &system::CHROMEDRIVER],
        Suite::Browser => &[&system::NODE, &system::CHROMIUM],
    }
}

/// Asks for what all of these suites need before the first of them builds for half an hour.
fn prepare(chosen: &[Suite]) -> Result<()> {
    let needs: Vec<&Need> = chosen.iter().flat_map(|s| needs(*s)).copied().collect();
    system::provide(&needs)?;
    if chosen.iter().any(|suite| *suite != Suite::Rust) {
        WasmToolchain::find()?;
    }
    Ok(())
}

/// The Rust tests of the workspace and its documentation.
fn rust() -> Result<Tally> {
    let has_nextest = which("cargo-nextest").is_some();
    let tests: &[&str] = if has_nextest {
        &["nextest", "run", "--workspace"]
    } else {
        &[
            "test",
            "--workspace",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
        ]
    };
    let mut tally = counted("Rust tests", &mut native_cargo(tests))?;
    tally += counted(
        "documentation tests",
        &mut native_cargo(&["test", "--workspace", "--no-fail-fast", "--doc"]),
    )?;
    Ok(tally)
}

/// cargo for native tests: GPU tests see the software adapter even on a machine with a GPU, so that
/// they give the same numbers everywhere.
fn native_cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args(args)
        .env("CARGO_TERM_COLOR", "never");
    if let Some(lavapipe) = system::lavapipe() {
        // The first name is for loaders before 1.3.207, the second for those after.
        cargo
            .env("VK_ICD_FILENAMES", &lavapipe)
            .env("VK_DRIVER_FILES", &lavapipe);
    }
    cargo
}

/// The wasm crate's own tests, run by wasm-bindgen's runner in a headless Chromium.
fn wasm_in_chromium() -> Result<Tally> {
    let driver = system::chromedriver().context("no chromedriver; set CHROMEDRIVER to its path")?;
    let toolchain = WasmToolchain::find()?;
    println!("wasm toolchain: {}", toolchain.describe());
    let bindgen = wasm::bindgen_tools()?;
    let mut cargo = toolchain.cargo(
        "test",
        &[
            "-p",
            "namelens-wasm",
            "--features",
            "webgpu",
            "--tests",
            "--no-fail-fast",
        ],
    );
    cargo
        .env("CARGO_TERM_COLOR", "never")
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
            bindgen.join("wasm-bindgen-test-runner"),
        )
        .env("CHROMEDRIVER", driver)
        .env("WASM_BINDGEN_USE_BROWSER", "1")
        // A software adapter needs minutes for what a GPU does at once.
        .env("WASM_BINDGEN_TEST_TIMEOUT", "600");
    counted("wasm tests in Chromium", &mut cargo)
}

/// The package's tests in Node, then in strangers' apps, then the page's in Chromium.
fn browser() -> Result<Tally> {
    demo::build_page()?;
    let mut npm = Command::new(script("npm"));
    npm.current_dir(root())
        .args(["test", "--workspace", "namelens"]);
    let mut tally = counted("package tests in Node", &mut npm)?;
    tally += packages::package_tests()?;
    tally += demo::browser_tests(&[])?;
    tally += gates()?;
    Ok(tally)
}

/// What benches ask before a time counts, without the times.
fn gates() -> Result<Tally> {
    stage("gates of the benches", || {
        let mut tally = Tally::default();
        for (name, held) in bench::gates() {
            match held {
                Ok(()) => tally.passed += 1,
                Err(error) => {
                    eprintln!("{name}: FAILED, {error:#}");
                    tally.failed += 1;
                }
            }
        }
        Ok(tally)
    })
}

/// Runs a test program and counts; one that fails without a failed test (it did not compile) counts as one, and so does one that is
/// content without a test.
fn counted(name: &str, command: &mut Command) -> Result<Tally> {
    stage(name, || {
        let mut tally = Tally::default();
        let status = run::watch(command, "is it installed?", |line| tally.read_line(line))?;
        if !status.success() {
            println!("`{}` failed ({status})", run::shown(command));
            tally.failed = tally.failed.max(1);
        } else if tally == Tally::default() {
            println!("`{}` ran no test", run::shown(command));
            tally.failed = 1;
        }
        println!(
            "{name}: {} passed, {} failed, {} skipped",
            tally.passed, tally.failed, tally.skipped
        );
        Ok(tally)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_content_without_a_test_counts_as_one_failure() {
        let tally = counted("x", Command::new("cargo").arg("--version")).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.skipped), (0, 1, 0));
    }

    #[test]
    fn a_program_that_dies_without_a_test_counts_as_one_failure() {
        let tally = counted("x", Command::new("cargo").arg("no-such-verb")).unwrap();
        assert_eq!(
            tally,
            Tally {
                passed: 0,
                failed: 1,
                skipped: 0
            }
        );
    }
}
