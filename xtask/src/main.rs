//! `cargo xtask`: the project's two commands, `demo` and `test`, and the helpers they are made of.

mod check;
mod demo;
mod map;
mod paths;
mod run;
mod serve;
mod suite;
mod system;
mod tally;
mod toolchain;
mod wasm;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, shows and tests NameLens. What is missing on the machine is installed, or named with the
/// command that installs it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build the page and show it on 127.0.0.1, or check it in a headless Chromium
    #[command(
        after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --port 8080 --no-open\n  cargo xtask demo --check"
    )]
    Demo(demo::Options),
    /// Run every test: Rust on the CPU and on a software GPU, wasm in Chromium, the page in Chromium
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --only rust")]
    Test(suite::Options),
    /// Check format, lints, documentation and the file map; changes nothing
    Check,
    /// Build the engine for the browser into wasm-pkg/npm/wasm
    #[command(
        after_help = "Examples:\n  cargo xtask wasm\n  cargo xtask wasm --release    # also wasm-opt, and the size budget is enforced"
    )]
    Wasm(wasm::Options),
    /// Compare the README's file map with the first line of each file
    #[command(after_help = "Examples:\n  cargo xtask map\n  cargo xtask map --write")]
    Map(map::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo(options) => demo::demo(&options),
        Verb::Test(options) => suite::test(&options),
        Verb::Check => check::check(),
        Verb::Wasm(options) => wasm::build(&options).map(drop),
        Verb::Map(options) => map::map(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
