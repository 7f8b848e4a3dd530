//! `namelens convert`: a model folder to GGUF files, quantised part by part.

use std::fs::File;
use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use namelens::export::{
    Conversion, Divergence, EncoderConversion, Types, Written, convert, convert_encoder,
    divergence, is_pytorch,
};
use namelens_engine::weights::Dtype;

/// Element types that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Precision {
    /// 4.5 bits a weight.
    #[value(name = "q4_0")]
    Q4_0,
    /// 5 bits, with an offset.
    #[value(name = "q4_1")]
    Q4_1,
    /// 4.5 bits, with an offset; rows of whole 256 weights, others become q4_1.
    #[value(name = "q4_k")]
    Q4K,
    /// 5.5 bits.
    #[value(name = "q5_0")]
    Q5_0,
    /// 6 bits, with an offset.
    #[value(name = "q5_1")]
    Q5_1,
    /// 8.5 bits.
    #[value(name = "q8_0")]
    Q8_0,
    /// Half precision.
    F16,
    /// Half of a single precision number.
    Bf16,
    /// Single precision.
    F32,
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Self::Q4_0 => Dtype::Q4_0,
            Self::Q4_1 => Dtype::Q4_1,
            Self::Q4K => Dtype::Q4K,
            Self::Q5_0 => Dtype::Q5_0,
            Self::Q5_1 => Dtype::Q5_1,
            Self::Q8_0 => Dtype::Q8_0,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
            Self::F32 => Dtype::F32,
        }
    }
}

/// Options of `namelens convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes model.gguf (or its parts), mmproj.gguf and manifest.json. All types in blocks stay packed in memory; a GPU takes
4.5 bits a weight for q4_0, 8.5 for q8_0, 6 for q4_1 and q4_k and 11 for the others. q8_0 loses next to nothing. Of the types of 4 bits those with an
offset (q4_1, q4_k) lose much less than q4_0: --measure tells how much. One tensor at a time is in memory here, with --measure
both models.

A .pth file of EfficientNet-Lite becomes a photo encoder: the folder that recognises things in real photos.

Examples:
  namelens convert --model SmolVLM-256M-Instruct --out smolvlm-q8
  namelens convert --model Qwen3-VL-2B-Instruct --out qwen3-q4 --text q4_k --vision q8_0 --split-size 500
  namelens convert --model SmolLM2-135M-Instruct --out smollm2-q4 --text q4_1 --measure article.txt
  namelens convert --model efficientnet-lite0.pth --words imagenet.txt --out photos")]
pub(super) struct ConvertArgs {
    /// Folder of the model: config.json, model.safetensors or its shards, tokenizer.json and the rest; or a .pth file of
    /// EfficientNet-Lite.
    #[arg(long)]
    model: PathBuf,
    /// Folder of the GGUF files.
    #[arg(long)]
    out: PathBuf,
    /// Element type of the decoder's matrices [default: q8_0].
    #[arg(long, value_enum)]
    text: Option<Precision>,
    /// Element type of the matrices of tower and connector.
    #[arg(long, value_enum, default_value = "q8_0")]
    vision: Precision,
    /// Element type of the embedding matrix [default: that of the decoder, but at least q8_0].
    #[arg(long, value_enum)]
    embeddings: Option<Precision>,
    /// Splits the text model into parts of at most so many megabytes (10^6 bytes) of data.
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    split_size: Option<u64>,
    /// A word for each category of a photo encoder, a line each.
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// Compare the next tokens of the converted model with those of the original over this text, or, by the name .jsonl, over
    /// chats: a line {"messages": [{"role": "user", "content": "..."}]} each.
    #[arg(long, value_name = "FILE")]
    measure: Option<PathBuf>,
    /// Replace the files of a conversion before.
    #[arg(long)]
    force: bool,
}

impl ConvertArgs {
    /// Writes the files.
    ///
    /// # Errors
    /// When the model cannot be read or said in GGUF, or a file cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        if is_pytorch(&self.model) {
            return self.photo_encoder();
        }
        self.refuse(&[("--words", self.words.is_some())], "a model folder")?;
        if let Some(texts) = &self.measure {
            // What a person mistyped is said before gigabytes are written.
            File::open(texts).with_context(|| format!("cannot read {}", texts.display()))?;
        }
        let chosen = self.text.unwrap_or(Precision::Q8_0);
        let text = chosen.dtype();
        let embeddings = match (self.embeddings, chosen) {
            (Some(chosen), _) => chosen.dtype(),
            (None, Precision::F16 | Precision::Bf16 | Precision::F32) => text,
            // Rounding a token's vector is felt by all layers, and a shared head is the same matrix.
            (None, _) => Dtype::Q8_0,
        };
        let conversion = Conversion {
            types: Types {
                text,
                vision: self.vision.dtype(),
                embeddings,
            },
            split: self.split_size.map(|megabytes| megabytes * 1_000_000),
            force: self.force,
        };
        let style = "{bar:30} {percent:>3} %  {pos}/{len} parameters  {eta} left";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
        let written = convert(&self.model, &self.out, conversion, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        print(&written?);
        println!("wrote {}", self.out.display());
        match &self.measure {
            Some(texts) => self.compare(texts),
            None => Ok(()),
        }
    }

    /// Prints how far the conversion is from its original over a file.
    fn compare(&self, texts: &Path) -> Result<()> {
        let style = "{bar:30} {percent:>3} %  {pos}/{len} tokens  {eta} left";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
        let found = divergence(&self.model, &self.out, texts, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        let Divergence {
            tokens,
            nats,
            error,
            top1,
        } = found?;
        println!(
            "next tokens over {tokens} of {}: {nats:.4} nats off (KL, standard error {error:.4}), the likeliest the same in {:.1} %",
            texts.display(),
            top1 * 100.0
        );
        Ok(())
    }
}

impl ConvertArgs {
    /// Refuses options that would not be heeded.
    fn refuse(&self, options: &[(&str, bool)], kind: &str) -> Result<()> {
        match options.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!(
                "{option} says nothing about {kind}, which {} is; leave it out",
                self.model.display()
            ),
            None => Ok(()),
        }
    }

    fn photo_encoder(&self) -> Result<()> {
        let unheeded = [
            ("--text", self.text.is_some()),
            ("--embeddings", self.embeddings.is_some()),
            ("--split-size", self.split_size.is_some()),
            ("--measure", self.measure.is_some()),
        ];
        self.refuse(&unheeded, "a photo encoder")?;
        let conversion = EncoderConversion {
            dtype: self.vision.dtype(),
            words: self.words.as_deref(),
            force: self.force,
        };
        let written = convert_encoder(&self.model, &self.out, conversion)?;
        let config = &written.config;
        println!(
            "EfficientNet-Lite, width {} and depth {}: {} parameters, {:.2} MB",
            config.width_coefficient,
            config.depth_coefficient,
            written.parameters,
            written.bytes as f64 / 1e6
        );
        println!("wrote {}", self.out.display());
        Ok(())
    }
}

fn print(written: &Written) {
    println!(
        "{:12} {:>14} {:>10}  {:>10}  types",
        "part", "parameters", "MB", "error"
    );
    for part in &written.parts {
        let types: Vec<String> = part
            .types
            .iter()
            .map(|(dtype, count)| format!("{count} {dtype}"))
            .collect();
        println!(
            "{:12} {:>14} {:>10.2}  {:>8.3} %  {}",
            format!("{:?}", part.part).to_lowercase(),
            part.parameters,
            part.bytes as f64 / 1e6,
            part.error * 100.0,
            types.join(", ")
        );
    }
    for note in &written.notes {
        println!("note: {note}");
    }
}
