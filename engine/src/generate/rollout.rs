//! Completions drawn for training: many of a prompt at once, each token with how likely it was.
//!
//! A prompt is read once, its photos having been encoded once, and its samples go on from there side by side. What is drawn
//! depends on the seed, the step, the number of the sample and that of the token, and on nothing else of the batch; but what dropout
//! leaves out, where it is on ([`Vlm::set_dropout`]), goes by a row's place in it.

use super::batch::Batch;
use super::constraint::Allowed;
use super::decode_loop::{Scores, Writer, decode};
use super::sampler::{Sampler, SamplingOptions, tempered_log_probability};
use super::session::{Photos, Session};
use crate::host::Host;
use crate::model::kv_cache::KvCache;
use crate::model::vlm::Vlm;
use crate::random::Stream;
use crate::{Error, Result};

/// How completions are drawn: all of it said, nothing taken from a checkpoint's `generation_config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutOptions {
    /// Divides the logits; above 0.
    pub temperature: f32,
    /// Only the k likeliest tokens; 0 means all.
    pub top_k: usize,
    /// Only the smallest set of likeliest tokens with this much probability in all; 1 means all.
    pub top_p: f32,
    /// Only tokens at least this fraction as likely as the likeliest; 0 means all.
    pub min_p: f32,
    /// Longest completion, tokens, its end among them.
    pub max_tokens: usize,
    /// Tokens that end a completion.
    pub ends: Vec<u32>,
    /// Tokens that are never drawn besides the image token, such as those that begin and end a photo.
    pub banned: Vec<u32>,
    /// Tokens that fit into the model's context.
    pub context: usize,
    /// The token that stands for a part of a photo.
    pub image_token: u32,
    /// Most rows side by side; the samples of one prompt are never parted.
    pub rows: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Step of the run.
    pub step: u64,
}

/// A prompt to be completed.
#[derive(Debug, Clone, Copy)]
pub struct RolloutPrompt<'a> {
    /// Its tokens.
    pub ids: &'a [u32],
    /// Its photos.
    pub photos: Option<Photos<'a>>,
    /// Number of its first sample within the step; the others follow. It keys what is drawn, so no two samples of a step may
    /// have one number.
    pub first_sample: u64,
}

/// A completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Its tokens, the end token among them where it ended.
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the distribution it was drawn from: tempered, without banned tokens, cut by top-k,
    /// top-p and min-p.
    pub sampled: Vec<f32>,
    /// Log-probability of each token under `softmax(logits / T)` over the whole vocabulary, as training computes it.
    pub tempered: Vec<f32>,
    /// Whether the model ended it; otherwise it was cut at its longest length.
    pub ended: bool,
}

