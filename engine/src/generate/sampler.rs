//! Logits to the next token: greedy, temperature, top-k, top-p, min-p, repetition penalty. Pure and seeded.

use serde::{Deserialize, Serialize};

use super::constraint::Allowed;
use crate::text::GenerationSettings;
use crate::{Error, Result};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SamplingOptions {
    /// 0 takes the likeliest token; higher values flatten the distribution.
    pub temperature: f32,
    /// Only the k likeliest tokens; 0 means all.
    pub top_k: usize,
    /// Only the smallest set of likeliest tokens with this much probability in all; 1 means all.
    pub top_p: f32,
    /// Only tokens at least this fraction as likely as the likeliest; 0 means all.
    pub min_p: f32,
    /// Divides the positive and multiplies the negative logits of tokens already said; 1 does nothing.
    pub repetition_penalty: f32,
    /// Seed; the same seed gives the same answer.
    pub seed: u64,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

impl From<&GenerationSettings> for SamplingOptions {
    /// As a checkpoint wants it. What its file is silent about takes the values `transformers` takes.
    fn from(settings: &GenerationSettings) -> Self {
        let penalty = settings.repetition_penalty.unwrap_or(1.0);
        if settings.do_sample != Some(true) {
            return Self {
                repetition_penalty: penalty,
                ..Self::default()
            };
        }
        Self {
            temperature: settings.temperature.unwrap_or(1.0),
            top_k: settings.top_k.unwrap_or(50) as usize,
            top_p: settings.top_p.unwrap_or(1.0),
            min_p: settings.min_p.unwrap_or(0.0),
            repetition_penalty: penalty,
            seed: 0,
        }
    }
}

/// Draws tokens.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplingOptions,
    state: u64,
}

/// A chosen token and the probability the model itself gave it, before any option or constraint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Token id.
    pub token: u32,
    /// Softmax probability under the unchanged logits.
    pub probability: f32,
}

