//! `namelens world`: contact sheets, the page's album, and what the splits hold.

use std::fs;
use std::path::{Path, PathBuf};

use anstream::println;
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use playroom::{Rgb, SampleOptions, Split, Task, held_out_digest, sample_tasks, sheet};
use serde_json::json;

use crate::cli::numbers::{at_least_one, side};

/// Pixels of a sheet at most, 200 MB of them.
const MOST_PIXELS: usize = 1 << 26;

/// Options of `namelens world`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  namelens world sheet --out sheet.png --rows 4 --columns 6
  namelens world album --out web-demo/public/album
  namelens world samples --out samples --count 20
  namelens world splits")]
pub(super) struct WorldArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A contact sheet of scenes, boxes drawn.
    Sheet {
        /// PNG file to write.
        #[arg(long)]
        out: PathBuf,
        /// Rows of photos.
        #[arg(long, default_value_t = 4, value_parser = at_least_one)]
        rows: usize,
        /// Photos a row.
        #[arg(long, default_value_t = 6, value_parser = at_least_one)]
        columns: usize,
        /// Side of a photo, pixels.
        #[arg(long, default_value_t = 192, value_parser = side)]
        side: u32,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// The sample photos of the demo page, all of held-out things.
    Album {
        /// Folder to write.
        #[arg(long)]
        out: PathBuf,
        /// Side of a photo, pixels.
        #[arg(long, default_value_t = 512, value_parser = side)]
        side: u32,
        /// Seed.
        #[arg(long, default_value_t = 5)]
        seed: u64,
    },
    /// Photos with their dialogues as JSON lines.
    Samples {
        /// Folder to write.
        #[arg(long)]
        out: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 20)]
        count: u64,
        /// Side of a photo, pixels.
        #[arg(long, default_value_t = 256, value_parser = side)]
        side: u32,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// SHA-256 of the identities and names each split holds.
    Splits,
}

impl WorldArgs {
    /// Renders.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        match &self.what {
            What::Sheet {
                out,
                rows,
                columns,
                side,
                seed,
            } => {
                let pixels = rows
                    .checked_mul(*columns)
                    .and_then(|photos| photos.checked_mul(*side as usize * *side as usize));
                ensure!(
                    pixels.is_some_and(|pixels| pixels <= MOST_PIXELS),
                    "a sheet of {rows} by {columns} photos is too large; lower --rows, --columns or --side"
                );
                let sheet = sheet(*seed, &SampleOptions::default(), *rows, *columns, *side);
                let png = sheet
                    .png()
                    .context("the sheet is too large; lower --side")?;
                fs::write(out, png).with_context(|| format!("cannot write {}", out.display()))?;
                println!("wrote {}", out.display());
            }
            What::Album { out, side, seed } => album(out, *side, *seed)?,
            What::Samples {
                out,
                count,
                side,
                seed,
            } => samples(out, *count, *side, *seed)?,
            What::Splits => {
                for split in Split::ALL {
                    println!("{:5} {}", split.word(), held_out_digest(split));
                }
            }
        }
        Ok(())
    }
}

/// Scenes of the album: how many named things each shows.
const SCENES: [usize; 6] = [1, 2, 1, 2, 3, 4];

/// Reference photos and scenes: the first scene shows the first thing alone, later ones mix them.
fn album(out: &Path, side: u32, seed: u64) -> Result<()> {
    fs::create_dir_all(out)?;
    let mut list = Vec::new();
    let mut scenes = Vec::new();
    for (number, &present) in SCENES.iter().enumerate() {
        let options = SampleOptions {
            split: Split::Val,
            present: present..=present,
            noise: 0..=0,
            alone: false,
            strangers: 0,
            turns: 1,
            lookalike_rate: 0.0,
            side,
            difficulty: 0.2,
        };
        let sample = sample_tasks(
            seed.wrapping_mul(1000).wrapping_add(number as u64),
            &options,
            &[Task::Caption],
        );
        for (i, concept) in sample.concepts.iter().enumerate().filter(|_| number < 4) {
            let file = format!("thing-{number}-{i}.png");
            write_png(&out.join(&file), &concept.image)?;
            list.push(json!({
                "file": file, "role": "reference", "alt": format!("A {}", concept.identity.describe()),
                "suggestedName": concept.name, "category": concept.category, "info": concept.info,
            }));
        }
        let file = format!("scene-{number}.png");
        write_png(&out.join(&file), &sample.photo)?;
        let things: Vec<String> = sample
            .things
            .iter()
            .map(|t| format!("a {}", t.description))
            .collect();
        scenes.push(json!({ "file": file, "role": "scene", "alt": format!("A scene with {}", things.join(", ")) }));
    }
    list.extend(scenes);
    fs::write(
        out.join("album.json"),
        serde_json::to_string_pretty(&list)? + "\n",
    )?;
    println!("wrote {} photos to {}", list.len(), out.display());
    Ok(())
}

fn samples(out: &Path, count: u64, side: u32, seed: u64) -> Result<()> {
    fs::create_dir_all(out)?;
    let mut lines = String::new();
    for index in 0..count {
        let options = SampleOptions {
            side,
            ..Default::default()
        };
        let sample = playroom::sample(seed.wrapping_mul(0x9e37_79b9) ^ index, &options);
        let file = format!("{index:06}.png");
        write_png(&out.join(&file), &sample.photo)?;
        let mut concepts = Vec::new();
        for (i, concept) in sample.concepts.iter().enumerate() {
            let file = format!("{index:06}-{i}.png");
            write_png(&out.join(&file), &concept.image)?;
            concepts.push(json!({ "file": file, "name": concept.name, "category": concept.category, "info": concept.info }));
        }
        let things: Vec<_> = sample.things.iter().map(|t| json!({
            "box": t.box_px, "concept": t.concept, "description": t.description, "pose": t.pose,
        })).collect();
        let turns: Vec<_> = sample.turns.iter().map(|t| json!({
            "task": format!("{:?}", t.task), "question": t.question, "answer": t.answer, "subject": t.subject,
        })).collect();
        let line = json!({ "file": file, "concepts": concepts, "things": things, "turns": turns, "seed": sample.seed });
        lines.push_str(&format!("{line}\n"));
    }
    fs::write(out.join("samples.jsonl"), lines)?;
    println!("wrote {count} samples to {}", out.display());
    Ok(())
}

fn write_png(path: &Path, picture: &Rgb) -> Result<()> {
    image::save_buffer(
        path,
        &picture.pixels,
        picture.size,
        picture.size,
        image::ColorType::Rgb8,
    )
    .with_context(|| format!("cannot write {}", path.display()))
}
