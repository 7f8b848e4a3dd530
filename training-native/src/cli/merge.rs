//! `namelens merge`: a model folder with a LoRA adapter merged into its weights.

use std::path::PathBuf;

use anstream::{eprintln, println};
use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use namelens::merge::merge;

/// Options of `namelens merge`.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder written is the model's with other weights: the same files and shards, the same names and element types of tensors.
Weights of 16 bits round what the adapter adds; how much is measured and printed. An adapter that is not merged loses
nothing: put its folder into MODEL/adapters/ and name it with `namelens caption --adapter NAME`.

Examples:
  namelens merge --model Qwen2.5-VL-3B-Instruct --adapter runs/names --out Qwen2.5-VL-3B-names
  namelens merge --model models/playroom --adapter runs/toys/adapter --out models/toys")]
pub(super) struct MergeArgs {
    /// Model folder with `model.safetensors` or its shards.
    #[arg(long)]
    model: PathBuf,
    /// Folder with `adapter_config.json` and `adapter_model.safetensors`, as PEFT writes them.
    #[arg(long)]
    adapter: PathBuf,
    /// Folder to write; must not exist.
    #[arg(long)]
    out: PathBuf,
}

impl MergeArgs {
    /// Writes the merged model.
    ///
    /// # Errors
    /// When the adapter is for another model, or a file cannot be read or written.
    pub(super) fn run(&self) -> Result<()> {
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template(
            "{elapsed_precise} {wide_bar:.cyan/blue} {pos}/{len} tensors, eta {eta}",
        )?);
        let merged = merge(&self.model, &self.adapter, &self.out, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        for (dtype, tensors) in &merged.tensors {
            println!("merged {tensors} tensors of type {dtype}");
        }
        let (worst, typical) = (100.0 * merged.worst, 100.0 * merged.typical);
        println!(
            "rounding took {typical:.2} % of the update (root mean square), at most {worst:.2} % of a tensor's largest"
        );
        if merged.is_rounded() {
            eprintln!(
                "warning: 16 bits hold less than the sum; measure the merged model, or use the adapter unmerged"
            );
        }
        for name in &merged.left_out {
            println!("not copied: {name}");
        }
        println!("wrote {}", self.out.display());
        Ok(())
    }
}
