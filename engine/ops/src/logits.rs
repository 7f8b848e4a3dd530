//! What is asked of all logits of a step on the host: the likeliest token, and how likely one is.

use crate::exp::exp2;

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

/// Softmax of one token; logits that are not finite take no part. Summed in f32 in 16 parts: within 1e-5 of it.
pub fn probability(logits: &[f32], token: u32) -> f32 {
    let top = largest(logits);
    // Of minus infinity it is 0; to choose between the power and 0 here would not be vectorised.
    let weight = |v: f32| exp2((finite(v) - top) * std::f32::consts::LOG2_E);
    let mut sums = [0.0f32; LANES];
    let (strips, rest) = logits.as_chunks::<LANES>();
    for strip in strips {
        for (sum, &v) in sums.iter_mut().zip(strip) {
            *sum += weight(v);
        }
    }
    let sum = sums
        .into_iter()
        .chain(rest.iter().map(|&v| weight(v)))
        .sum::<f32>();
    let own = logits.get(token as usize).map_or(0.0, |&v| weight(v));
    let p = own / sum;
    if p.is_finite() { p } else { 0.0 }
}