impl Sampler {
    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Option`] with the range of the option that is outside it.
    pub fn new(options: SamplingOptions) -> Result<Self> {
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
        Ok(Self {
            state: options.seed,
            options,
        })
    }

    /// The next token after `said`; `allowed` restricts the choice.
    ///
    /// Logits that are not finite never win; without any finite one the first allowed token is taken.
    pub fn choose(&mut self, logits: &[f32], said: &[u32], allowed: Allowed<'_>) -> Choice {
        let mut candidates: Vec<(u32, f32)> = match allowed {
            Allowed::Only(ids) => ids
                .iter()
                .filter_map(|&id| Some((id, *logits.get(id as usize)?)))
                .collect(),
            Allowed::Except(ids) => (0u32..)
                .zip(logits.iter().copied())
                .filter(|(id, _)| ids.binary_search(id).is_err())
                .collect(),
        };
        let fallback = candidates.first().map_or(0, |(id, _)| *id);
        if self.options.repetition_penalty != 1.0 {
            self.penalise(&mut candidates, said);
        }
        candidates.retain(|(_, logit)| logit.is_finite());
        let token = if self.options.temperature == 0.0 {
            likeliest(&candidates).unwrap_or(fallback)
        } else {
            self.draw(candidates).unwrap_or(fallback)
        };
        Choice {
            token,
            probability: probability(logits, token),
        }
    }

    fn penalise(&self, candidates: &mut [(u32, f32)], said: &[u32]) {
        let penalty = self.options.repetition_penalty;
        for (_, logit) in candidates.iter_mut().filter(|(id, _)| said.contains(id)) {
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
    }

    fn draw(&mut self, mut candidates: Vec<(u32, f32)>) -> Option<u32> {
        // Likeliest first; ties by id, so that equal inputs draw equal tokens everywhere.
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if self.options.top_k > 0 {
            candidates.truncate(self.options.top_k);
        }
        let top = candidates.first()?.1;
        let weight = |logit: f32| f64::from((logit - top) / self.options.temperature).exp();
        let mut weights: Vec<f64> = candidates.iter().map(|(_, logit)| weight(*logit)).collect();
        let enough = weights
            .iter()
            .take_while(|w| **w >= f64::from(self.options.min_p))
            .count();
        weights.truncate(enough.max(1));
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let nucleus = weights
            .iter()
            .position(|w| {
                sum += w;
                sum >= f64::from(self.options.top_p) * total
            })
            .map_or(weights.len(), |last| last + 1);
        weights.truncate(nucleus);
        let mut rest = self.uniform() * weights.iter().sum::<f64>();
        for (i, w) in weights.iter().enumerate() {
            rest -= w;
            if rest < 0.0 {
                return Some(candidates[i].0);
            }
        }
        Some(candidates[weights.len() - 1].0)
    }

    /// Uniform in [0, 1): SplitMix64 (Steele et al., OOPSLA 2014), 53 bits.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
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

fn probability(logits: &[f32], token: u32) -> f32 {
    let top = logits
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .fold(f32::MIN, f32::max);
    let sum: f32 = logits
        .iter()
        .filter(|v| v.is_finite())
        .map(|v| (v - top).exp())
        .sum();
    let own = logits.get(token as usize).copied().unwrap_or(f32::NAN);
    let p = (own - top).exp() / sum;
    if p.is_finite() { p } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn sampler(change: impl FnOnce(&mut SamplingOptions)) -> Sampler {
        let mut options = SamplingOptions {
            temperature: 1.0,
            seed: 3,
            ..Default::default()
        };
        change(&mut options);
        Sampler::new(options).unwrap()
    }

    fn seen(sampler: &mut Sampler, logits: &[f32], draws: usize) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for _ in 0..draws {
            counts[sampler.choose(logits, &[], Allowed::ANY).token as usize] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_lowest_of_equals_and_never_nan() {
        let mut s = sampler(|o| o.temperature = 0.0);
        assert_eq!(
            s.choose(&[0.0, 2.0, f32::NAN, 2.0], &[], Allowed::ANY)
                .token,
            1
        );
        assert_eq!(s.choose(&[f32::NAN; 3], &[], Allowed::Only(&[2])).token, 2);
        assert_eq!(
            s.choose(&[5.0, 1.0, 2.0], &[], Allowed::Only(&[1, 2]))
                .token,
            2
        );
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let counts = seen(&mut sampler(|_| ()), &[0.0, 1.0, 2.0], 20_000);
        // softmax(0, 1, 2) = .090, .245, .665; the standard error of a share is below .0034.
        for (count, p) in counts.iter().zip([0.090, 0.245, 0.665]) {
            assert!((*count as f64 / 20_000.0 - p).abs() < 0.014, "{counts:?}");
        }
    }

    #[test]
    fn each_filter_keeps_what_it_should() {
        let logits = [3.0, 2.0, 1.0, 0.0];
        let kept = |change: fn(&mut SamplingOptions)| {
            let counts = seen(&mut sampler(change), &logits, 4000);
            counts.iter().filter(|c| **c > 0).count()
        };
        assert_eq!(kept(|_| ()), 4);
        assert_eq!(kept(|o| o.top_k = 2), 2);
        // The two likeliest have .644 + .237 = .881.
        assert_eq!(kept(|o| o.top_p = 0.85), 2);
        assert_eq!(kept(|o| o.top_p = 0.0), 1);
        // exp(-1) = .37, exp(-2) = .14.
        assert_eq!(kept(|o| o.min_p = 0.2), 2);
    }

    #[test]
    fn repetition_is_discouraged_on_both_sides_of_zero() {
        let mut s = sampler(|o| {
            o.temperature = 0.0;
            o.repetition_penalty = 2.0;
        });
        assert_eq!(s.choose(&[1.0, 0.8], &[0], Allowed::ANY).token, 1);
        assert_eq!(s.choose(&[-0.5, -0.8], &[0], Allowed::ANY).token, 1);
    }

    #[test]
    fn seeds_repeat_and_ranges_are_checked() {
        let draw = |seed| {
            let mut s = sampler(|o| o.seed = seed);
            (0..32)
                .map(|_| s.choose(&[0.0; 16], &[], Allowed::ANY).token)
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        let bad = SamplingOptions {
            top_p: 1.5,
            ..Default::default()
        };
        assert!(matches!(Sampler::new(bad), Err(Error::Option { option, .. }) if option == "topP"));
    }
}
