//! Logits to the next token: repetition penalty, greedy or temperature, top-k, top-p, min-p. Pure and seeded.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::constraint::Allowed;
use crate::ops::logits::{Foremost, foremost, likeliest_but, probability};
use crate::random::Stream;
use crate::text::GenerationSettings;
use crate::{Error, Result};

/// How the next token is chosen: every option, settled.
///
/// What is not said takes the value of [`SamplingOptions::default`], the one place where defaults are: greedy, and for
/// answers drawn at random those of `transformers`.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingOptions {
    /// 0 takes the likeliest token; higher values flatten the distribution.
    pub temperature: f32,
    /// Only the k likeliest tokens; 0 means all.
    pub top_k: usize,
    /// Only the smallest set of likeliest tokens with this much probability in all; 1 means all.
    pub top_p: f32,
    /// Only tokens at least this fraction as likely as the likeliest; 0 means all.
    pub min_p: f32,
    /// Divides the positive and multiplies the negative logits of tokens in the prompt or already said; 1 does nothing.
    pub repetition_penalty: f32,
    /// The same seed gives the same answer; without one, the host is asked for a fresh one.
    pub seed: Option<u64>,
}

/// Temperature of a checkpoint that wants its answers drawn at random and does not say how.
const DRAWN_TEMPERATURE: f32 = 1.0;
/// Seeds drawn are below this: JavaScript's numbers hold them exactly.
pub(super) const SEEDS: u64 = 1 << 53;

impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 50,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: None,
        }
    }
}

impl From<&GenerationSettings> for SamplingOptions {
    /// As a checkpoint wants it: greedy unless its file says `do_sample`.
    fn from(settings: &GenerationSettings) -> Self {
        let default = Self::default();
        let drawn = settings.do_sample == Some(true);
        Self {
            temperature: match drawn {
                true => settings.temperature.unwrap_or(DRAWN_TEMPERATURE),
                false => default.temperature,
            },
            top_k: settings.top_k.map_or(default.top_k, |k| k as usize),
            top_p: settings.top_p.unwrap_or(default.top_p),
            min_p: settings.min_p.unwrap_or(default.min_p),
            repetition_penalty: settings
                .repetition_penalty
                .unwrap_or(default.repetition_penalty),
            seed: default.seed,
        }
    }
}

/// What a caller says about one answer. Each option given counts, each left out is as the checkpoint's
/// `generation_config.json` has it, and where that is silent as [`SamplingOptions::default`].
///
/// So `{ temperature: 0.7 }` draws with the checkpoint's `top_k`, `{ seed: 5 }` changes nothing of a greedy answer, and
/// `{ temperature: 0 }` is greedy whatever the file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the options of `SamplingOptions`")]
pub struct SamplingOverrides {
    pub temperature: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub seed: Option<u64>,
}

impl SamplingOverrides {
    /// The options given here, the others as `base` has them.
    pub fn over(&self, base: &SamplingOptions) -> SamplingOptions {
        SamplingOptions {
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.unwrap_or(base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            min_p: self.min_p.unwrap_or(base.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            seed: self.seed.or(base.seed),
        }
    }
}

/// Draws tokens.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplingOptions,
    seed: u64,
    stream: Stream,
}

/// A chosen token, and how likely it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Token id.
    pub token: u32,
    /// Softmax probability under the unchanged logits: the model's own, before any option or constraint.
    pub probability: f32,
    /// Log-probability under the distribution it was drawn from, after every option and constraint; 0 when nothing was drawn.
    pub log_probability: f32,
}

