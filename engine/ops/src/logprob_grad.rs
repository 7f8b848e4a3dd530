//! How likely chosen tokens are, and how sure the distributions are, with a gradient of its own: the logits of a few tokens at a
//! time, computed anew on the way back, so that `[tokens, vocabulary]` is never held.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use super::own_grad::{Function, INPUTS, apply, nothing};

/// Logits held at a time.
const HELD: usize = 1 << 22;

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

/// `log softmax(z / T)` of one token a row and the entropy of each row's distribution, where
/// `z = hidden weightᵀ + thin addedᵀ`: hidden `[N, H]`, weight `[V, H]`, thin `[N, r]`, added `[V, r]` -> `[N, 2]`.
#[derive(Debug)]
pub(super) struct LogProbs {
    /// The token of each row.
    pub(super) targets: Vec<u32>,
    /// T
    pub(super) temperature: f32,
    /// Whether there are `thin` and `added`.
    pub(super) adapted: bool,
    /// Most rows at a time.
    pub(super) rows: usize,
}

/// What one block of rows says.
struct Block {
    /// `log softmax` `[n, V]`
    log_probs: Tensor<2>,
    /// Entropy `[n, 1]`
    entropy: Tensor<2>,
    /// Tokens `[n, 1]`
    targets: Tensor<2, Int>,
}

/// Rows of so large a vocabulary whose logits may be held.
pub(super) fn rows_held(vocabulary: usize) -> usize {
    (HELD / vocabulary.max(1)).max(1)
}

/// The scores of `function`'s targets.
pub(super) fn scores(hidden: Tensor<2>, head: Head, function: LogProbs) -> TokenScores {
    let count = function.targets.len();
    let none = || (nothing(&hidden), nothing(&hidden));
    let (thin, added) = head.adapter.unwrap_or_else(none);
    let found = apply(Arc::new(function), [hidden, head.weight, thin, added]);
    let column = |at: usize| found.clone().narrow(1, at, 1).reshape([count]);
    TokenScores {
        log_probs: column(0),
        entropy: column(1),
    }
}

impl LogProbs {
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (count, rows) = (self.targets.len(), self.rows);
        (0..count)
            .step_by(rows)
            .map(move |start| start..(start + rows).min(count))
    }

    fn block(
        &self,
        [hidden, weight, thin, added]: &[Tensor<2>; INPUTS],
        rows: Range<usize>,
    ) -> Block {
        let of = |x: &Tensor<2>| x.clone().narrow(0, rows.start, rows.len());
        let mut logits = of(hidden).matmul(weight.clone().transpose());
        if self.adapted {
            logits = logits + of(thin).matmul(added.clone().transpose());
        }
        let scaled = logits.div_scalar(self.temperature);
        let shifted = scaled.clone() - scaled.max_dim(1);
        let log_probs = shifted.clone() - shifted.exp().sum_dim(1).log();
        let entropy = (log_probs.clone().exp() * log_probs.clone())
            .sum_dim(1)
            .neg();
        let targets: Vec<i64> = self.targets[rows].iter().map(|&id| i64::from(id)).collect();
        let count = targets.len();
        let targets = TensorData::new(targets, [count, 1]);
        Block {
            targets: Tensor::from_data(targets, &log_probs.device()),
            log_probs,
            entropy,
        }
    }
}

impl Function for LogProbs {
    fn forward(&self, inputs: [Tensor<2>; INPUTS]) -> Tensor<2> {
        let found = self.blocks().map(|rows| {
            let block = self.block(&inputs, rows);
            let own = block.log_probs.gather(1, block.targets);
            Tensor::cat(vec![own, block.entropy], 1)
        });
        Tensor::cat(found.collect(), 0)
    }

