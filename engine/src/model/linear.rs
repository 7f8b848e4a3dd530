//! `Linear` over every weight format: dense for training and small models, quantised blocks as stored.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, module::linear};

use super::params::{Init, ParamBuilder};
use crate::Result;
use crate::ops::{self, QuantMatrix};

/// `y = x Wᵀ + b` with `W` `[out, in]`, the layout of checkpoints.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Option<Param<Tensor<2>>>,
    #[module(skip)]
    blocks: Option<QuantMatrix>,
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Builds `{name}.weight` `[out, in]` and, if asked for, `{name}.bias` `[out]`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        input: usize,
        output: usize,
        bias: bool,
    ) -> Result<Self> {
        let key = format!("{name}.weight");
        let blocks = p.quantised(&key, output, input)?;
        let weight = match blocks {
            Some(_) => None,
            None => {
                let std = (1.0 / input as f64).sqrt();
                Some(p.param(&key, [output, input], Init::Normal(std))?)
            }
        };
        let bias = if bias {
            Some(p.param(&format!("{name}.bias"), [output], Init::Constant(0.0))?)
        } else {
            None
        };
        Ok(Self {
            weight,
            blocks,
            bias,
        })
    }

    /// # Shapes
    /// - x: `[.., in]`
    /// - output: `[.., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if let Some(weight) = &self.weight {
            return linear(
                x,
                weight.val().transpose(),
                self.bias.as_ref().map(Param::val),
            );
        }
        let Some(blocks) = &self.blocks else {
            unreachable!("a Linear is dense or quantised by construction")
        };
        let y = ops::quant_linear(x, blocks);
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }
}
