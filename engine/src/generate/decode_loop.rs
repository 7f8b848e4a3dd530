//! The one decode loop: rows choose a token each and read it, until all are done.

use burn::tensor::Tensor;

use super::batch::Batch;
use super::read_back::read;
use super::recorded::Recorder;
use crate::Result;
use crate::host::Host;
use crate::ops;
use crate::ops::logits::{Foremost, MAX_FOREMOST};

/// Says how one row goes on.
pub(super) trait Writer {
    /// The token this row reads next, or `None` when it is done; `scores` come after `before`, all it has read.
    ///
    /// # Errors
    /// When it cannot go on, and with it the batch.
    fn choose(&mut self, scores: Scores<'_>, before: &[u32]) -> Result<Option<u32>>;

    /// What it chooses among, where that is all it asks of the logits; `None` where it needs them all.
    fn among(&self) -> Option<Among<'_>> {
        None
    }
}

/// The likeliest tokens a row chooses among.
#[derive(Debug, Clone, Copy)]
pub(super) struct Among<'a> {
    /// How many, at least one.
    pub k: usize,
    /// Those that may not come next and do not count, ascending.
    pub banned: &'a [u32],
}

impl Among<'_> {
    /// How many of the likeliest tokens are asked for, so that enough are left without the banned ones.
    fn asks(&self) -> usize {
        match self.k {
            // The likeliest is seldom banned, and one is found at less cost than two.
            1 => 1,
            k => k.saturating_add(self.banned.len()).min(MAX_FOREMOST.max(k)),
        }
    }

    /// What is left of a row's likeliest tokens, `asked` or more, without the banned ones; `None` where others might count too.
    fn left(&self, mut row: Foremost, asked: usize) -> Option<Foremost> {
        // Fewer than were asked for are all that have a number.
        let needed = if row.tokens.len() < asked { 1 } else { self.k };
        row.tokens
            .retain(|(token, _)| self.banned.binary_search(token).is_err());
        (row.tokens.len() >= needed && row.sum.is_finite()).then_some(row)
    }
}

/// What a row is told of the next token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scores<'a> {
    /// Logits `[vocab]`.
    All(&'a [f32]),
    /// The likeliest tokens that may come next, perhaps with some more: only where [`Writer::among`] asked for no more.
    Foremost(&'a Foremost),
}

/// What was read back of a step.
enum Told {
    /// Logits `[rows, vocab]`.
    All(Vec<f32>),
    /// The likeliest tokens of each row.
    Foremost(Vec<Foremost>),
}

impl Told {
    /// What row `row` of `rows` is told.
    fn of(&self, row: usize, rows: usize) -> Scores<'_> {
        match self {
            Self::All(logits) => {
                let vocabulary = logits.len() / rows.max(1);
                Scores::All(&logits[row * vocabulary..(row + 1) * vocabulary])
            }
            Self::Foremost(found) => Scores::Foremost(&found[row]),
        }
    }
}

/// The decode loop: every row chooses after its logits `[rows, vocab]` and reads what it chose, until all are done. Rows that are
/// done leave the batch, but for the last ones.
///
/// # Errors
/// The first error of a writer, [`Error::ContextFull`] or [`Error::Cancelled`].
pub(super) async fn decode<W: Writer>(
    batch: &mut Batch<'_>,
    logits: Vec<f32>,
    writers: &mut [W],
    host: &dyn Host,
) -> Result<()> {
    // Which writer each row of the batch belongs to.
    let mut owners: Vec<usize> = (0..writers.len()).collect();
    let mut told = Told::All(logits);
    let mut recorder = Recorder::default();
    loop {
        let (mut going, mut tokens) = (Vec::new(), Vec::new());
        for (row, &owner) in owners.iter().enumerate() {
            let scores = told.of(row, owners.len());
            if let Some(token) = writers[owner].choose(scores, batch.ids(row))? {
                going.push(row);
                tokens.push(token);
            }
        }
        if tokens.is_empty() {
            return Ok(());
        }
        if going.len() < owners.len() {
            batch.keep(&going);
            owners = going.iter().map(|&row| owners[row]).collect();
        }
        let logits = recorder.advance(batch, &tokens, host).await?;
        let among = owners.iter().map(|&owner| writers[owner].among());
        told = match foremost(&logits, among.collect()).await? {
            Some(found) => Told::Foremost(found),
            None => Told::All(read(logits).await?),
        };
    }
}

/// The likeliest tokens of each row: a few bytes are read back instead of all logits. `None` where that will not do: a row needs more, too
/// many of the likeliest are banned or equal, no logit is finite, or the device has no kernel for it.
async fn foremost(
    logits: &Tensor<2>,
    among: Option<Vec<Among<'_>>>,
) -> Result<Option<Vec<Foremost>>> {
    let Some(among) = among else {
        return Ok(None);
    };
    let asked = among.iter().map(Among::asks).max().unwrap_or(1);
    let Some(found) = ops::foremost(logits, asked) else {
        return Ok(None);
    };
    let Some(rows) = Foremost::rows(&read(found).await?, among.len()) else {
        return Ok(None);
    };
    let rows = rows.into_iter().zip(&among);
    Ok(rows.map(|(row, among)| among.left(row, asked)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(k: usize, banned: &[u32], found: &[u32], asked: usize) -> Option<Vec<u32>> {
        let row = Foremost {
            tokens: found.iter().map(|&token| (token, 1.0)).collect(),
            largest: 1.0,
            sum: 9.0,
        };
        let left = Among { k, banned }.left(row, asked)?;
        assert_eq!((left.largest, left.sum), (1.0, 9.0), "shares are of all");
        Some(left.tokens.into_iter().map(|(token, _)| token).collect())
    }

    #[test]
    fn a_row_chooses_among_those_in_front_only_where_enough_are_left_of_them() {
        assert_eq!(left(2, &[5], &[4, 5, 6], 3), Some(vec![4, 6]));
        // Those behind may come next.
        assert_eq!(left(2, &[5, 6], &[4, 5, 6], 3), None);
        // Nobody is behind.
        assert_eq!(left(2, &[5, 6], &[4, 5, 6], 4), Some(vec![4]));
        assert_eq!(left(2, &[4, 5, 6], &[4, 5, 6], 4), None);
        assert_eq!(left(1, &[], &[4], 1), Some(vec![4]));
        assert_eq!(left(1, &[4], &[4], 1), None);
        assert_eq!(left(1, &[], &[], 1), None);
    }

    #[test]
    fn the_banned_are_asked_for_too_as_long_as_so_many_are_found() {
        let asks = |k, banned: usize| {
            let banned: Vec<u32> = (0..banned as u32).collect();
            let banned = &banned;
            Among { k, banned }.asks()
        };
        assert_eq!([asks(1, 9), asks(50, 9), asks(50, 0)], [1, 59, 50]);
        assert_eq!(asks(50, 900), MAX_FOREMOST);
        // More than are found are not cut short: no device is asked for them.
        assert_eq!(asks(400, 9), 400);
    }
}
