//! LoRA (Hu et al., arXiv 2106.09685): what an adapter adds to a linear layer, as two thin products beside it.
//!
//! The weights of the layer stay as they are, dense or in blocks, so that adapters can be exchanged and nothing is rounded.

mod adapter;
mod export;
mod fresh;
mod settings;
#[cfg(test)]
mod tests;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::params::id_of;

pub use adapter::{Adapter, Update};
pub use export::SavedAdapter;
pub(super) use export::save;
pub use fresh::{LoraConfig, Start};

use crate::ops;
use fresh::{Dropout, param_names};

/// One adapter's share of one layer: `scale * (x Aᵀ) Bᵀ`.
#[derive(Module, Debug)]
pub struct Lora {
    /// Whose share it is.
    #[module(skip)]
    adapter: String,
    /// `[r, in]`
    a: Param<Tensor<2>>,
    /// `[out, r]`
    b: Param<Tensor<2>>,
    scale: f64,
    /// Whether the scale was made with the root of the rank.
    #[module(skip)]
    by_root: bool,
    #[module(skip)]
    dropout: Dropout,
}

impl Lora {
    /// The share of adapter `adapter` in the layer `key`, on `device`; it can be trained where the device has gradients.
    pub(super) fn new(adapter: &str, key: &str, update: Update, device: &Device) -> Self {
        let Update {
            a,
            b,
            rank,
            input,
            output,
            scale,
        } = update;
        let [name_a, name_b] = param_names(adapter, key);
        let param = |name: &str, values: Vec<f32>, shape: [usize; 2]| {
            let tensor = Tensor::<2>::from_data(TensorData::new(values, shape), device);
            let tensor = match device.is_autodiff() {
                true => tensor.require_grad(),
                false => tensor,
            };
            Param::initialized(id_of(name), tensor)
        };
        Self {
            adapter: adapter.to_owned(),
            a: param(&name_a, a, [rank, input]),
            b: param(&name_b, b, [output, rank]),
            scale,
            by_root: false,
            dropout: Dropout::NONE,
        }
    }

    /// Name of the adapter.
    pub fn adapter(&self) -> &str {
        &self.adapter
    }

    /// # Shapes
    /// - x: `[.., in]`
    /// - output: `[.., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::dense_linear(self.thin(x), self.b.val(), None)
    }

    /// The two factors of [`Lora::forward`]: thin `[.., r]` and `B` `[out, r]`.
    #[cfg(feature = "train")]
    pub(super) fn halves(&self, x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        (self.thin(x), self.b.val())
    }

    /// `scale * x Aᵀ` `[.., r]`; scaled where there are fewest numbers.
    fn thin<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let x = self.dropout.apply(x, self.a.id.val());
        ops::dense_linear(x, self.a.val(), None).mul_scalar(self.scale)
    }
}
