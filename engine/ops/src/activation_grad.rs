//! Activations with a gradient of their own, for training on the CPU; everywhere else burn's are used.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::activation_kind::Activation;
use super::flex::{simd, slice};
use super::flex_activation::{Forward, Gradient};

/// Element-wise functions.
#[backend_extension(Flex: cfg(feature = "cpu"), Autodiff: cfg(feature = "train"))]
pub(crate) trait ActivationOps: Backend {
    /// The activation of every element.
    fn activate(x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self>;

    /// `grad` times the slope at `x`.
    fn activate_gradient(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        kind: Activation,
    ) -> FloatTensor<Self>;
}

/// The activation of a tensor of an autodiff flex device.
pub(super) fn activate<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::activate(x.into_dispatch(), kind))
}

impl ActivationOps for Flex {
    fn activate(x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self> {
        let (shape, x) = (x.shape(), x.to_contiguous());
        let mut out = vec![0.0; shape.num_elements()];
        simd(Forward {
            kind,
            x: slice(&x),
            out: &mut out,
        });
        FloatTensor::<Self>::from_data(TensorData::new(out, shape))
    }

    fn activate_gradient(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        kind: Activation,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let [x, grad] = [x, grad].map(|t| t.to_contiguous());
        let mut own = slice(&grad).to_vec();
        simd(Gradient {
            kind,
            x: slice(&x),
            grad: &mut own,
        });
        FloatTensor::<Self>::from_data(TensorData::new(own, shape))
    }
}

/// Keeps the input.
#[derive(Debug)]
struct ActivationBackward;

impl<B: ActivationOps> Backward<B, 1> for ActivationBackward {
    type State = (NodeId, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = gradients.consume::<B>(&ops.node);
        let (input, kind) = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(input);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            gradients.register::<B>(parent.id, B::activate_gradient(x, grad, kind));
        }
    }
}

impl<B: ActivationOps, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
    fn activate(x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self> {
        match ActivationBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prepared) => {
                let input = prepared.checkpoint(&x);
                prepared.finish((input, kind), B::activate(x.primitive().clone(), kind))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::activate(x.into_primitive(), kind)),
        }
    }

    fn activate_gradient(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        kind: Activation,
    ) -> FloatTensor<Self> {
        // Second derivatives are not defined: the gradient is a constant.
        let [x, grad] = [x, grad].map(|tensor| tensor.into_primitive());
        <Self as AutodiffBackend>::from_inner(B::activate_gradient(x, grad, kind))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, Tensor, activation};

    /// Within 1e-6, the error of the error function and its rounding, times slopes of up to 1.1.
    #[test]
    fn values_and_slopes_are_those_of_the_plain_operations() {
        let device = Device::flex().autodiff();
        let points: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 100.0).collect();
        type Act = fn(Tensor<1>) -> Tensor<1>;
        let pairs: [(&str, Act, Act); 3] = [
            ("gelu", crate::gelu, activation::gelu),
            ("gelu_tanh", crate::gelu_tanh, activation::gelu_approximate),
            ("silu", crate::silu, activation::silu),
        ];
        for (name, ours, plain) in pairs {
            let run = |act: Act| -> [Vec<f32>; 2] {
                let x = Tensor::<1>::from_floats(points.as_slice(), &device).require_grad();
                let out = act(x.clone());
                // Weighted, so that the gradient that comes in is seen to count.
                let weight = x.clone().inner() * 0.3 + 1.0;
                let gradients = (out.clone() * Tensor::from_inner(weight)).sum().backward();
                [out.inner(), x.grad(&gradients).unwrap()]
                    .map(|t| t.into_data().try_to_vec::<f32>().unwrap())
            };
            let (ours, plain) = (run(ours), run(plain));
            for (which, (ours, plain)) in ["value", "slope"].iter().zip(ours.iter().zip(&plain)) {
                for ((a, b), x) in ours.iter().zip(plain).zip(&points) {
                    let bound = 1e-6 * (1.0 + x.abs());
                    assert!((a - b).abs() < bound, "{name} {which} at {x}: {a} for {b}");
                }
            }
        }
    }
}
