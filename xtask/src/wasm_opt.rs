//! wasm-opt, which makes a module quicker: minutes, so for releases only.
//!
//! Captions of the built-in captioner are a twentieth quicker, raw the module is a twelfth smaller, and compressed a fortieth larger
//! (with `-Oz`, too), for what it folds together compressed well.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::{script, tools_dir};
use crate::run::{quiet, step};
use crate::system;

/// wasm-opt comes from npm: every system has the same build of it.
const BINARYEN_VERSION: &str = "132.0.0";
/// Exactly what the compiler may emit for our target; `--all-features` makes modules that browsers reject.
const WASM_FEATURES: [&str; 9] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-call-indirect-overlong",
];

/// What is done to a module, in words: its version and what it is told; `threads`: over a memory that is shared.
pub(crate) fn recipe(threads: bool) -> String {
    format!(
        "wasm-opt {BINARYEN_VERSION} {}",
        arguments(threads).join(" ")
    )
}

fn arguments(threads: bool) -> Vec<&'static str> {
    let threads = threads.then_some("--enable-threads");
    let features = WASM_FEATURES.into_iter().chain(threads);
    std::iter::once("-O3").chain(features).collect()
}

/// Optimises a module in place; `threads`: over a memory that is shared.
///
/// # Errors
/// When it cannot be had, or fails.
pub(crate) fn optimise(path: &Path, threads: bool) -> Result<()> {
    system::provide(&[&system::NODE])?;
    let home = tools_dir()?.join(format!("binaryen-{BINARYEN_VERSION}"));
    let wasm_opt = home.join("node_modules/.bin").join(script("wasm-opt"));
    if !wasm_opt.exists() {
        step(
            &format!("binaryen {BINARYEN_VERSION} into {}", home.display()),
            || {
                fs::create_dir_all(&home).context("making the tools directory")?;
                let mut install = Command::new(script("npm"));
                install
                    .args(["install", "--no-audit", "--no-fund", "--prefix"])
                    .arg(&home);
                install.arg(format!("binaryen@{BINARYEN_VERSION}"));
                quiet(&mut install, "npm must reach its registry once").map(drop)
            },
        )?;
    }
    step("wasm-opt -O3 (some minutes)", || {
        let optimised = path.with_extension("opt");
        let mut opt = Command::new(&wasm_opt);
        opt.args(arguments(threads))
            .arg(path)
            .arg("-o")
            .arg(&optimised);
        quiet(
            &mut opt,
            "a feature missing from WASM_FEATURES in xtask/src/wasm_opt.rs shows like this",
        )?;
        fs::rename(&optimised, path).context("replacing the module")
    })
}
