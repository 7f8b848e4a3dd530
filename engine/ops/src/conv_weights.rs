//! Weights of a convolution that is a product over channels, in the form in which the device reads them best.

use burn::tensor::Tensor;
#[cfg(feature = "cpu")]
use std::sync::Arc;

#[cfg(feature = "cpu")]
use super::dispatch::on_flex;
#[cfg(feature = "cpu")]
use super::flex;
#[cfg(feature = "cpu")]
use super::flex_packed::Packed;

/// Weights `[N, K]` and bias `[N]` of a convolution that is a product: one of a single pixel, or the stem. They stay as they are
/// (no gradients): a convolutional encoder is not trained here.
#[derive(Debug, Clone)]
pub struct ConvWeights {
    pub(super) form: Form,
    /// N and K.
    pub(super) dims: [usize; 2],
}

/// How the weights are held.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// As they were given.
    Dense(Box<(Tensor<2>, Tensor<1>)>),
    /// For the loops of the CPU.
    #[cfg(feature = "cpu")]
    Packed(Arc<Packed>),
}

impl ConvWeights {
    /// Weights `[N, K]` and bias `[N]` of one device.
    pub fn new(weight: Tensor<2>, bias: Tensor<1>) -> Self {
        let dims = weight.dims();
        let (weight, bias) = (weight.inner(), bias.inner());
        #[cfg(feature = "cpu")]
        if on_flex(&weight.device(), weight.dtype()) && bias.dims()[0] == dims[0] {
            let [columns, depth] = dims;
            let weight = flex::storage(weight);
            let bias = flex::storage(bias.reshape([1, columns]));
            let (weight, bias) = (flex::slice(&weight), flex::slice(&bias));
            let packed = Packed::new(weight, bias, columns, depth);
            return Self {
                form: Form::Packed(Arc::new(packed)),
                dims,
            };
        }
        Self {
            form: Form::Dense(Box::new((weight, bias))),
            dims,
        }
    }

    /// Channels out and in, `[N, K]`.
    pub fn dims(&self) -> [usize; 2] {
        self.dims
    }
}
