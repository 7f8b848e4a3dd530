//! How likely tokens are under a head over the vocabulary, with gradients, without all logits at once.

use burn::tensor::Tensor;

use super::logprob_grad::{self, Head, TokenScores};

/// How likely `targets` are after `hidden` at a temperature, with gradients to all of the head and to the hidden states.
///
/// Neither way holds more than a few megabytes of logits; they are computed twice instead.
///
/// # Shapes
/// hidden: `[N, H]`, a target a row -> `[N]` each.
///
/// # Panics
/// When shapes disagree, there is no row, or a target is not in the vocabulary.
pub fn token_scores(
    hidden: Tensor<2>,
    head: Head,
    targets: &[u32],
    temperature: f32,
) -> TokenScores {
    let [vocabulary, width] = head.weight.dims();
    let count = targets.len();
    assert_eq!(
        hidden.dims(),
        [count, width],
        "token_scores: hidden states for {count} targets"
    );
    let known = targets.iter().all(|&target| (target as usize) < vocabulary);
    assert!(
        count > 0 && known,
        "token_scores: {count} targets of {vocabulary} tokens"
    );
    let function = logprob_grad::LogProbs {
        targets: targets.to_vec(),
        temperature,
        adapted: head.adapter.is_some(),
        rows: logprob_grad::rows_held(vocabulary),
    };
    logprob_grad::scores(hidden, head, function)
}
