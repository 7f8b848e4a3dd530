//! Several processes that train one model together: what they tell each other, and the one that has nobody to talk to.
//!
//! Every rank draws completions of prompts of its own; whole groups stay on a rank. What a step needs of all of them is small
//! (rewards, counts, entropies, figures) but for the gradients, whose sums are the step's because losses are divided by counts of
//! all ranks. Every rank then does the same update, so weights stay the same without being sent.

use std::fmt::Debug;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The processes of a run. All of them must make the same calls in the same order.
pub trait Ranks: Debug {
    /// Number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Adds up the values of all ranks in place; every rank gets the same bits.
    ///
    /// # Errors
    /// When another process is gone.
    fn sum(&self, values: &mut [f32]) -> Result<()>;

    /// What every rank says, by rank.
    ///
    /// # Errors
    /// When another process is gone.
    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>>;
}

/// A run of one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _values: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![own])
    }
}

/// Whether this process is the one that writes logs and checkpoints.
pub fn leads(ranks: &dyn Ranks) -> bool {
    ranks.rank() == 0
}

/// The values of all ranks, by rank. CBOR: numbers arrive as they were, infinite ones too.
///
/// # Errors
/// When another process is gone, or what it says is no such value: it is of another version.
pub fn share<T: Serialize + DeserializeOwned + Clone>(
    ranks: &dyn Ranks,
    own: &T,
) -> Result<Vec<T>> {
    if ranks.size() == 1 {
        return Ok(vec![own.clone()]);
    }
    let mut bytes = Vec::new();
    ciborium::into_writer(own, &mut bytes)
        .context("cannot write down what other ranks must know")?;
    let all = ranks.gather(bytes)?;
    ensure!(
        all.len() == ranks.size(),
        "{} of {} ranks answered",
        all.len(),
        ranks.size()
    );
    all.iter()
        .map(|bytes| {
            ciborium::from_reader(bytes.as_slice())
                .context("another rank says something else: all must run the same program")
        })
        .collect()
}

/// The value of the rank that leads.
///
/// # Errors
/// As [`share`].
pub fn of_leader<T: Serialize + DeserializeOwned + Clone>(ranks: &dyn Ranks, own: &T) -> Result<T> {
    let mut all = share(ranks, own)?;
    Ok(all.swap_remove(0))
}

/// What the rank that leads makes with `work`, on all of them; the others wait, and are told where it failed.
///
/// # Errors
/// When the work fails, on every rank.
pub fn by_leader<T: Serialize + DeserializeOwned + Clone>(
    ranks: &dyn Ranks,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    // A list of one: CBOR has one word for `None`, `Some(None)` and nothing at all.
    let (done, failed) = match leads(ranks).then(work) {
        Some(Ok(done)) => (vec![done], None),
        Some(Err(error)) => (Vec::new(), Some(error)),
        None => (Vec::new(), None),
    };
    let said = (done, failed.as_ref().map(|error| format!("{error:#}")));
    let (done, why): (Vec<T>, Option<String>) = of_leader(ranks, &said)?;
    if let Some(error) = failed {
        return Err(error);
    }
    done.into_iter()
        .next()
        .with_context(|| format!("rank 0 failed: {}", why.unwrap_or_default()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_hears_itself() {
        assert_eq!(
            share(&Alone, &(1.5, "a".to_owned())).unwrap(),
            [(1.5, "a".to_owned())]
        );
        assert_eq!(by_leader(&Alone, || Ok(3)).unwrap(), 3);
        let failed = by_leader::<u8>(&Alone, || anyhow::bail!("the disk is full"));
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(Alone.gather(vec![7]).unwrap(), [[7]]);
    }
}
