//! Attention with a gradient of its own, for training on the CPU; everywhere else burn's attention is used.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::flex::simd;
use super::flex_attention::{Forward, Order, Sizes};
use super::flex_attention_grad::Gradient;
use super::flex_heads::{Heads, readable};
use super::seen::Seen;

/// Attention over equal numbers of queries, keys and heads, all `[B, H, T, D]`.
#[backend_extension(Flex: cfg(feature = "cpu"), Autodiff: cfg(feature = "train"))]
pub(crate) trait AttentionOps: Backend {
    /// `softmax(q kᵀ / sqrt(D)) v`, `[B, H, T, D]`.
    fn sdpa(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        seen: Seen,
    ) -> FloatTensor<Self>;

    /// Its gradients for `grad` of its output: of q, k and v, stacked as `[3, B, H, T, D]`.
    fn sdpa_gradients(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seen: Seen,
    ) -> FloatTensor<Self>;
}

/// Attention of an autodiff flex device; asks for equal shapes and a width that is supported.
pub(super) fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, seen: Seen) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::sdpa(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
        seen,
    ))
}

fn sizes<'a>(q: &FloatTensor<Flex>, seen: &'a Seen) -> Sizes<'a> {
    let [_, _, tokens, width] = q.shape().dims::<4>();
    Sizes {
        tokens,
        width,
        seen,
    }
}

impl AttentionOps for Flex {
    fn sdpa(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        seen: Seen,
    ) -> FloatTensor<Self> {
        let shape = q.shape();
        let sizes = sizes(&q, &seen);
        let [q, k, v] = [q, k, v].map(readable);
        let mut out = vec![0.0; shape.num_elements()];
        simd(Forward {
            sizes,
            q: Heads::of_tensor(&q),
            k: Heads::of_tensor(&k),
            v: Heads::of_tensor(&v),
            heads: 0..shape[0] * shape[1],
            out: &mut out,
            order: Order::Heads,
        });
        FloatTensor::<Self>::from_data(TensorData::new(out, shape))
    }

    fn sdpa_gradients(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seen: Seen,
    ) -> FloatTensor<Self> {
        let [batch, heads, tokens, width] = q.shape().dims::<4>();
        let sizes = sizes(&q, &seen);
        let [q, k, v, grad] = [q, k, v, grad].map(readable);
        let part = batch * heads * tokens * width;
        let mut all = vec![0.0; 3 * part];
        let (dq, rest) = all.split_at_mut(part);
        let (dk, dv) = rest.split_at_mut(part);
        simd(Gradient {
            sizes,
            heads: batch * heads,
            q: Heads::of_tensor(&q),
            k: Heads::of_tensor(&k),
            v: Heads::of_tensor(&v),
            grad: Heads::of_tensor(&grad),
            dq,
            dk,
            dv,
        });
        let data = TensorData::new(all, [3, batch, heads, tokens, width]);
        FloatTensor::<Self>::from_data(data)
    }
}

/// Keeps the inputs; scores are computed anew on the way back.
#[derive(Debug)]
struct AttentionBackward;

