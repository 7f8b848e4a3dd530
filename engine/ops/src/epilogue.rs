//! What is done to a product before it is written: a bias, an activation, what it is added to.

use burn::tensor::Tensor;

use super::activation::activate;
#[cfg(feature = "cube")]
use super::activation::gelu_of;
use super::activation_kind::Activation;
#[cfg(feature = "cube")]
use super::on_kernels;
#[cfg(feature = "cube")]
use crate::kernels::{self, product::Finish};
#[cfg(feature = "cube")]
use burn_cubecl::tensor::CubeTensor;

/// `onto + activation(product + bias)`, of which each part may be missing.
#[derive(Debug, Clone)]
pub struct Epilogue<const D: usize> {
    /// `[N]`
    pub bias: Option<Tensor<1>>,
    /// Taken of each number.
    pub activation: Option<Activation>,
    /// `[.., N]`, as the product.
    pub onto: Option<Tensor<D>>,
}

impl<const D: usize> Default for Epilogue<D> {
    fn default() -> Self {
        Self::from(None)
    }
}

impl<const D: usize> From<Option<Tensor<1>>> for Epilogue<D> {
    fn from(bias: Option<Tensor<1>>) -> Self {
        Self {
            bias,
            activation: None,
            onto: None,
        }
    }
}

impl<const D: usize> Epilogue<D> {
    /// Done to a product `[.., N]`, part by part.
    pub fn of(self, product: Tensor<D>) -> Tensor<D> {
        let mut y = product;
        if let Some(bias) = self.bias {
            y = y + bias.unsqueeze();
        }
        if let Some(activation) = self.activation {
            y = activate(y, activation);
        }
        match self.onto {
            Some(onto) => onto + y,
            None => y,
        }
    }

    /// Whether one of its tensors has gradients.
    #[cfg(any(feature = "train", feature = "cpu"))]
    pub(super) fn is_tracked(&self) -> bool {
        let bias = self.bias.as_ref().is_some_and(Tensor::is_autodiff);
        bias || self.onto.as_ref().is_some_and(Tensor::is_autodiff)
    }

    /// That it fits a product of `shape`.
    ///
    /// # Panics
    /// When a part has another shape: loops and kernels would read past it, or leave it out.
    pub(super) fn check(&self, shape: [usize; D]) {
        if let Some(bias) = &self.bias {
            assert_eq!(bias.dims(), [shape[D - 1]], "epilogue: bias of {shape:?}");
        }
        if let Some(onto) = &self.onto {
            assert_eq!(onto.dims(), shape, "epilogue: what is added to");
        }
    }

    /// The same for a product of `shape`, whose axes but the last become one.
    ///
    /// # Panics
    /// As [`Epilogue::check`].
    pub(super) fn flat(self, shape: [usize; D]) -> Epilogue<2> {
        self.check(shape);
        let Self {
            bias,
            activation,
            onto,
        } = self;
        Epilogue {
            bias,
            activation,
            onto: onto.map(rows),
        }
    }
}

#[cfg(feature = "cube")]
impl Epilogue<2> {
    /// Done by the kernel that makes the product, as far as one can, and the rest behind it; `run` makes the product `[M, N]`.
    pub(super) fn in_kernel(mut self, run: impl FnOnce(Finish<'_>) -> CubeTensor) -> Tensor<2> {
        let bias = self
            .bias
            .take_if(|bias| is_here(bias))
            .map(kernels::into_cube);
        // In front of what it is added to stands nothing that is still to do.
        let is_next = self.activation.is_none() && self.bias.is_none();
        let onto = self.onto.take_if(|onto| is_next && is_here(onto));
        let onto = onto.map(kernels::into_cube);
        let finish = match (&bias, &onto) {
            (Some(bias), Some(onto)) => Finish::BiasedOnto(bias, onto),
            (Some(bias), None) => match self.activation.and_then(gelu_of) {
                Some(gelu) => {
                    self.activation = None;
                    Finish::BiasedActivated(bias, gelu)
                }
                None => Finish::Biased(bias),
            },
            (None, Some(onto)) => Finish::Onto(onto),
            (None, None) => Finish::Put,
        };
        let y = kernels::from_cube(run(finish));
        self.of(y)
    }
}

/// Whether kernels take a tensor: one with gradients is on a device of another kind.
#[cfg(feature = "cube")]
fn is_here<const D: usize>(x: &Tensor<D>) -> bool {
    on_kernels(&x.device(), &[x.dtype()])
}

/// All axes but the last as one.
pub(super) fn rows<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    x.reshape([rows, shape[D - 1]])
}
