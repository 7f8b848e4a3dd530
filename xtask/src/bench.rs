//! `cargo xtask bench`: how fast what is, each figure beside a limit or a peer of the same run, and nothing before a gate on what
//! comes out.
//!
//! Each bench is a file of `bench/`: it builds, runs programs that print lines of JSON, and shows them. Figures that are worth
//! keeping go into `tests/benches/RESULTS.md` by hand, with the machine's line that every bench prints first.

mod browser;
mod cores;
mod gpu;
mod kernels;
mod launches;
mod memory;
mod model_file;
mod opcodes;
mod photo;
mod report;
mod start;
mod text;
mod train;
mod web;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
    /// Also write all figures as JSON
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// Seconds for each figure
    #[arg(long, default_value_t = 1.0, global = true)]
    seconds: f64,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The products of packed matrices, natively and as WebAssembly in Node.js, beside the limits of this machine
    Kernels,
    /// A real model's tokens against the reference, then its speed natively, packed weights beside expanded ones
    Text(text::Options),
    /// A real model in Chromium: its answers against the reference, then its speed beside wllama and ONNX Runtime in the same run
    Web(web::Options),
    /// The memory that captions take in WebAssembly, after a few and after many
    Memory(memory::Options),
    /// What a token on WebGPU costs the page's worker in Chromium, whatever the GPU takes for it
    Launches(launches::Options),
    /// A photo before a model of SmolVLM's shape in Chromium, and its tower beside ONNX Runtime's
    Photo(photo::Options),
    /// From loading the page to the first token and the first thing recognised, cold and warm
    Start(start::Options),
    /// A model of SmolVLM-256M's shape on CUDA, Vulkan and the CPU, beside PyTorch on the same weights
    Gpu(gpu::Options),
    /// Steps of GRPO against TRL
    Train(train::Options),
    /// What must hold before a time counts, and no times: results of kernels in every place, memory after captions. Takes the
    /// package as it stands; `cargo xtask test` asks for it
    Gate,
}

/// Fails with what does not hold.
type Gate = fn() -> Result<()>;

/// The gates that need no file from elsewhere; the names of what they prove.
const GATES: [(&str, Gate); 3] = [
    ("kernels are within their published error", kernels::gate),
    ("memory stands still after ten captions", memory::gate),
    ("the judge of answers feels a wrong one", web::judge),
];

/// Tries every gate.
pub(crate) fn gates() -> Vec<(&'static str, Result<()>)> {
    GATES.map(|(name, gate)| (name, gate())).into()
}

/// Runs one bench.
///
/// # Errors
/// When something cannot be built or run, or a gate fails: nothing is timed then.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let seconds = options.seconds;
    let figures = match &options.what {
        What::Kernels => kernels::run(seconds)?,
        What::Text(text) => text::run(text, seconds)?,
        What::Web(options) => web::run(options)?,
        What::Memory(options) => memory::run(options)?,
        What::Launches(options) => launches::run(options)?,
        What::Photo(options) => photo::run(options)?,
        What::Start(options) => start::run(options)?,
        What::Gpu(options) => gpu::run(options, seconds)?,
        What::Train(options) => train::run(options)?,
        What::Gate => gates()
            .into_iter()
            .map(|(name, held)| held.map(|()| serde_json::json!({ "gate": name })))
            .collect::<Result<_>>()?,
    };
    if let Some(path) = &options.json {
        report::write(path, &figures)?;
    }
    Ok(())
}
