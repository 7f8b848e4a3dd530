//! `cargo xtask bench`: how fast things are, as ratios against a peer in the same run.

mod train;

use anyhow::Result;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Steps of GRPO on the CPU against TRL
    Train(train::Options),
}

/// Measures, prints a table and writes JSON.
///
/// # Errors
/// When something cannot be built or run.
pub(crate) fn bench(options: &Options) -> Result<()> {
    match &options.what {
        What::Train(options) => train::train(options),
    }
}
