//! The loss of single tokens: how likely the decoder's head makes each target.

use burn::tensor::{Int, Tensor, TensorData, activation};
use namelens_engine::model::vlm::Vlm;

/// Cross-entropy `[N]` of `targets` after `hidden` `[N, hidden]`, and the likeliest tokens.
pub(super) fn token_losses(
    model: &Vlm,
    hidden: Tensor<2>,
    targets: &[i64],
) -> (Tensor<1>, Vec<i64>) {
    let device = hidden.device();
    let logits = model.decoder.logits(hidden);
    let guesses = logits
        .clone()
        .argmax(1)
        .into_data()
        .convert::<i64>()
        .try_to_vec::<i64>()
        .unwrap_or_default();
    let data = TensorData::new(targets.to_vec(), [targets.len(), 1]);
    let target = Tensor::<2, Int>::from_data(data, &device);
    let losses = -activation::log_softmax(logits, 1).gather(1, target);
    (losses.reshape([targets.len()]), guesses)
}