/// Draws `samples` completions of every prompt; in the order of the prompts.
///
/// `vlm` is a model in evaluation mode (without gradients).
///
/// # Errors
/// [`Error::Option`] for an option outside its range or a prompt without tokens, [`Error::ContextFull`] when a prompt and its
/// longest completion do not fit, [`Error::Device`] when the model's logits are no numbers, [`Error::Cancelled`].
pub async fn rollout(
    vlm: &Vlm,
    prompts: &[RolloutPrompt<'_>],
    samples: usize,
    options: &RolloutOptions,
    host: &dyn Host,
) -> Result<Vec<Vec<Completion>>> {
    let sampler = sampler(options)?;
    if let Some(longest) = prompts.iter().map(|prompt| prompt.ids.len()).max() {
        let needed = longest + options.max_tokens;
        if needed > options.context {
            return Err(Error::ContextFull {
                needed,
                limit: options.context,
            });
        }
    }
    let mut banned = options.banned.clone();
    banned.push(options.image_token);
    banned.sort_unstable();
    banned.dedup();
    let mut completions = Vec::with_capacity(prompts.len());
    let together = (options.rows / samples.max(1)).max(1);
    for prompts in prompts.chunks(together) {
        let (mut sessions, mut logits, mut drafts) = (Vec::new(), Vec::new(), Vec::new());
        for prompt in prompts {
            let mut session = Session::new(vlm, prompt.ids.len() + 1, options.image_token);
            let last = session
                .prefill(prompt.ids, prompt.photos, host, &mut |_, _| ())
                .await?;
            sessions.push((session, samples));
            for sample in 0..samples as u64 {
                logits.extend_from_slice(&last);
                let key = [options.seed, options.step, prompt.first_sample + sample];
                drafts.push(Draft {
                    options,
                    banned: &banned,
                    sampler: sampler.clone().with_stream(Stream::keyed(&key)),
                    completion: Completion {
                        tokens: Vec::new(),
                        sampled: Vec::new(),
                        tempered: Vec::new(),
                        ended: false,
                    },
                });
            }
        }
        if let Some(mut batch) = continued(&sessions, options.max_tokens) {
            // What the prompts took is free again before it is needed.
            drop(sessions);
            decode(&mut batch, logits, &mut drafts, host).await?;
        }
        let mut drafts = drafts.into_iter().map(|draft| draft.completion);
        completions.extend(
            prompts
                .iter()
                .map(|_| drafts.by_ref().take(samples).collect()),
        );
    }
    Ok(completions)
}

/// A sampler for these options, which are checked.
fn sampler(options: &RolloutOptions) -> Result<Sampler> {
    let refuse = |option: &str, problem: String| Error::Option {
        option: option.into(),
        problem,
    };
    if options.temperature.is_nan() || options.temperature <= 0.0 {
        let problem = format!("{} is not above 0", options.temperature);
        return Err(refuse("temperature", problem));
    }
    if options.max_tokens == 0 {
        return Err(refuse("maxTokens", "0 leaves nothing to be drawn".into()));
    }
    let sampling = SamplingOptions {
        temperature: options.temperature,
        top_k: options.top_k,
        top_p: options.top_p,
        min_p: options.min_p,
        repetition_penalty: 1.0,
        seed: None,
    };
    Sampler::new(sampling, options.seed)
}

/// A completion on its way.
struct Draft<'a> {
    options: &'a RolloutOptions,
    banned: &'a [u32],
    sampler: Sampler,
    completion: Completion,
}

impl Writer for Draft<'_> {
    fn choose(&mut self, scores: Scores<'_>, before: &[u32]) -> Result<Option<u32>> {
        let Scores::All(logits) = scores else {
            return Err(Error::Device {
                problem: "a token is drawn from all logits, and only the foremost were told".into(),
            });
        };
        let choice = self
            .sampler
            .choose(logits, before, Allowed::Except(self.banned));
        let tempered = tempered_log_probability(logits, choice.token, self.options.temperature);
        if !tempered.is_finite() {
            return Err(Error::Device {
                problem: "the model's logits are no numbers; its weights have diverged".into(),
            });
        }
        let completion = &mut self.completion;
        completion.tokens.push(choice.token);
        completion.sampled.push(choice.log_probability);
        completion.tempered.push(tempered);
        completion.ended = self.options.ends.contains(&choice.token);
        let done = completion.ended || completion.tokens.len() >= self.options.max_tokens;
        Ok((!done).then_some(choice.token))
    }
}

/// Rows that go on from what each session has read, as often as it says, for at most `room` tokens more; `None` of no rows.
///
/// The sessions are of one model. What they read is copied, not read again.
fn continued<'a>(sessions: &[(Session<'a>, usize)], room: usize) -> Option<Batch<'a>> {
    let parts = sessions
        .iter()
        .map(|(session, copies)| (&session.batch.cache, *copies));
    let cache = KvCache::joined(&parts.collect::<Vec<_>>(), room)?;
    let rows = sessions.iter().flat_map(|(session, copies)| {
        std::iter::repeat_n(&session.batch.rows, *copies)
            .flatten()
            .cloned()
    });
    Some(Batch {
        vlm: sessions.first()?.0.batch.vlm,
        rows: rows.collect(),
        limit: cache.len() + room,
        cache,
    })
}
