//! The two feed-forward layers, plain and gated, and one that is either.

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::Activation;
use super::linear::Linear;
use super::params::ParamBuilder;
use crate::Result;
use crate::ops::{self, QuantMatrix};

/// `fc2(act(fc1(x)))`.
#[derive(Module, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    act: Activation,
}

impl Mlp {
    /// Builds `{name}.fc1` and `{name}.fc2`, with biases.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        hidden: usize,
        intermediate: usize,
        act: Activation,
    ) -> Result<Self> {
        Ok(Self {
            fc1: Linear::new(p, &format!("{name}.fc1"), hidden, intermediate, true)?,
            fc2: Linear::new(p, &format!("{name}.fc2"), intermediate, hidden, true)?,
            act,
        })
    }

    /// Both layers.
    fn linears(&mut self) -> Vec<&mut Linear> {
        vec![&mut self.fc1, &mut self.fc2]
    }

    /// # Shapes
    /// - x, output: `[.., hidden]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.fc2.forward(self.inside(x))
    }

    /// [`Mlp::forward`], added to `onto`.
    ///
    /// # Shapes
    /// - x, onto, output: `[.., hidden]`
    pub fn forward_onto<const D: usize>(&self, x: Tensor<D>, onto: Tensor<D>) -> Tensor<D> {
        self.fc2.forward_onto(self.inside(x), onto)
    }

    /// What stands between the layers: `[.., intermediate]`.
    fn inside<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        activated(&self.fc1, x, self.act)
    }
}

/// `down(act(gate(x)) * up(x))` (Shazeer, arXiv 2002.05202).
#[derive(Module, Debug)]
pub struct GatedMlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    /// The first two as one.
    #[module(skip)]
    gate_up: Option<QuantMatrix>,
    #[module(skip)]
    act: Activation,
}

impl GatedMlp {
    /// Builds the three projections below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        hidden: usize,
        intermediate: usize,
        act: Activation,
        bias: bool,
    ) -> Result<Self> {
        let mut gate_proj =
            Linear::new(p, &format!("{name}.gate_proj"), hidden, intermediate, bias)?;
        let mut up_proj = Linear::new(p, &format!("{name}.up_proj"), hidden, intermediate, bias)?;
        Ok(Self {
            gate_up: Linear::stack(&mut [&mut gate_proj, &mut up_proj]),
            gate_proj,
            up_proj,
            down_proj: Linear::new(p, &format!("{name}.down_proj"), intermediate, hidden, bias)?,
            act,
        })
    }

    /// The three projections.
    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        vec![&mut self.gate_proj, &mut self.up_proj, &mut self.down_proj]
    }

    /// # Shapes
    /// - x, output: `[.., hidden]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.down_proj.forward(self.gated(x))
    }

    /// [`GatedMlp::forward`], added to `onto`.
    ///
    /// # Shapes
    /// - x, onto, output: `[.., hidden]`
    pub fn forward_onto<const D: usize>(&self, x: Tensor<D>, onto: Tensor<D>) -> Tensor<D> {
        self.down_proj.forward_onto(self.gated(x), onto)
    }

    /// Gate and up, and down, where they are nothing but quantised matrices and the gate is SwiGLU's.
    #[cfg(feature = "cpu")]
    pub(super) fn matrices(&self) -> Option<([&QuantMatrix; 2], &QuantMatrix)> {
        let gated = [self.gate_proj.plain_blocks()?, self.up_proj.plain_blocks()?];
        let down = self.down_proj.plain_blocks()?;
        (self.act == Activation::Silu).then_some((gated, down))
    }

    /// What goes down again: `[.., intermediate]`.
    fn gated<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.act == Activation::Silu {
            return Linear::forward_gated(&self.gate_proj, &self.up_proj, x, self.gate_up.as_ref());
        }
        let layers = [&self.gate_proj, &self.up_proj];
        let [gate, up] = Linear::forward_all(layers, x, self.gate_up.as_ref());
        activate(gate, self.act) * up
    }
}

/// The feed-forward layer of a tower, as its configuration asks.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has one a layer; a box would save nothing worth a look-up"
)]
pub enum FeedForward {
    /// SigLIP's, CLIP's, Qwen3-VL's.
    Plain(Mlp),
    /// Qwen2.5-VL's, with biases.
    Gated(GatedMlp),
}

impl FeedForward {
    /// Builds the layer below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        hidden: usize,
        intermediate: usize,
        act: Activation,
        gated: bool,
    ) -> Result<Self> {
        Ok(match gated {
            true => Self::Gated(GatedMlp::new(p, name, hidden, intermediate, act, true)?),
            false => Self::Plain(Mlp::new(p, name, hidden, intermediate, act)?),
        })
    }

    /// Its projections.
    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Plain(mlp) => mlp.linears(),
            Self::Gated(mlp) => mlp.linears(),
        }
    }

    /// # Shapes
    /// - x, output: `[.., hidden]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Plain(mlp) => mlp.forward(x),
            Self::Gated(mlp) => mlp.forward(x),
        }
    }

    /// [`FeedForward::forward`], added to `onto`.
    ///
    /// # Shapes
    /// - x, onto, output: `[.., hidden]`
    pub fn forward_onto<const D: usize>(&self, x: Tensor<D>, onto: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Plain(mlp) => mlp.forward_onto(x, onto),
            Self::Gated(mlp) => mlp.forward_onto(x, onto),
        }
    }
}

/// The activation of what a layer makes of x, in one operation where there is one.
pub(super) fn activated<const D: usize>(
    layer: &Linear,
    x: Tensor<D>,
    act: Activation,
) -> Tensor<D> {
    match operation(act) {
        Some(activation) => layer.forward_activated(x, activation),
        None => activate(layer.forward(x), act),
    }
}

/// The activation of each number.
pub(super) fn activate<const D: usize>(x: Tensor<D>, act: Activation) -> Tensor<D> {
    match operation(act) {
        Some(activation) => ops::activate(x, activation),
        // x sigmoid(1.702 x)
        None => ops::silu(x * 1.702) / 1.702,
    }
}

/// The operation of an activation that is one.
fn operation(act: Activation) -> Option<ops::Activation> {
    match act {
        Activation::Gelu => Some(ops::Activation::Gelu),
        Activation::GeluPytorchTanh => Some(ops::Activation::GeluTanh),
        Activation::Silu => Some(ops::Activation::Silu),
        Activation::QuickGelu => None,
    }
}