impl<B: AttentionOps> Backward<B, 3> for AttentionBackward {
    type State = ([NodeId; 3], Seen);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = gradients.consume::<B>(&ops.node);
        let (inputs, seen) = ops.state;
        let [q, k, v]: [FloatTensor<B>; 3] =
            inputs.map(|node| checkpointer.retrieve_node_output(node));
        let shape = q.shape();
        let [batch, heads, tokens, width] = shape.dims::<4>();
        let all = B::sdpa_gradients(q, k, v, grad, seen);
        for (part, parent) in ops.parents.into_iter().enumerate() {
            let Some(parent) = parent else { continue };
            let ranges = [part..part + 1, 0..batch, 0..heads, 0..tokens, 0..width];
            let slices = ranges.map(burn::tensor::Slice::from);
            let own = B::float_reshape(B::float_slice(all.clone(), &slices), shape.clone());
            gradients.register::<B>(parent.id, own);
        }
    }
}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn sdpa(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        seen: Seen,
    ) -> FloatTensor<Self> {
        let nodes = [q.node(), k.node(), v.node()];
        match AttentionBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prepared) => {
                let inputs = [&q, &k, &v].map(|tensor| prepared.checkpoint(tensor));
                let [q, k, v] = [&q, &k, &v].map(|tensor| tensor.primitive().clone());
                prepared.finish((inputs, seen.clone()), B::sdpa(q, k, v, seen))
            }
            OpsKind::UnTracked(prepared) => {
                let [q, k, v] = [q, k, v].map(|tensor| tensor.into_primitive());
                prepared.finish(B::sdpa(q, k, v, seen))
            }
        }
    }

    fn sdpa_gradients(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seen: Seen,
    ) -> FloatTensor<Self> {
        // Second derivatives are not defined: the gradients are constants.
        let [q, k, v, grad] = [q, k, v, grad].map(|tensor| tensor.into_primitive());
        <Self as AutodiffBackend>::from_inner(B::sdpa_gradients(q, k, v, grad, seen))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use burn::tensor::ops::AttentionModuleOptions;
    use burn::tensor::{Device, Distribution, Tensor, module};

    use crate::{Seen, Shared};

    /// Output and the gradients of q, k and v, by our loops or by burn's operations.
    fn run(inputs: &[Tensor<4>; 4], seen: &Seen, ours: bool) -> Vec<Vec<f32>> {
        let [q, k, v] = [0, 1, 2].map(|i| inputs[i].clone().detach().require_grad());
        let out = if ours {
            crate::attention(q.clone(), k.clone(), v.clone(), seen)
        } else {
            let mask = match seen {
                Seen::Shared(shared) => Some(shared.mask(&q.device())),
                Seen::All | Seen::Before => None,
            };
            let options = AttentionModuleOptions {
                is_causal: matches!(seen, Seen::Before),
                ..Default::default()
            };
            module::attention(q.clone(), k.clone(), v.clone(), mask, None, options)
        };
        let gradients = (out.clone() * inputs[3].clone()).sum().backward();
        let mut results = vec![out.inner()];
        results.extend([q, k, v].map(|input| input.grad(&gradients).unwrap()));
        let values = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().unwrap();
        results.into_iter().map(values).collect()
    }

    /// Within 2e-5: sums of up to 150 products of normal numbers in another order.
    #[test]
    fn values_and_gradients_are_those_of_the_plain_operations() {
        let device = Device::flex().autodiff();
        device.seed(3);
        for tokens in [1, 5, 32, 33, 150] {
            for width in [32, 64] {
                let (first, last) = (tokens / 3, tokens / 2);
                let packed = Shared::new(first, vec![tokens - first - last, 0, last]);
                for seen in [Seen::Before, Seen::All, Seen::Shared(Arc::new(packed))] {
                    let inputs: [Tensor<4>; 4] = std::array::from_fn(|_| {
                        let normal = Distribution::Normal(0.0, 1.5);
                        Tensor::random([2, 3, tokens, width], normal, &device)
                    });
                    let ours = run(&inputs, &seen, true);
                    let plain = run(&inputs, &seen, false);
                    for (name, (a, b)) in ["out", "dq", "dk", "dv"]
                        .iter()
                        .zip(ours.iter().zip(&plain))
                    {
                        assert_eq!(a.len(), b.len());
                        // NaN is the largest.
                        let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs());
                        let gap = gaps.max_by(f32::total_cmp).unwrap();
                        assert!(
                            gap < 2e-5,
                            "{name}, {tokens} tokens of {width}, {seen:?}: {gap:e}"
                        );
                    }
                }
            }
        }
    }

    /// Heads as `Attention` makes them are views with swapped axes.
    #[test]
    fn views_are_read_in_their_own_order() {
        let device = Device::flex().autodiff();
        device.seed(4);
        let inputs: [Tensor<4>; 4] = std::array::from_fn(|i| {
            let normal = Distribution::Normal(0.0, 1.0);
            let wide = Tensor::random([2, 40, 3, 32], normal, &device);
            if i < 3 {
                wide.swap_dims(1, 2)
            } else {
                Tensor::ones([2, 3, 40, 32], &device)
            }
        });
        let before = Seen::Before;
        let (ours, plain) = (run(&inputs, &before, true), run(&inputs, &before, false));
        for (a, b) in ours.iter().flatten().zip(plain.iter().flatten()) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
    }
}
