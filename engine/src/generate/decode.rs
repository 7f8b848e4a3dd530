//! One answer: choose, constrain, stream whole characters, stop.

use super::constraint::{Allowed, NameConstraint};
use super::decode_loop::{Among, Scores, Writer, decode};
use super::logprobs::{self, TokenLogprobs};
use super::sampler::{SEEDS, Sampler, SamplingOptions};
use super::session::Session;
use crate::host::Host;
use crate::text::{ChatEncoder, TokenStream, Tokenizer};
use crate::{Error, Result};

/// When and how an answer ends, and how its tokens are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// Longest answer, tokens.
    pub max_tokens: usize,
    /// The answer ends before any of these texts.
    pub stop: Vec<String>,
    /// Tokens that end an answer.
    pub ends: Vec<u32>,
    /// How many of the likeliest tokens are told with each token of the answer; `None` tells of neither.
    pub top_logprobs: Option<usize>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Finish {
    /// The model ended it, or a stop text came.
    Stop,
    /// It reached its longest length.
    Length,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Its text, without what stopped it.
    pub text: String,
    /// Its tokens, without the end token.
    pub tokens: Vec<u32>,
    /// Probability the model gave each token.
    pub probabilities: Vec<f32>,
    /// What else it found likely, token by token, where that was asked for.
    pub logprobs: Option<Vec<TokenLogprobs>>,
    /// Why it ended.
    pub finish: Finish,
    /// The seed it was drawn with; `None` when nothing was drawn.
    pub seed: Option<u64>,
}

impl Generated {
    /// Geometric mean of the token probabilities: how sure the model was of the answer as a whole.
    pub fn confidence(&self) -> f32 {
        if self.probabilities.is_empty() {
            return 0.0;
        }
        let sum: f32 = self.probabilities.iter().map(|p| p.max(1e-9).ln()).sum();
        (sum / self.probabilities.len() as f32).exp()
    }
}

/// Continues the prompt `session` has just read, whose last logits are `logits`.
///
/// `on_text` hears the answer piece by piece; no piece splits a character, and nothing that might
/// become a stop text is shown before it is certain that it does not.
///
/// # Errors
/// [`crate::Error::Option`] for options out of range, [`crate::Error::Cancelled`], or when the device or the tokenizer fails.
pub async fn generate(
    session: &mut Session<'_>,
    logits: Vec<f32>,
    options: &GenerateOptions,
    constraint: Option<NameConstraint>,
    tokenizer: &Tokenizer,
    host: &dyn Host,
    on_text: &mut dyn FnMut(&str),
) -> Result<Generated> {
    if let Some(count) = options.top_logprobs {
        logprobs::check(count)?;
    }
    let mut answer = Answer {
        options,
        sampler: Sampler::new(options.sampling.clone(), host.random() % SEEDS)?,
        constraint,
        stream: TokenStream::new(tokenizer, true),
        shown: StopFilter::new(&options.stop),
        tokens: Vec::new(),
        probabilities: Vec::new(),
        logprobs: options.top_logprobs.map(|_| Vec::new()),
        tokenizer,
        finish: Finish::Length,
        on_text,
    };
    decode(
        &mut session.batch,
        logits,
        std::slice::from_mut(&mut answer),
        host,
    )
    .await?;
    answer.finished()
}

/// An answer on its way: one row whose text is heard as it comes.
struct Answer<'a> {
    options: &'a GenerateOptions,
    sampler: Sampler,
    constraint: Option<NameConstraint>,
    stream: TokenStream,
    shown: StopFilter<'a>,
    tokens: Vec<u32>,
    probabilities: Vec<f32>,
    logprobs: Option<Vec<TokenLogprobs>>,
    tokenizer: &'a Tokenizer,
    finish: Finish,
    on_text: &'a mut dyn FnMut(&str),
}

impl Writer for Answer<'_> {
    fn choose(&mut self, scores: Scores<'_>, before: &[u32]) -> Result<Option<u32>> {
        if self.tokens.len() >= self.options.max_tokens {
            return Ok(None);
        }
        let choice = match scores {
            Scores::All(logits) => {
                let constraint = self.constraint.as_ref();
                let allowed = constraint.map_or(Allowed::ANY, NameConstraint::allowed);
                let choice = self.sampler.choose(logits, before, allowed);
                // Only where none is a number one that is none is chosen.
                if logits
                    .get(choice.token as usize)
                    .is_some_and(|logit| logit.is_nan())
                {
                    return Err(Error::Device {
                        problem: "the model's logits are no numbers; its weights or the photo's settings are damaged".into(),
                    });
                }
                choice
            }
            Scores::Foremost(found) => {
                let choice = self.sampler.choose_among(found);
                choice.ok_or_else(|| Error::Device {
                    problem: "the tokens in front were asked for, and none was told".into(),
                })?
            }
        };
        if self.options.ends.contains(&choice.token) {
            self.finish = Finish::Stop;
            return Ok(None);
        }
        if let Some(constraint) = &mut self.constraint {
            constraint.advance(choice.token);
        }
        // Whoever asks for these is never told of the foremost alone.
        if let (Scores::All(logits), Some(logprobs), Some(count)) =
            (scores, &mut self.logprobs, self.options.top_logprobs)
        {
            let told = TokenLogprobs::of(logits, choice.token, count, self.tokenizer)?;
            logprobs.push(told);
        }
        self.tokens.push(choice.token);
        self.probabilities.push(choice.probability);
        if let Some(piece) = self.stream.push(choice.token)? {
            let ready = self.shown.push(&piece);
            if !ready.is_empty() {
                (self.on_text)(&ready);
            }
            if self.shown.stopped {
                self.finish = Finish::Stop;
                return Ok(None);
            }
        }
        let more = self.tokens.len() < self.options.max_tokens;
        Ok(more.then_some(choice.token))
    }

    fn among(&self) -> Option<Among<'_>> {
        let constraint = self.constraint.as_ref();
        match constraint.map_or(Allowed::ANY, NameConstraint::allowed) {
            Allowed::Except(banned) if self.logprobs.is_none() => {
                let k = self.sampler.candidates()?;
                Some(Among { k, banned })
            }
            _ => None,
        }
    }
}