    /// With `p` the distribution of a row, `g` and `h` the gradients of its token's log-probability and of its entropy `E`:
    /// `dz/T = g (1 - p) - h p (log p + E)`, the 1 at the token.
    fn backward(
        &self,
        inputs: [Tensor<2>; INPUTS],
        grad: Tensor<2>,
        needed: [bool; INPUTS],
    ) -> [Tensor<2>; INPUTS] {
        let [hidden, weight, thin, added] = &inputs;
        let [for_hidden, for_weight, for_thin, for_added] = needed;
        let (mut own_hidden, mut own_thin) = (Vec::new(), Vec::new());
        let (mut own_weight, mut own_added) = (None, None);
        let sum = |sum: Option<Tensor<2>>, more: Tensor<2>| match sum {
            Some(sum) => sum + more,
            None => more,
        };
        for rows in self.blocks() {
            let of = |x: &Tensor<2>| x.clone().narrow(0, rows.start, rows.len());
            let grad = of(&grad);
            let (g, h) = (grad.clone().narrow(1, 0, 1), grad.narrow(1, 1, 1));
            let block = self.block(&inputs, rows.clone());
            let p = block.log_probs.clone().exp();
            let slope = (block.log_probs + block.entropy) * h + g.clone();
            let slopes = (p * slope).neg();
            let slopes = slopes.scatter(1, block.targets, g, IndexingUpdateOp::Add);
            let slopes = slopes.div_scalar(self.temperature);
            if for_hidden {
                own_hidden.push(slopes.clone().matmul(weight.clone()));
            }
            if for_weight {
                own_weight = Some(sum(
                    own_weight,
                    slopes.clone().transpose().matmul(of(hidden)),
                ));
            }
            if self.adapted && for_thin {
                own_thin.push(slopes.clone().matmul(added.clone()));
            }
            if self.adapted && for_added {
                own_added = Some(sum(own_added, slopes.transpose().matmul(of(thin))));
            }
        }
        let joined = |parts: Vec<Tensor<2>>, like: &Tensor<2>| match parts.is_empty() {
            true => like.zeros_like(),
            false => Tensor::cat(parts, 0),
        };
        [
            joined(own_hidden, hidden),
            own_weight.unwrap_or_else(|| weight.clone()),
            joined(own_thin, thin),
            own_added.unwrap_or_else(|| added.zeros_like()),
        ]
    }
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, activation};

    use super::*;
    use crate::random::Stream;

    const ROWS: usize = 7;
    const VOCABULARY: usize = 13;
    const WIDTH: usize = 5;
    const RANK: usize = 2;
    const TEMPERATURE: f32 = 0.7;
    const TARGETS: [u32; ROWS] = [0, 12, 3, 3, 7, 11, 5];

    fn inputs(device: &Device) -> [Tensor<2>; INPUTS] {
        let shapes = [
            [ROWS, WIDTH],
            [VOCABULARY, WIDTH],
            [ROWS, RANK],
            [VOCABULARY, RANK],
        ];
        let mut stream = Stream::new(9);
        shapes.map(|shape| {
            let values: Vec<f32> = (0..shape[0] * shape[1])
                .map(|_| stream.normal() as f32)
                .collect();
            let tensor = Tensor::from_data(TensorData::new(values, shape), device);
            if device.is_autodiff() {
                tensor.require_grad()
            } else {
                tensor
            }
        })
    }

    /// A loss in which both results of every row count differently.
    fn weighed(scores: &TokenScores) -> Tensor<1> {
        let device = scores.entropy.device();
        let weights = |by: f32| {
            let values: Vec<f32> = (0..ROWS).map(|i| (i as f32 - 2.5) * by + 0.3).collect();
            Tensor::<1>::from_floats(values.as_slice(), &device)
        };
        (scores.log_probs.clone() * weights(0.5)).sum()
            + (scores.entropy.clone() * weights(-0.2)).sum()
    }

    fn ours(
        [hidden, weight, thin, added]: [Tensor<2>; INPUTS],
        adapted: bool,
        rows: usize,
    ) -> TokenScores {
        let head = Head {
            weight,
            adapter: adapted.then_some((thin, added)),
        };
        let function = LogProbs {
            targets: TARGETS.to_vec(),
            temperature: TEMPERATURE,
            adapted,
            rows,
        };
        scores(hidden, head, function)
    }

    /// The same by burn's operations over all logits.
    fn plain([hidden, weight, thin, added]: [Tensor<2>; INPUTS], adapted: bool) -> TokenScores {
        let mut logits = hidden.matmul(weight.transpose());
        if adapted {
            logits = logits + thin.matmul(added.transpose());
        }
        let log_probs = activation::log_softmax(logits / TEMPERATURE, 1);
        let targets: Vec<i64> = TARGETS.iter().map(|&id| i64::from(id)).collect();
        let targets = TensorData::new(targets, [ROWS, 1]);
        let targets = Tensor::<2, Int>::from_data(targets, &log_probs.device());
        TokenScores {
            entropy: (log_probs.clone().exp() * log_probs.clone())
                .sum_dim(1)
                .neg()
                .reshape([ROWS]),
            log_probs: log_probs.gather(1, targets).reshape([ROWS]),
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// Values and gradients, in blocks that divide the rows and in blocks that do not; within the rounding of sums of 13 terms.
    #[test]
    fn equal_the_plain_operations_over_all_logits() {
        let device = Device::flex().autodiff();
        for adapted in [false, true] {
            let reference = inputs(&device);
            let wanted = plain(reference.clone(), adapted);
            let gradients = weighed(&wanted).backward();
            for rows in [1, 3, 7, 100] {
                let own = inputs(&device);
                let found = ours(own.clone(), adapted, rows);
                let own_gradients = weighed(&found).backward();
                let mut pairs = vec![
                    (
                        values(found.log_probs.inner()),
                        values(wanted.log_probs.clone().inner()),
                    ),
                    (
                        values(found.entropy.inner()),
                        values(wanted.entropy.clone().inner()),
                    ),
                ];
                for (own, reference) in own.iter().zip(&reference).take(if adapted { 4 } else { 2 })
                {
                    let gradient = own.grad(&own_gradients).unwrap();
                    pairs.push((
                        values(gradient),
                        values(reference.grad(&gradients).unwrap()),
                    ));
                }
                for (found, wanted) in pairs {
                    assert_eq!(found.len(), wanted.len());
                    for (found, wanted) in found.iter().zip(&wanted) {
                        assert!(
                            (found - wanted).abs() < 1e-5,
                            "{rows} rows: {found} for {wanted}"
                        );
                    }
                }
            }
        }
    }

    /// Against differences of the values, in every input: a step of 1e-2 leaves an error of third order and rounding, 1e-3.
    #[test]
    fn gradients_are_finite_differences() {
        let device = Device::flex().autodiff();
        let own = inputs(&device);
        let gradients = weighed(&ours(own.clone(), true, 3)).backward();
        let plain_inputs = inputs(&Device::flex());
        for (which, input) in own.iter().enumerate() {
            let gradient = values(input.grad(&gradients).unwrap());
            let start = values(plain_inputs[which].clone());
            for at in 0..start.len() {
                let moved = |step: f32| {
                    let mut moved = start.clone();
                    moved[at] += step;
                    let mut inputs = plain_inputs.clone();
                    inputs[which] = Tensor::from_data(
                        TensorData::new(moved, inputs[which].dims()),
                        &Device::flex(),
                    );
                    f64::from(weighed(&ours(inputs, true, 3)).into_scalar::<f32>())
                };
                let want = ((moved(1e-2) - moved(-1e-2)) / 2e-2) as f32;
                let far = (gradient[at] - want).abs();
                assert!(
                    far < 1e-3 * (1.0 + want.abs()),
                    "input {which}, {at}: {} for {want}",
                    gradient[at]
                );
            }
        }
    }

    #[test]
    fn what_is_frozen_gets_no_gradient() {
        let device = Device::flex().autodiff();
        let [hidden, weight, thin, added] = inputs(&device);
        let frozen = weight.clone().inner();
        let gradients = weighed(&ours([hidden.clone(), frozen, thin, added], false, 3)).backward();
        assert!(hidden.grad(&gradients).is_some());
        assert!(weight.grad(&gradients).is_none());
    }
}
