//! `namelens check`: what a model needs and what is wrong with it, before it is loaded.

use std::path::PathBuf;

use anstream::println;
use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Args;
use namelens::export;
use namelens_engine::class_defaults::Taken;
use namelens_engine::personalize::inventory::{Inventory, Needs};
use serde_json::json;

/// Options of `namelens check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads headers only, so it takes a moment whatever the size of the model; numbers that are damaged show when it is loaded.
The exit code is 1 when the model cannot be loaded. Broken adapters are listed apart: only who chooses one is refused.

Examples:
  namelens check models/playroom
  namelens check SmolVLM-256M-Instruct-Q8_0.gguf --context 2048 --json")]
pub(super) struct CheckArgs {
    /// Folder of the model, or a GGUF file of its text model with the mmproj file beside it.
    model: PathBuf,
    /// Length of conversation the memory is told for, tokens [default: the longest kept in memory].
    #[arg(long)]
    context: Option<usize>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    /// Prints the inventory.
    ///
    /// # Errors
    /// When the model cannot be described, or anything is wrong with it.
    pub(super) fn run(&self) -> Result<()> {
        let files = export::open_bundle(&self.model)?;
        let inventory = Inventory::take(files, &Device::flex())?;
        let needs = inventory.needs(self.context.unwrap_or(inventory.context));
        if self.json {
            let all = json!({ "inventory": inventory, "needs": needs });
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            print(&inventory, &needs);
        }
        match inventory.problems.len() {
            0 => Ok(()),
            1 => bail!("1 problem; the model cannot be loaded"),
            count => bail!("{count} problems; the model cannot be loaded"),
        }
    }
}

fn print(inventory: &Inventory, needs: &Needs) {
    let family = match inventory.family.as_str() {
        "" => "unknown",
        family => family,
    };
    println!("family      {family}");
    println!("context     {} tokens at most", inventory.context);
    println!(
        "\n{:12} {:>14} {:>12} {:>12}",
        "part", "parameters", "stored MB", "memory MB"
    );
    for part in &inventory.parts {
        let (stored, memory) = (megabytes(part.stored), megabytes(part.memory));
        println!(
            "{:12} {:>14} {stored:>12} {memory:>12}",
            part.part, part.parameters
        );
    }
    println!("\n{:12} {:>14} {:>12}", "type", "tensors", "stored MB");
    for (name, kind) in &inventory.types {
        println!(
            "{name:12} {:>14} {:>12}",
            kind.tensors,
            megabytes(kind.bytes)
        );
    }
    println!("\nfiles");
    for (name, bytes) in &inventory.files {
        println!("{:>12} MB  {name}", megabytes(*bytes));
    }
    println!("\nmemory for {} tokens", needs.context);
    for (what, bytes) in [
        ("weights", inventory.weights),
        ("keys and values", needs.cache),
        ("both, on the CPU or the GPU", needs.cpu),
        ("in a page on the CPU, files and all", needs.page_cpu),
        ("in a page beside the GPU, files and all", needs.page_gpu),
    ] {
        println!("{:>12} MB  {what}", megabytes(bytes));
    }
    for (fits, what) in [
        (needs.fits_page_cpu, "without a GPU"),
        (needs.fits_page_gpu, "with a GPU"),
    ] {
        if !fits {
            println!("a page has 4 GiB: {what} this model does not fit");
        }
    }
    if let Some(largest) = &inventory.largest {
        println!(
            "largest buffer (maxStorageBufferBindingSize): {} MB, {}",
            megabytes(largest.bytes),
            largest.parameter
        );
    }
    println!("\ngeneration");
    for line in &inventory.generation {
        println!("  {line}");
    }
    lists(inventory);
}

/// What is told only where there is any of it.
fn lists(inventory: &Inventory) {
    let defaults: Vec<String> = inventory.defaults.iter().map(Taken::to_string).collect();
    let optional: Vec<String> = inventory
        .optional
        .iter()
        .map(|broken| format!("{}: {}", broken.what, broken.problem))
        .collect();
    for (title, lines) in [
        ("not in the files, so as transformers has it", &defaults),
        ("broken, and in the way of nothing else", &optional),
        (
            "problems, each of which keeps the model from being loaded",
            &inventory.problems,
        ),
    ] {
        if !lines.is_empty() {
            println!("\n{title}");
        }
        for line in lines {
            println!("  {line}");
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}
