//! `cargo xtask`: the project's two commands, `demo` and `test`, and the helpers they are made of.

// The macros of `std` panic where a reader went away, as in `cargo xtask map | head`; those of `anstream` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod check;
mod demo;
mod doc_paths;
mod fixtures;
mod layers;
mod licences;
mod map;
mod module_paths;
mod mutants;
mod notices;
mod packages;
mod paths;
mod playwright;
mod run;
mod serve;
mod shared_memory;
mod stamp;
mod suite;
mod system;
mod tally;
mod toolchain;
mod wasm;
mod wasm_opt;
mod web;

use std::process::ExitCode;

use anstream::eprintln;
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
    /// Check format, file maps, files that documents name, directions of dependencies, notices, lints, documentation and types;
    /// changes nothing
    #[command(
        after_help = "Examples:\n  cargo xtask check\n  cargo xtask check --mpi     # types and tests of training in several processes\n  cargo xtask check --cuda    # compiles with CUDA, for which no GPU and no toolkit is needed"
    )]
    Check(check::Options),
    /// Build the engine for the browser into wasm-pkg/npm/wasm
    #[command(
        after_help = "Examples:\n  cargo xtask wasm\n  cargo xtask wasm --only cpu\n  cargo xtask wasm --release    # also wasm-opt"
    )]
    Wasm(wasm::Options),
    /// Make the golden checkpoints again with the reference implementation (Python)
    #[command(
        after_help = "Python: the one of --python or NAMELENS_PYTHON must have the packages of\n\
            tests/fixtures/generate/requirements.txt in those very versions. Without either, a\n\
            virtual environment is made in the target directory and pip installs them once;\n\
            PIP_EXTRA_INDEX_URL may name an index with CPU builds of torch, which are smaller.\n\n\
            The same versions give the same bytes: `git status` shows nothing new after a run.\n\n\
            Examples:\n  cargo xtask fixtures\n  cargo xtask fixtures --only smolvlm\n  \
            cargo xtask fixtures --python ~/venv/bin/python --bugs"
    )]
    Fixtures(fixtures::Options),
    /// Plant known bugs, one at a time, and show that the named test sees each
    #[command(
        after_help = "The bugs are in tests/mutants.toml. They are planted in a copy of the sources, in the target\n\
            directory; the first run builds the dependencies there once, with a GPU stack\n\
            only for bugs whose tests need one.\n\n\
            Examples:\n  cargo xtask mutants --list\n  cargo xtask mutants --only rope-of-neighbours\n  \
            cargo xtask mutants --write    # also writes tests/mutants.md"
    )]
    Mutants(mutants::Options),
    /// Time what must be fast, beside limits and peers of the same run, after a gate on what comes out
    #[command(
        after_help = "Examples:\n  cargo xtask bench kernels\n  cargo xtask bench text --json text.json\n  \
            cargo xtask bench text --dev    # with the profile of tests, which may be built already\n  \
            cargo xtask bench web --rounds 3 --prompts 128    # fetches the model and the peers once\n  \
            cargo xtask bench memory --captions 200 --as-it-stands    # builds nothing\n  \
            cargo xtask bench train --python ~/venv/bin/python --threads 2"
    )]
    Bench(bench::Options),
    /// Compare the file maps of the READMEs with the first line of each file
    #[command(after_help = "Examples:\n  cargo xtask map\n  cargo xtask map --write")]
    Map(map::Options),
    /// Compare THIRD_PARTY_NOTICES.txt with the packages that npm package and page carry
    #[command(after_help = "Examples:\n  cargo xtask notices\n  cargo xtask notices --write")]
    Notices(notices::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo(options) => demo::demo(&options),
        Verb::Test(options) => suite::test(&options),
        Verb::Check(options) => check::check(&options),
        Verb::Wasm(options) => wasm::build(&options).map(drop),
        Verb::Fixtures(options) => fixtures::fixtures(&options),
        Verb::Mutants(options) => mutants::mutants(&options),
        Verb::Bench(options) => bench::bench(&options),
        Verb::Map(options) => map::map(&options),
        Verb::Notices(options) => notices::notices(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