impl Answer<'_> {
    /// The whole answer; what was held back is heard.
    fn finished(mut self) -> Result<Generated> {
        if !self.shown.stopped {
            let rest = self.stream.finish()?.unwrap_or_default();
            let mut ready = self.shown.push(&rest);
            ready.push_str(&self.shown.finish());
            if !ready.is_empty() {
                (self.on_text)(&ready);
            }
        }
        Ok(Generated {
            text: self.shown.text,
            tokens: self.tokens,
            probabilities: self.probabilities,
            logprobs: self.logprobs,
            finish: self.finish,
            seed: self.sampler.seed(),
        })
    }
}

/// Continues as [`generate`] does, always with the likeliest token, to the end of the turn or `max_tokens`.
///
/// # Errors
/// As [`generate`].
pub async fn generate_greedy(
    session: &mut Session<'_>,
    logits: Vec<f32>,
    max_tokens: usize,
    chat: &ChatEncoder,
    host: &dyn Host,
) -> Result<Generated> {
    let options = GenerateOptions {
        sampling: SamplingOptions::default(),
        max_tokens,
        stop: Vec::new(),
        ends: chat.ends().to_vec(),
        top_logprobs: None,
    };
    let tokenizer = chat.tokenizer();
    let mut unheard = |_: &str| ();
    generate(
        session,
        logits,
        &options,
        None,
        tokenizer,
        host,
        &mut unheard,
    )
    .await
}

/// Holds back text that may be the beginning of a stop text.
struct StopFilter<'a> {
    stops: &'a [String],
    held: String,
    text: String,
    stopped: bool,
}

impl<'a> StopFilter<'a> {
    fn new(stops: &'a [String]) -> Self {
        Self {
            stops,
            held: String::new(),
            text: String::new(),
            stopped: false,
        }
    }

    /// Takes a piece and returns what can be shown.
    fn push(&mut self, piece: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(piece);
        let found = self
            .stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min();
        let ready = match found {
            Some(at) => {
                self.stopped = true;
                self.held.truncate(at);
                self.held.len()
            }
            None => self.held.len() - self.possible_beginning(),
        };
        let rest = self.held.split_off(ready);
        let ready = std::mem::replace(&mut self.held, rest);
        self.text.push_str(&ready);
        ready
    }

    /// Bytes at the end of `held` that could begin a stop text.
    fn possible_beginning(&self) -> usize {
        self.held
            .char_indices()
            .map(|(at, _)| &self.held[at..])
            .find(|tail| self.stops.iter().any(|stop| stop.starts_with(*tail)))
            .map_or(0, str::len)
    }

    /// The answer is over: what was held back was no stop text.
    fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        self.text.push_str(&rest);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stops: &[&str], pieces: &[&str]) -> (Vec<String>, String) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut filter = StopFilter::new(&stops);
        let mut out: Vec<String> = pieces.iter().map(|piece| filter.push(piece)).collect();
        if !filter.stopped {
            out.push(filter.finish());
        }
        (out, filter.text)
    }

    #[test]
    fn holds_back_what_may_become_a_stop_text() {
        let (pieces, text) = shown(&["\nUser:"], &["Hi", " there\nUs", "er: x", "more"]);
        assert_eq!(pieces, ["Hi", " there", "", ""]);
        assert_eq!(text, "Hi there");
    }

    #[test]
    fn shows_what_turned_out_harmless() {
        let (pieces, text) = shown(&["END"], &["an E", "N", "T"]);
        assert_eq!(pieces, ["an ", "", "ENT", ""]);
        assert_eq!(text, "an ENT");
        assert_eq!(shown(&["END"], &["日本E"]).1, "日本E");
    }

    #[test]
    fn the_earliest_stop_wins() {
        assert_eq!(shown(&["b", "a"], &["xxab"]).1, "xx");
    }
}
