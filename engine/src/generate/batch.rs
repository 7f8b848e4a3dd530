//! Rows of tokens in the decoder side by side, each with what it has read.

use burn::tensor::Tensor;

use super::read_back::read;
use crate::host::{Host, breathe};
use crate::model::kv_cache::KvCache;
use crate::model::vlm::{Reading, Vlm};
use crate::{Error, Result};

/// Rows that read a token each at a time. A [`super::Session`] is a batch of one.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) vlm: &'a Vlm,
    pub(super) cache: KvCache,
    pub(super) rows: Vec<Row>,
    /// Longest row, tokens.
    pub(super) limit: usize,
}

/// What one row has read.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) ids: Vec<u32>,
    /// What the next token's index exceeds its position by: photos take fewer positions than tokens.
    pub(super) saved: usize,
}

impl Row {
    /// Position of the next token.
    pub(super) fn position(&self) -> usize {
        self.ids.len() - self.saved.min(self.ids.len())
    }
}

impl<'a> Batch<'a> {
    /// One row that has read nothing yet, of at most `limit` tokens.
    pub(super) fn one(vlm: &'a Vlm, limit: usize) -> Self {
        Self {
            vlm,
            cache: vlm.new_cache(limit),
            rows: vec![Row::default()],
            limit,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Tokens row `row` has read.
    pub fn ids(&self, row: usize) -> &[u32] {
        &self.rows[row].ids
    }

    /// Lets every row read its token and returns the logits `[rows, vocab]` after them, row-major.
    ///
    /// # Errors
    /// [`Error::ContextFull`] or [`Error::Cancelled`].
    pub async fn step(&mut self, ids: &[u32], host: &dyn Host) -> Result<Vec<f32>> {
        read(self.advance(ids, host).await?).await
    }

    /// Lets every row read its token; the logits `[rows, vocab]` after them stay on the device.
    pub(super) async fn advance(&mut self, ids: &[u32], host: &dyn Host) -> Result<Tensor<2>> {
        if self.cache.remaining() == 0 {
            return Err(Error::ContextFull {
                needed: self.limit + 1,
                limit: self.limit,
            });
        }
        breathe(host).await?;
        let positions: Vec<usize> = self.rows.iter().map(Row::position).collect();
        let reading = self.vlm.read_next(ids, &positions)?;
        let hidden = self.vlm.forward(reading, Some(&mut self.cache));
        for (row, id) in self.rows.iter_mut().zip(ids) {
            row.ids.push(*id);
        }
        Ok(self.head(hidden))
    }

    /// Keeps these rows only, in this order.
    pub fn keep(&mut self, rows: &[usize]) {
        self.cache.keep(rows);
        self.rows = rows.iter().map(|&row| self.rows[row].clone()).collect();
    }

    /// All layers over `reading`, layer by layer, so that others can run in between. `progress` hears of layers done.
    pub(super) async fn forward(
        &mut self,
        mut reading: Reading,
        host: &dyn Host,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Tensor<3>> {
        let tokens = reading.x.dims()[1];
        let depth = self.vlm.decoder.depth();
        for layer in 0..depth {
            breathe(host).await?;
            self.vlm.layer(layer, &mut reading, Some(&mut self.cache));
            progress(layer + 1, depth);
        }
        self.cache.advance(tokens);
        Ok(self.vlm.decoder.finish(reading.x))
    }

    /// Hidden states `[R, 1, hidden]` to logits on the host, `[R, vocab]`.
    pub(super) async fn logits(&self, hidden: Tensor<3>) -> Result<Vec<f32>> {
        read(self.head(hidden)).await
    }

    fn head(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [rows, _, width] = hidden.dims();
        self.vlm.decoder.logits(hidden.reshape([rows, width]))
    }
}
