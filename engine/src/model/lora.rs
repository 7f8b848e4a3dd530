//! LoRA (Hu et al., arXiv 2106.09685): what an adapter adds to a linear layer, as two thin products beside it.
//!
//! The weights of the layer stay as they are, dense or in blocks, so that adapters can be exchanged and nothing is rounded.

mod adapter;
mod settings;
#[cfg(test)]
mod tests;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, module::linear};

use super::params::id_of;

pub use adapter::{Adapter, Update};

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
        let param = |half: &str, values: Vec<f32>, shape: [usize; 2]| {
            let tensor = Tensor::<2>::from_data(TensorData::new(values, shape), device);
            let tensor = match device.is_autodiff() {
                true => tensor.require_grad(),
                false => tensor,
            };
            Param::initialized(id_of(&format!("{adapter}:{key}.{half}.weight")), tensor)
        };
        Self {
            adapter: adapter.to_owned(),
            a: param("lora_A", a, [rank, input]),
            b: param("lora_B", b, [output, rank]),
            scale,
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
        // Scaled where there are fewest numbers.
        let thin = linear(x, self.a.val().transpose(), None).mul_scalar(self.scale);
        linear(thin, self.b.val().transpose(), None)
    }
}
