//! The `namelens` binary: make the world, train, evaluate, export, caption.

// The macros of `std` panic where a reader went away, as in `namelens check --json | head`; those of `anstream` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

use anstream::eprintln;

fn main() -> ExitCode {
    read_optimizers_on_the_cpu();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "namelens=info".into()),
        )
        .with_writer(std::io::stderr)
        // They would be printed with a macro that panics.
        .log_internal_errors(false)
        .init();
    match cli::Cli::read().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// burn reads an optimiser's state onto its default device, and moves it to the parameters' in the first step. That default is a GPU
/// where the build has one, which need not be in the machine: `--device cpu` would then fail when a run is resumed.
#[allow(
    unsafe_code,
    reason = "changes the environment, before there is another thread to read it"
)]
fn read_optimizers_on_the_cpu() {
    // SAFETY: the first statement of the program; no other thread runs yet.
    unsafe { std::env::set_var("BURN_DEVICE", "flex") };
}
