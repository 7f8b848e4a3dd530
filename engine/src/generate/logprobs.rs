//! How likely the model found the tokens of an answer, and which it found likeliest: log-probabilities of its own distribution.

use std::cmp::Ordering;

use serde::Serialize;

use crate::text::Tokenizer;
use crate::{Error, Result};

/// The most likeliest tokens that may be asked for.
pub const MOST: usize = 20;

/// A token and how likely it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LikelyToken {
    /// Token id.
    pub id: u32,
    /// Its text; a token that is part of a character has none of its own, and stands as U+FFFD.
    pub token: String,
    /// Log-probability under the unchanged logits, nats: before temperature, filters, penalties and bans.
    pub logprob: f64,
}

/// A token of the answer, and the likeliest ones in its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenLogprobs {
    /// The token that was written.
    #[serde(flatten)]
    pub token: LikelyToken,
    /// As many as were asked for, likeliest first. Where names are held to known ones, or tokens are drawn, what was written need
    /// not be among them.
    pub top_logprobs: Vec<LikelyToken>,
}

/// Whether so many likeliest tokens can be told.
///
/// # Errors
/// [`Error::Option`] for a count above [`MOST`].
pub(super) fn check(count: usize) -> Result<()> {
    if count > MOST {
        return Err(Error::Option {
            option: "topLogprobs".into(),
            problem: format!("{count} is not in 0 to {MOST}"),
        });
    }
    Ok(())
}

impl TokenLogprobs {
    /// What `logits` `[vocab]` say of the token `id`, and of the `count` likeliest.
    ///
    /// Logits that are not finite take no part.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(super) fn of(logits: &[f32], id: u32, count: usize, tokenizer: &Tokenizer) -> Result<Self> {
        let sum = log_sum_exp(logits);
        let told = |(id, logit): (u32, f32)| -> Result<LikelyToken> {
            Ok(LikelyToken {
                id,
                token: tokenizer.decode(&[id], false)?,
                logprob: f64::from(logit) - sum,
            })
        };
        let own = logits.get(id as usize).copied();
        Ok(Self {
            token: told((id, own.unwrap_or(f32::NEG_INFINITY)))?,
            top_logprobs: likeliest(logits, count)
                .into_iter()
                .map(told)
                .collect::<Result<_>>()?,
        })
    }
}

/// `ln Σ eˡ` over finite logits, summed in f64.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let finite = || logits.iter().filter(|logit| logit.is_finite());
    let top = f64::from(finite().fold(f32::MIN, |top, &logit| top.max(logit)));
    let sum: f64 = finite().map(|&logit| (f64::from(logit) - top).exp()).sum();
    top + sum.ln()
}

/// The `count` largest finite logits with their tokens, the largest first, the lower id first among equals.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| -> Ordering {
        b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0))
    };
    let mut all: Vec<(u32, f32)> = (0u32..).zip(logits.iter().copied()).collect();
    all.retain(|(_, logit)| logit.is_finite());
    if let Some(last) = count.checked_sub(1).filter(|last| *last < all.len()) {
        all.select_nth_unstable_by(last, order);
    }
    all.truncate(count);
    all.sort_unstable_by(order);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_in_order_and_what_is_no_number_does_not() {
        let logits = [
            1.0,
            f32::NAN,
            3.0,
            f32::INFINITY,
            3.0,
            -1.0,
            f32::NEG_INFINITY,
        ];
        assert_eq!(likeliest(&logits, 3), [(2, 3.0), (4, 3.0), (0, 1.0)]);
        assert_eq!(likeliest(&logits, 9).len(), 4);
        assert_eq!(likeliest(&logits, 0), []);
        assert_eq!(likeliest(&[f32::NAN], 2), []);
    }

    #[test]
    fn the_sum_is_over_what_is_finite_and_does_not_overflow() {
        let logits = [3000.0, 3000.0, f32::NAN, f32::NEG_INFINITY];
        assert!((log_sum_exp(&logits) - (3000.0 + 2f64.ln())).abs() < 1e-12);
    }
}
