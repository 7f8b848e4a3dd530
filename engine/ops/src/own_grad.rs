//! Operations whose gradient we write ourselves, over plain tensors: one mechanism for every backend.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// Matrices an operation takes; one that needs fewer is given [`nothing`] for the others.
pub(crate) const INPUTS: usize = 4;

/// An operation from matrices to a matrix; it sees tensors without gradients only.
pub(crate) trait Function: Debug + Send + Sync + 'static {
    /// Its value.
    fn forward(&self, inputs: [Tensor<2>; INPUTS]) -> Tensor<2>;

    /// The gradients of its inputs for `grad` of its value; of one that is not `needed`, anything.
    fn backward(
        &self,
        inputs: [Tensor<2>; INPUTS],
        grad: Tensor<2>,
        needed: [bool; INPUTS],
    ) -> [Tensor<2>; INPUTS];
}

/// The value of `function`, with its gradient where one of the inputs has gradients.
pub(crate) fn apply(function: Arc<dyn Function>, inputs: [Tensor<2>; INPUTS]) -> Tensor<2> {
    if !inputs.iter().any(Tensor::is_autodiff) {
        return function.forward(inputs);
    }
    let [a, b, c, d] = inputs.map(|input| input.autodiff().into_dispatch());
    Tensor::from_dispatch(Dispatch::own(a, b, c, d, function))
}

/// An input that is not there.
pub(crate) fn nothing(like: &Tensor<2>) -> Tensor<2> {
    Tensor::zeros([1, 1], &like.device())
}

/// Carries a [`Function`] through the backends.
#[backend_extension(Flex: cfg(feature = "cpu"), Cube: cfg(feature = "cube"), Autodiff: cfg(feature = "train"))]
pub(crate) trait OwnGradient: Backend {
    /// [`Function::forward`].
    fn own(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        function: Arc<dyn Function>,
    ) -> FloatTensor<Self>;

    /// [`Function::backward`].
    #[allow(
        clippy::too_many_arguments,
        reason = "the inputs, one by one, as extensions take them"
    )]
    fn own_gradients(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        needed: [bool; INPUTS],
        function: Arc<dyn Function>,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );
}

/// A backend whose tensors become plain ones.
macro_rules! plain_backend {
    ($backend:ty) => {
        impl OwnGradient for $backend {
            fn own(
                a: FloatTensor<Self>,
                b: FloatTensor<Self>,
                c: FloatTensor<Self>,
                d: FloatTensor<Self>,
                function: Arc<dyn Function>,
            ) -> FloatTensor<Self> {
                let inputs = [a, b, c, d].map(Tensor::<2>::from_primitive::<$backend>);
                primitive::<$backend>(function.forward(inputs))
            }

            fn own_gradients(
                a: FloatTensor<Self>,
                b: FloatTensor<Self>,
                c: FloatTensor<Self>,
                d: FloatTensor<Self>,
                grad: FloatTensor<Self>,
                needed: [bool; INPUTS],
                function: Arc<dyn Function>,
            ) -> (
                FloatTensor<Self>,
                FloatTensor<Self>,
                FloatTensor<Self>,
                FloatTensor<Self>,
            ) {
                let plain = Tensor::<2>::from_primitive::<$backend>;
                let inputs = [a, b, c, d].map(plain);
                let gradients = function.backward(inputs, plain(grad), needed);
                let [a, b, c, d] = gradients.map(primitive::<$backend>);
                (a, b, c, d)
            }
        }
    };
}

#[cfg(feature = "cpu")]
plain_backend!(burn::backend::Flex);
#[cfg(feature = "cube")]
plain_backend!(burn_cubecl::CubeBackend);

/// The backend's storage of what a function returned, which has its inputs' backend.
fn primitive<B: Backend>(tensor: Tensor<2>) -> FloatTensor<B>
where
    burn::tensor::Float: burn::tensor::BackendPrimitive<B, Primitive = FloatTensor<B>>,
    burn::backend::DispatchTensor: burn::backend::DispatchKindConversion<B>,
{
    tensor
        .try_into_primitive::<B>()
        .expect("a function stays on the backend of its inputs")
}

/// Keeps the inputs.
#[derive(Debug)]
struct OwnBackward;

impl<B: OwnGradient> Backward<B, INPUTS> for OwnBackward {
    type State = ([NodeId; INPUTS], Arc<dyn Function>);

    fn backward(
        self,
        ops: Ops<Self::State, INPUTS>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = gradients.consume::<B>(&ops.node);
        let (inputs, function) = ops.state;
        let [a, b, c, d]: [FloatTensor<B>; INPUTS] =
            inputs.map(|node| checkpointer.retrieve_node_output(node));
        let needed = ops.parents.each_ref().map(Option::is_some);
        let (a, b, c, d) = B::own_gradients(a, b, c, d, grad, needed, function);
        for (parent, own) in ops.parents.into_iter().zip([a, b, c, d]) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, own);
            }
        }
    }
}

impl<B: OwnGradient, C: CheckpointStrategy> OwnGradient for Autodiff<B, C> {
    fn own(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        function: Arc<dyn Function>,
    ) -> FloatTensor<Self> {
        let nodes = [a.node(), b.node(), c.node(), d.node()];
        match OwnBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let inputs = [&a, &b, &c, &d].map(|tensor| prepared.checkpoint(tensor));
                let [a, b, c, d] = [a, b, c, d].map(|tensor| tensor.primitive().clone());
                let value = B::own(a, b, c, d, Arc::clone(&function));
                prepared.finish((inputs, function), value)
            }
            OpsKind::UnTracked(prepared) => {
                let [a, b, c, d] = [a, b, c, d].map(|tensor| tensor.into_primitive());
                prepared.finish(B::own(a, b, c, d, function))
            }
        }
    }

    fn own_gradients(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        needed: [bool; INPUTS],
        function: Arc<dyn Function>,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        // Second derivatives are not defined: the gradients are constants.
        let [a, b, c, d] = [a, b, c, d].map(|tensor| tensor.into_primitive());
        let (a, b, c, d) = B::own_gradients(a, b, c, d, grad.into_primitive(), needed, function);
        let [a, b, c, d] = [a, b, c, d].map(<Self as AutodiffBackend>::from_inner);
        (a, b, c, d)
    }
}