impl Sampler {
    /// Checks the options; `seed` counts where they have none.
    ///
    /// # Errors
    /// [`Error::Option`] with the range of the option that is outside it.
    pub fn new(options: SamplingOptions, seed: u64) -> Result<Self> {
        let SamplingOptions {
            temperature,
            top_p,
            min_p,
            repetition_penalty,
            ..
        } = options;
        let ranges = [
            ("temperature", temperature, 0.0, 100.0),
            ("topP", top_p, 0.0, 1.0),
            ("minP", min_p, 0.0, 1.0),
            ("repetitionPenalty", repetition_penalty, 0.01, 100.0),
        ];
        for (option, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(Error::Option {
                    option: option.into(),
                    problem: format!("{value} is not in {low} to {high}"),
                });
            }
        }
        let seed = options.seed.unwrap_or(seed);
        Ok(Self {
            options,
            seed,
            stream: Stream::new(seed),
        })
    }

    /// This sampler drawing from another stream, whatever its seed.
    #[must_use]
    pub(super) fn with_stream(mut self, stream: Stream) -> Self {
        self.stream = stream;
        self
    }

    /// The seed in use, if this sampler draws at all.
    pub fn seed(&self) -> Option<u64> {
        (self.options.temperature > 0.0).then_some(self.seed)
    }

    /// Whether the likeliest of the tokens that are allowed is taken, whatever came before.
    fn is_plain(&self) -> bool {
        self.options.temperature == 0.0 && self.options.repetition_penalty == 1.0
    }

    /// How many of the likeliest tokens that are allowed one is chosen among; `None` where all count, or what came before does.
    pub(super) fn candidates(&self) -> Option<usize> {
        if self.is_plain() {
            return Some(1);
        }
        let SamplingOptions {
            top_k,
            repetition_penalty,
            ..
        } = self.options;
        // One alone would leave out those it is equal to, which can be drawn as well.
        (repetition_penalty == 1.0 && top_k > 0).then_some(top_k.max(2))
    }

    /// The next token after `before`, prompt and answer so far; `allowed` restricts the choice.
    ///
    /// Logits that are not finite never win; without any finite one the first allowed token is taken.
    pub fn choose(&mut self, logits: &[f32], before: &[u32], allowed: Allowed<'_>) -> Choice {
        if let (true, Allowed::Except(ids)) = (self.is_plain(), allowed)
            && let Some(token) = likeliest_but(logits, ids)
        {
            // Nothing is weighed here, so nothing need be copied.
            return Choice {
                token,
                probability: probability(logits, token),
                log_probability: 0.0,
            };
        }
        let mut candidates: Vec<(u32, f32)> = match allowed {
            Allowed::Only(ids) => ids
                .iter()
                .filter_map(|&id| Some((id, *logits.get(id as usize)?)))
                .collect(),
            Allowed::Except(ids) => self.foremost(logits, ids).unwrap_or_else(|| {
                let all = (0u32..).zip(logits.iter().copied());
                all.filter(|(id, _)| ids.binary_search(id).is_err())
                    .collect()
            }),
        };
        let fallback = candidates.first().map_or(0, |(id, _)| *id);
        if self.options.repetition_penalty != 1.0 {
            self.penalise(&mut candidates, before);
        }
        candidates.retain(|(_, logit)| logit.is_finite());
        let (token, share) = self.take(candidates).unwrap_or((fallback, 1.0));
        Choice {
            token,
            probability: probability(logits, token),
            log_probability: share.ln() as f32,
        }
    }

    /// The next token of those in front, all of which are allowed, where no more than [`Self::candidates`] count: the one that
    /// [`Self::choose`] takes of all logits. `None` of no tokens.
    pub(super) fn choose_among(&mut self, front: &Foremost) -> Option<Choice> {
        let (token, share) = self.take(front.tokens.clone())?;
        let mut tokens = front.tokens.iter();
        let logit = tokens.find_map(|(id, logit)| (*id == token).then_some(*logit))?;
        Some(Choice {
            token,
            probability: front.probability(logit),
            log_probability: share.ln() as f32,
        })
    }

    /// A token of these, whose logits are finite, and its share of what could have been drawn.
    fn take(&mut self, candidates: Vec<(u32, f32)>) -> Option<(u32, f64)> {
        if self.options.temperature == 0.0 {
            likeliest(&candidates).map(|token| (token, 1.0))
        } else {
            self.draw(candidates)
        }
    }

    /// All but `banned` that top-k may leave, found without a look at most of the others; `None` where all count, or another may be the
    /// likeliest once it is penalised, or none of these is left.
    fn foremost(&self, logits: &[f32], banned: &[u32]) -> Option<Vec<(u32, f32)>> {
        let k = self.candidates()?;
        let mut found = foremost(logits, k.checked_add(banned.len())?)?;
        found.retain(|(id, _)| banned.binary_search(id).is_err());
        (!found.is_empty()).then_some(found)
    }

    /// As `transformers` does it: once for every token that occurs, photo places included.
    fn penalise(&self, candidates: &mut [(u32, f32)], before: &[u32]) {
        let penalty = self.options.repetition_penalty;
        let before: HashSet<u32> = before.iter().copied().collect();
        for (_, logit) in candidates.iter_mut().filter(|(id, _)| before.contains(id)) {
            *logit = if *logit < 0.0 {
                *logit * penalty
            } else {
                *logit / penalty
            };
        }
    }

    /// Candidates that can be drawn with their weights: the filters in the order of `transformers`, temperature, top-k, top-p,
    /// min-p, for which they are sorted, likeliest first; without any of these they stay in the order of their ids.
    fn weighted(&self, mut candidates: Vec<(u32, f32)>) -> Vec<(u32, f64)> {
        let SamplingOptions {
            top_k,
            top_p,
            min_p,
            ..
        } = self.options;
        if top_k == 0 && top_p >= 1.0 && min_p == 0.0 {
            let top = candidates
                .iter()
                .fold(f32::MIN, |top, (_, logit)| top.max(*logit));
            return self.weights(&candidates, top);
        }
        // Ties by id, so that equal inputs draw equal tokens everywhere.
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if let Some(last) = top_k.checked_sub(1).filter(|last| *last < candidates.len()) {
            // A few of tens of thousands are kept; only they need be in order.
            let (_, &mut (_, last), _) = candidates.select_nth_unstable_by(last, order);
            candidates.retain(|(_, logit)| *logit >= last);
        }
        candidates.sort_unstable_by(order);
        let top = candidates.first().map_or(0.0, |(_, logit)| *logit);
        let mut weights = self.weights(&candidates, top);
        if self.options.top_p < 1.0 {
            let total: f64 = weights.iter().map(|(_, w)| w).sum();
            let mut sum = 0.0;
            let nucleus = weights.iter().position(|(_, w)| {
                sum += w;
                sum >= f64::from(self.options.top_p) * total
            });
            weights.truncate(nucleus.map_or(weights.len(), |last| last + 1));
        }
        // The likeliest has weight 1.
        let enough = weights
            .iter()
            .take_while(|(_, w)| *w >= f64::from(self.options.min_p))
            .count();
        weights.truncate(enough.max(1));
        weights
    }

    /// `e^((logit - top) / T)` of every candidate.
    fn weights(&self, candidates: &[(u32, f32)], top: f32) -> Vec<(u32, f64)> {
        let weight = |logit: f32| f64::from((logit - top) / self.options.temperature).exp();
        let weights = candidates.iter().map(|(id, logit)| (*id, weight(*logit)));
        weights.collect()
    }

    /// A token and its share of all weights.
    fn draw(&mut self, candidates: Vec<(u32, f32)>) -> Option<(u32, f64)> {
        let weights = self.weighted(candidates);
        let total = weights.iter().map(|(_, w)| w).sum::<f64>();
        let mut rest = self.stream.uniform() * total;
        let passed = weights.iter().find(|(_, w)| {
            rest -= w;
            rest < 0.0
        });
        // Rounding may leave a rest; the last that can be drawn at all takes it.
        let found = passed.or_else(|| weights.iter().rfind(|(_, w)| *w > 0.0))?;
        Some((found.0, found.1 / total))
    }
}

/// `log softmax(logits / T)` of one token, over the whole vocabulary: what training computes of it. Summed in f64. Not a number
/// where a logit is none.
pub fn tempered_log_probability(logits: &[f32], token: u32, temperature: f32) -> f32 {
    let top = logits.iter().fold(f32::MIN, |top, logit| top.max(*logit));
    let scaled = |logit: f32| f64::from((logit - top) / temperature);
    let sum: f64 = logits.iter().map(|logit| scaled(*logit).exp()).sum();
    let own = logits
        .get(token as usize)
        .map_or(f64::NAN, |own| scaled(*own));
    (own - sum.ln()) as f32
}

/// The largest; the lowest id among equals.
fn likeliest(candidates: &[(u32, f32)]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for &(id, logit) in candidates {
        if best.is_none_or(|(_, most)| logit > most) {
            best = Some((id, logit));
        }
    }
    best.map(|(id, _)| id)
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
