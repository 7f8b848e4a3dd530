//! Evaluation on held-out things and names: captions, recognition, boxes, refusals, and where errors arise.

pub mod cache;
pub mod card;
mod card_lines;
mod questions;
pub mod record;
pub mod report;
pub mod row;

use std::path::PathBuf;

use anyhow::Result;
use namelens_engine::personalize::Engine;
use playroom::Split;

use crate::digests::digest;
use cache::{Cache, Origin};
use questions::Bench;
pub(crate) use questions::{name_all, png};
use record::Record;
use report::Report;
use row::Row;

/// What to evaluate, and on what.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// Held-out things and names.
    pub split: Split,
    /// The rows to ask.
    pub rows: Vec<Row>,
    /// Least number of questions a row; photos are added until there are as many.
    pub questions: usize,
    /// Seed of the photos.
    pub seed: u64,
    /// Side photos are drawn at, pixels.
    pub side: u32,
    /// SHA-256 of the model's files; see [`model_digest`](crate::digests::model_digest).
    pub model: String,
    /// Where answers are kept, if a killed run should resume.
    pub cache: Option<PathBuf>,
}

/// How far an evaluation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Row being asked.
    pub row: String,
    /// Its questions so far.
    pub asked: usize,
    /// Questions of all rows so far, and how many there will be at least.
    pub total: (usize, usize),
}

/// Evaluates a model; `progress` hears of every photo.
///
/// # Errors
/// When a photo cannot be processed, the device fails, or the cache is of another evaluation.
pub fn evaluate(
    engine: &mut Engine,
    options: &EvalOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let split_digest = playroom::held_out_digest(options.split);
    let program = match options.cache {
        Some(_) => digest(&[std::env::current_exe()?])?,
        None => String::new(),
    };
    let mut bench = Bench {
        engine,
        split: options.split,
        seed: options.seed,
        side: options.side,
    };
    let mut rows = Vec::with_capacity(options.rows.len());
    for (at, &row) in options.rows.iter().enumerate() {
        let origin = Origin {
            row: row.key(),
            split: options.split.word().to_owned(),
            split_digest: split_digest.clone(),
            seed: options.seed,
            side: options.side,
            model: options.model.clone(),
            program: program.clone(),
        };
        let all = options.rows.len() * options.questions;
        let before = at * options.questions;
        let mut heard = |asked: usize| {
            progress(Progress {
                row: row.key(),
                asked,
                total: (before + asked.min(options.questions), all),
            });
        };
        let records = ask(&mut bench, row, options, &origin, &mut heard)?;
        rows.push(report::row(&row.key(), &records, options.seed));
    }
    Ok(Report {
        split: options.split.word().to_owned(),
        split_digest,
        seed: options.seed,
        model: options.model.clone(),
        rows,
    })
}

/// The answers to one row: those of the cache, and as many more as are wanted.
fn ask(
    bench: &mut Bench<'_>,
    row: Row,
    options: &EvalOptions,
    origin: &Origin,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Record>> {
    let (mut cache, cached) = match &options.cache {
        Some(folder) => {
            let (cache, records) = Cache::open(folder, origin)?;
            (Some(cache), records)
        }
        None => (None, Vec::new()),
    };
    let mut records = Vec::with_capacity(cached.len());
    let mut cached = cached.into_iter();
    let mut asked = 0;
    while asked < options.questions {
        let record = match cached.next() {
            Some(record) => record,
            None => {
                let record = bench.ask(row, records.len() as u64)?;
                if let Some(cache) = &mut cache {
                    cache.add(&record)?;
                }
                record
            }
        };
        asked += record.questions();
        records.push(record);
        progress(asked);
    }
    Ok(records)
}
