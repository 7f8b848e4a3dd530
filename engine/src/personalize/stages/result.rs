//! Stage 9: the answer read back: refusals, yes or no, boxes; and what the caller gets.

use super::generate_answer::Answer;
use crate::concepts::Retrieved;
use crate::personalize::answer::{BoxScale, parse_box, parse_yes_no};
use crate::personalize::refusal::{Refusal, refusal_class};
use crate::personalize::types::{
    Kind, MentionView, Outcome, Request, Source, Timings, TokenCounts,
};

/// The result of a request. `mentions` are those of the answer with their boxes.
pub(super) fn result(
    request: &Request,
    answer: Answer,
    mentions: Vec<MentionView>,
    retrieved: &[Retrieved],
    scale: BoxScale,
    (timings, tokens): (Timings, TokenCounts),
) -> Outcome {
    let Answer {
        generated, text, ..
    } = answer;
    let refused = refusal_class(&generated.text).map(|class| match class {
        Refusal::Absent => "absent",
        Refusal::Unknown => "unknown",
    });
    let box_ = match request.kind {
        Kind::Locate => parse_box(&generated.text, scale),
        _ => None,
    };
    let found = match request.kind {
        // A refusal to answer whether it is there says that it is not.
        Kind::Recognize => parse_yes_no(&generated.text).or(refused.map(|_| false)),
        _ => None,
    };
    Outcome {
        text: text.trim_end().to_owned(),
        confidence: generated.confidence(),
        finish: generated.finish,
        seed: generated.seed,
        logprobs: generated.logprobs,
        raw: generated.text,
        source: Source::Captioner,
        mentions,
        retrieved: retrieved.iter().map(Into::into).collect(),
        answer: found,
        box_,
        refused,
        timings,
        tokens,
    }
}
