//! The critic of A2C: a value for each token's hidden state.
//!
//! VLRM reports that a single linear layer lets training collapse into gibberish after a while; its own head has 275 M
//! parameters and an architecture that cannot be read from the paper. The head here is a small multi-layer perceptron; with
//! no hidden layer it is the linear one, offered to reproduce the collapse. It belongs on a language model that wears an
//! adapter of its own, used for values only.

use burn::module::Module;
use burn::tensor::{Tensor, activation};
use namelens_engine::model::linear::Linear;
use namelens_engine::model::params::ParamBuilder;

use super::a2c_config::A2cConfig;

/// Linear layers with GELU between, the last one to a single number.
#[derive(Module, Debug)]
pub struct ValueHead {
    layers: Vec<Linear>,
    output: Linear,
}

impl ValueHead {
    /// Builds `value_head.layers.{i}` and `value_head.output` for hidden states of `width`.
    ///
    /// # Errors
    /// When the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        width: usize,
        config: &A2cConfig,
    ) -> namelens_engine::Result<Self> {
        let mut input = width;
        let mut layers = Vec::with_capacity(config.value_head_layers);
        for layer in 0..config.value_head_layers {
            let name = format!("value_head.layers.{layer}");
            layers.push(Linear::new(
                p,
                &name,
                input,
                config.value_head_hidden,
                true,
            )?);
            input = config.value_head_hidden;
        }
        Ok(Self {
            layers,
            output: Linear::new(p, "value_head.output", input, 1, true)?,
        })
    }

    /// Values `[rows, tokens]` of hidden states `[rows, tokens, width]`.
    pub fn forward(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [rows, tokens, _] = hidden.dims();
        let hidden = self.layers.iter().fold(hidden, |hidden, layer| {
            activation::gelu(layer.forward(hidden))
        });
        self.output.forward(hidden).reshape([rows, tokens])
    }
}

#[cfg(test)]
mod tests {
    use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
    use burn::optim::{AdamWConfig, GradientsParams};
    use burn::tensor::{Device, Distribution};
    use namelens_engine::model::params::RandomSource;

    use super::*;

    /// Squared error left after gradient descent of a target that is no line: the sign of a product.
    fn error_after_training(layers: usize) -> f32 {
        let device = Device::flex().autodiff();
        device.seed(3);
        let config = A2cConfig {
            value_head_layers: layers,
            value_head_hidden: 32,
            ..A2cConfig::default()
        };
        let mut source = RandomSource;
        let mut builder = ParamBuilder::new(&mut source, &device);
        let mut head = ValueHead::new(&mut builder, 2, &config).unwrap();
        let hidden = Tensor::<3>::random([1, 256, 2], Distribution::Normal(0.0, 1.0), &device);
        let product: Tensor<2> = hidden.clone().prod_dim(2).reshape([1, 256]);
        let target = product.sign();
        let mut last = f32::NAN;
        let mut rule = AdamWConfig::new().init();
        for _ in 0..300 {
            let loss = (head.forward(hidden.clone()) - target.clone())
                .square()
                .mean();
            last = loss.clone().into_scalar();
            let gradients = GradientsParams::from_grads(loss.backward(), &head);
            head = rule.step(ModuleLrScheduler::new(0.01).step(), head, gradients);
        }
        last
    }

    #[test]
    fn a_line_cannot_follow_what_the_head_follows() {
        let (line, head) = (error_after_training(0), error_after_training(2));
        // The target's variance is one.
        assert!(line > 0.9, "{line}");
        assert!(head < 0.3, "{head}");
    }
}
