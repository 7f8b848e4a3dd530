//! Which tokens of completions count, and figures of their lengths.

use super::metrics::{Figure, Metrics};

/// What counts of a batch of completions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionMask {
    /// Tokens up to and with the first end, of each row.
    pub lengths: Vec<usize>,
    /// Whether there was an end.
    pub terminated: Vec<bool>,
    /// For each row, whether each token counts; rows are as long as the longest completion.
    pub mask: Vec<Vec<bool>>,
}

impl CompletionMask {
    /// Reads completions that may go on after their end, where tokens are padding whatever their ids are.
    ///
    /// With `mask_truncated` no token of a row without an end counts; the row still has a reward and a place in its
    /// group.
    pub fn new(completions: &[Vec<u32>], ends: &[u32], mask_truncated: bool) -> Self {
        let longest = completions.iter().map(Vec::len).max().unwrap_or(0);
        let mut read = Self {
            lengths: Vec::with_capacity(completions.len()),
            terminated: Vec::with_capacity(completions.len()),
            mask: Vec::with_capacity(completions.len()),
        };
        for ids in completions {
            let end = ids.iter().position(|id| ends.contains(id));
            let length = end.map_or(ids.len(), |at| at + 1);
            let counts = if mask_truncated && end.is_none() {
                0
            } else {
                length
            };
            read.lengths.push(length);
            read.terminated.push(end.is_some());
            read.mask.push((0..longest).map(|t| t < counts).collect());
        }
        read
    }

    /// Tokens that count in each row.
    pub fn tokens(&self) -> Vec<usize> {
        let count = |row: &Vec<bool>| row.iter().filter(|counts| **counts).count();
        self.mask.iter().map(count).collect()
    }

    /// Figures of lengths. Where nothing came to an end, lengths of what did are left out (TRL logs 0).
    pub fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        let all: Vec<f64> = self.lengths.iter().map(|l| *l as f64).collect();
        let ended = self.lengths.iter().zip(&self.terminated);
        let ended: Vec<f64> = ended
            .filter_map(|(l, ended)| ended.then_some(*l as f64))
            .collect();
        for (what, lengths) in [("length", &all), ("terminated_length", &ended)] {
            let least = lengths.iter().copied().fold(f64::INFINITY, f64::min);
            let most = lengths.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = Figure::mean(lengths.iter().copied());
            metrics.add(format!("completions/mean_{what}"), mean);
            metrics.add(format!("completions/min_{what}"), Figure::Min(least));
            metrics.add(format!("completions/max_{what}"), Figure::Max(most));
        }
        let cut = self
            .terminated
            .iter()
            .map(|ended| f64::from(u8::from(!ended)));
        metrics.add("completions/clipped_ratio", Figure::mean(cut));
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_counts_and_what_follows_does_not() {
        let rows = [vec![5, 2, 9, 2], vec![5, 6], vec![], vec![3]];
        let read = CompletionMask::new(&rows, &[2, 3], false);
        assert_eq!(read.lengths, [2, 2, 0, 1]);
        assert_eq!(read.terminated, [true, false, false, true]);
        assert_eq!(read.mask[0], [true, true, false, false]);
        assert_eq!(read.tokens(), [2, 2, 0, 1]);
        let metrics = read.metrics();
        assert_eq!(metrics.get("completions/mean_length"), Some(1.25));
        assert_eq!(metrics.get("completions/mean_terminated_length"), Some(1.5));
        assert_eq!(metrics.get("completions/clipped_ratio"), Some(0.5));
        let masked = CompletionMask::new(&rows, &[2, 3], true);
        assert_eq!(masked.tokens(), [2, 0, 0, 1]);
        assert_eq!(masked.lengths, read.lengths, "lengths are what was written");
        let none = CompletionMask::new(&[vec![1]], &[], false).metrics();
        assert_eq!(none.get("completions/mean_terminated_length"), None);
    }
}
