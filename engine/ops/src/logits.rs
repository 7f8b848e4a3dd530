//! What is asked of all logits of a step: the likeliest tokens, and how likely one is.

use crate::exp::exp2;
#[cfg(feature = "cpu")]
use crate::threads;

/// The largest finite logit of all tokens but these, which are in order; the lowest id among equals.
pub fn likeliest_but(logits: &[f32], banned: &[u32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    let mut first = 0;
    let ends = banned.iter().map(|&id| id as usize);
    for end in ends.chain(std::iter::once(logits.len())) {
        let Some(run) = logits.get(first..end.min(logits.len())) else {
            break;
        };
        let most = largest(run);
        let is_better = |(_, before): (usize, f32)| most > before;
        if most > f32::NEG_INFINITY && best.is_none_or(is_better) {
            let at = run.iter().position(|&logit| logit == most);
            best = at.map(|at| (first + at, most)).or(best);
        }
        first = end + 1;
    }
    best.and_then(|(at, _)| u32::try_from(at).ok())
}

/// Logits of which the largest is looked at first.
const BLOCK: usize = 64;

/// The `k` largest finite logits with their tokens, and perhaps some more, in the order of the tokens: all that are not below a bound
/// which `k` are not below. `None` of so few that a look at all is as quick.
pub fn foremost(logits: &[f32], k: usize) -> Option<Vec<(u32, f32)>> {
    let tops: Vec<f32> = logits.chunks(BLOCK).map(largest).collect();
    let last = k.checked_sub(1).filter(|last| *last < tops.len() / 4)?;
    // Of k blocks the largest is not below it.
    let (_, &mut bound, _) = tops
        .clone()
        .select_nth_unstable_by(last, |a, b| b.total_cmp(a));
    let mut found = Vec::with_capacity(2 * k);
    let blocks = logits.chunks(BLOCK).zip((0u32..).step_by(BLOCK)).zip(&tops);
    for ((block, first), _) in blocks.filter(|(_, top)| **top >= bound) {
        let tokens = (first..).zip(block.iter().copied());
        found.extend(tokens.filter(|(_, logit)| logit.is_finite() && *logit >= bound));
    }
    Some(found)
}

/// Tokens that [`crate::foremost`] finds at most.
pub const MAX_FOREMOST: usize = 128;

/// The likeliest tokens of a row, and what is needed to say how likely each is.
#[derive(Debug, Clone, PartialEq)]
pub struct Foremost {
    /// Tokens with their logits, in the order of the tokens.
    pub tokens: Vec<(u32, f32)>,
    /// The largest finite logit.
    pub largest: f32,
    /// Sum of `exp(logit - largest)` over all finite logits.
    pub sum: f32,
}

impl Foremost {
    /// Each of the `rows` rows that [`crate::foremost`] told in `numbers`, which were read back; `None` where one had more tokens than
    /// room for them, or none with a number.
    pub fn rows(numbers: &[f32], rows: usize) -> Option<Vec<Self>> {
        let width = numbers.len().checked_div(rows)?.max(1);
        numbers.chunks(width).map(Self::row).collect()
    }

    fn row(numbers: &[f32]) -> Option<Self> {
        let (&[count, sum], found) = numbers.split_first_chunk()?;
        let found = found.as_chunks::<2>().0.get(..count as usize)?;
        let mut tokens: Vec<(u32, f32)> = found.iter().map(|&[id, l]| (id as u32, l)).collect();
        tokens.sort_unstable_by_key(|(token, _)| *token);
        let largest = tokens.iter().map(|(_, logit)| *logit).reduce(f32::max)?;
        Some(Self {
            tokens,
            largest,
            sum,
        })
    }

    /// Softmax of a logit.
    pub fn probability(&self, logit: f32) -> f32 {
        (logit - self.largest).exp() / self.sum
    }
}

/// Numbers that are looked at together.
const LANES: usize = 16;

/// The largest finite number; minus infinity where there is none.
fn largest(values: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (strips, rest) = values.as_chunks::<LANES>();
    for strip in strips {
        for (most, &v) in most.iter_mut().zip(strip) {
            let v = finite(v);
            // Not `f32::max`, which is a call in WebAssembly.
            *most = if v > *most { v } else { *most };
        }
    }
    let rest = rest.iter().map(|&v| finite(v));
    most.into_iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn finite(v: f32) -> f32 {
    if v.is_finite() { v } else { f32::NEG_INFINITY }
}

/// Logits whose share of a softmax is summed by itself: as many as the nearest cache holds, whatever the number of threads, so that a
/// sum is the same with any.
const PART: usize = 8192;

/// Softmax of one token; logits that are not finite take no part. Summed in f32 in parts: within 1e-5 of it.
pub fn probability(logits: &[f32], token: u32) -> f32 {
    let mut parts = vec![(f32::NEG_INFINITY, 0.0); logits.len().div_ceil(PART)];
    sum_parts(logits, &mut parts);
    parts.retain(|(top, _)| *top > f32::NEG_INFINITY);
    let top = parts.iter().map(|(top, _)| *top);
    let top = top.fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = parts.iter().map(|(own, sum)| sum * share(*own, top)).sum();
    let own = logits.get(token as usize).map_or(0.0, |&v| share(v, top));
    let p = own / sum;
    if p.is_finite() { p } else { 0.0 }
}

/// Makes [`summed`] of each part of the logits, shared out among threads that are awake.
fn sum_parts(logits: &[f32], parts: &mut [(f32, f32)]) {
    let work = logits.chunks(PART).zip(parts);
    #[cfg(feature = "cpu")]
    if threads::are_awake() && logits.len() > PART {
        return threads::each(work.collect(), |(logits, part)| *part = summed(logits));
    }
    work.for_each(|(logits, part)| *part = summed(logits));
}

/// The largest finite logit, and the sum of `exp(logit - largest)` over the finite ones.
fn summed(logits: &[f32]) -> (f32, f32) {
    let top = largest(logits);
    let mut sums = [0.0f32; LANES];
    let (strips, rest) = logits.as_chunks::<LANES>();
    for strip in strips {
        for (sum, &v) in sums.iter_mut().zip(strip) {
            *sum += share(v, top);
        }
    }
    let rest = rest.iter().map(|&v| share(v, top));
    (top, sums.into_iter().chain(rest).sum())
}

/// `exp(v - top)`; 0 of what is not finite.
#[inline(always)]
fn share(v: f32, top: f32) -> f32 {
    // Of minus infinity it is 0; to choose between the power and 0 here would not be vectorised.
    exp2((finite(v) - top) * std::f32::consts::LOG2_E)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_that_of_the_definition_over_parts_whole_and_ragged() {
        for count in [1, 15, 16, PART, PART + 1, 3 * PART + 77] {
            let mut logits: Vec<f32> = (0..count).map(|at| (at as f32 * 0.7).sin() * 9.0).collect();
            // Parts of which one has by far the largest, and one nothing that is finite.
            logits[count / 4] = 30.0;
            if count > 2 * PART {
                logits[PART..2 * PART].fill(f32::NEG_INFINITY);
                logits[3] = f32::NAN;
            }
            let finite = logits.iter().filter(|v| v.is_finite());
            let sum: f64 = finite.map(|&v| (f64::from(v) - 30.0).exp()).sum();
            for token in [0, count / 4, count - 1] {
                let want = (f64::from(logits[token]) - 30.0).exp() / sum;
                let found = f64::from(probability(&logits, token as u32));
                assert!(
                    (found - want).abs() <= 1e-5 * want,
                    "{count}, {token}: {found} of {want}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_number_has_no_probability() {
        assert_eq!(probability(&[], 0), 0.0);
        assert_eq!(probability(&[1.0], 7), 0.0);
        assert_eq!(probability(&[f32::NEG_INFINITY; 3], 0), 0.0);
        assert_eq!(probability(&[f32::NAN, 1.0], 0), 0.0);
        assert_eq!(probability(&[f32::NAN, 1.0], 1), 1.0);
    }
}
