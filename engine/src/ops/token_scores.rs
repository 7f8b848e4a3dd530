//! How likely tokens are under a head over the vocabulary, with gradients, without all logits at once.

use burn::tensor::Tensor;

use super::logprob_grad;

/// Log-probabilities of chosen tokens and entropies of the distributions they come from.
#[derive(Debug, Clone)]
pub struct TokenScores {
    /// `log softmax(logits / T)` of each token, `[N]`.
    pub log_probs: Tensor<1>,
    /// `-Σ p log p` of each distribution `p = softmax(logits / T)`, `[N]`, nats.
    pub entropy: Tensor<1>,
}

/// A head over the vocabulary whose weights need not be merged: logits are `hidden weightᵀ + thin addedᵀ`.
#[derive(Debug, Clone)]
pub struct Head {
    /// `[V, H]`
    pub weight: Tensor<2>,
    /// What an adapter adds: thin `[N, r]`, of the same rows as the hidden states, and added `[V, r]`.
    pub adapter: Option<(Tensor<2>, Tensor<2>)>,
}

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
