//! `Linear` over every weight format: dense for training and small models, quantised blocks as stored; and what an adapter
//! adds to either.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::lora::Lora;
use super::params::{Init, ParamBuilder};
use crate::Result;
#[cfg(feature = "train")]
use crate::ops::Head;
use crate::ops::{self, Epilogue, QuantMatrix};

/// A quantised matrix, and the bias of its product.
#[cfg(feature = "cpu")]
pub(super) type Biased<'a> = (&'a QuantMatrix, Option<Tensor<1>>);

/// `y = x Wᵀ + b` with `W` `[out, in]`, the layout of checkpoints, plus the active adapter's share.
#[derive(Module, Debug)]
pub struct Linear {
    /// Our name of the layer.
    #[module(skip)]
    key: String,
    weight: Option<Param<Tensor<2>>>,
    #[module(skip)]
    blocks: Option<QuantMatrix>,
    bias: Option<Param<Tensor<1>>>,
    /// The pairs of the adapters that have one for this layer.
    loras: Vec<Lora>,
    /// Which of them counts.
    #[module(skip)]
    active: Option<usize>,
    /// Whether products of many rows are made in bf16.
    #[module(skip)]
    bf16: bool,
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
        let blocks = p.quantised(&format!("{name}.weight"), output, input)?;
        Self::with(p, name, [output, input], bias, blocks)
    }

    /// Builds a table of `rows` embeddings as a layer without bias, to be read by [`Linear::rows`] and, where it is the head as
    /// well, multiplied with. Where gradients are wanted it is dense: training reads all of it in every step.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks the tensor.
    pub fn table(p: &mut ParamBuilder<'_>, name: &str, rows: usize, width: usize) -> Result<Self> {
        let blocks = match p.device().is_autodiff() {
            true => None,
            false => p.quantised(&format!("{name}.weight"), rows, width)?,
        };
        Self::with(p, name, [rows, width], false, blocks)
    }

    fn with(
        p: &mut ParamBuilder<'_>,
        name: &str,
        [output, input]: [usize; 2],
        bias: bool,
        blocks: Option<QuantMatrix>,
    ) -> Result<Self> {
        let key = format!("{name}.weight");
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
            key: name.to_owned(),
            loras: Vec::new(),
            active: None,
            bf16: false,
        })
    }

    /// Our name of the layer, such as `model.text_model.layers.0.self_attn.q_proj`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Numbers that come out and that go in, `[out, in]`.
    pub fn dims(&self) -> [usize; 2] {
        match (&self.weight, &self.blocks) {
            (Some(weight), _) => weight.dims(),
            (None, Some(blocks)) => [blocks.rows(), blocks.cols()],
            (None, None) => [0; 2],
        }
    }

    /// Keeps what an adapter adds here; [`Linear::use_adapter`] makes it count.
    pub(super) fn add_lora(&mut self, lora: Lora) {
        self.loras.push(lora);
    }

    /// What the adapter of a name adds here.
    pub(super) fn lora_of(&self, name: &str) -> Option<&Lora> {
        self.loras.iter().find(|lora| lora.adapter() == name)
    }

    /// Makes products of many rows in bf16, of weights that stay f32, or no longer.
    pub(super) fn set_bf16(&mut self, on: bool) {
        self.bf16 = on;
    }

    /// Draws what adapters leave out while they are trained by this key; `None` leaves nothing out.
    pub(super) fn set_dropout(&mut self, key: Option<u64>) {
        self.loras.iter_mut().for_each(|lora| lora.set_dropout(key));
    }

    /// Lets the adapter of a name count from now on, where it has something to add.
    pub(super) fn use_adapter(&mut self, name: Option<&str>) {
        self.active =
            name.and_then(|name| self.loras.iter().position(|lora| lora.adapter() == name));
    }

    /// Forgets an adapter. None counts afterwards.
    pub(super) fn remove_adapter(&mut self, name: &str) {
        self.active = None;
        self.loras.retain(|lora| lora.adapter() != name);
    }

    /// The rows of the matrix with these numbers, `[count, in]`: a table of embeddings is a layer read so.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn rows(&self, numbers: &[u32]) -> Tensor<2> {
        match (&self.weight, &self.blocks) {
            (Some(weight), _) => {
                let numbers: Vec<i64> = numbers.iter().map(|&n| i64::from(n)).collect();
                let count = numbers.len();
                let data = TensorData::new(numbers, [count]);
                let weight = weight.val();
                let numbers = Tensor::<1, Int>::from_data(data, &weight.device());
                weight.select(0, numbers)
            }
            (None, Some(blocks)) => blocks.select(numbers),
            (None, None) => unreachable!("a Linear is dense or quantised by construction"),
        }
    }

    /// [`Self::rows`] of numbers that are told on a device where kernels run, `[count]`, each of a row there is.
    pub fn rows_told(&self, numbers: &Tensor<1, Int>) -> Tensor<2> {
        match (&self.weight, &self.blocks) {
            (Some(weight), _) => weight.val().select(0, numbers.clone()),
            (None, Some(blocks)) => blocks.select_told(numbers),
            (None, None) => unreachable!("a Linear is dense or quantised by construction"),
        }
    }

    /// The device the matrix is on.
    pub fn device(&self) -> Device {
        match (&self.weight, &self.blocks) {
            (Some(weight), _) => weight.val().device(),
            (None, Some(blocks)) => blocks.device(),
            (None, None) => unreachable!("a Linear is dense or quantised by construction"),
        }
    }

    /// # Shapes
    /// - x: `[.., in]`
    /// - output: `[.., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.then(x, None, None)
    }

    /// The activation of what [`Linear::forward`] makes of x.
    pub(super) fn forward_activated<const D: usize>(
        &self,
        x: Tensor<D>,
        activation: ops::Activation,
    ) -> Tensor<D> {
        self.then(x, Some(activation), None)
    }

    /// `onto` and what [`Linear::forward`] makes of x.
    pub(super) fn forward_onto<const D: usize>(&self, x: Tensor<D>, onto: Tensor<D>) -> Tensor<D> {
        self.then(x, None, Some(onto))
    }

    /// The layer, what the active adapter adds, and what comes behind.
    fn then<const D: usize>(
        &self,
        x: Tensor<D>,
        activation: Option<ops::Activation>,
        onto: Option<Tensor<D>>,
    ) -> Tensor<D> {
        let mut epilogue = Epilogue {
            bias: self.bias.as_ref().map(Param::val),
            activation,
            onto,
        };
        match self.lora() {
            Some(lora) => {
                let added = lora.forward(x.clone());
                let base = self.product(x, epilogue.bias.take().into());
                epilogue.of(base + added)
            }
            None => self.product(x, epilogue),
        }
    }

    /// The quantised matrices of several layers as one, where the device gains by it: [`QuantMatrix::stack`].
    pub(super) fn stack(layers: &mut [&mut Self]) -> Option<QuantMatrix> {
        let count = layers.len();
        let blocks = layers.iter_mut().filter_map(|layer| layer.blocks.as_mut());
        let mut blocks: Vec<&mut QuantMatrix> = blocks.collect();
        if blocks.len() < count {
            return None;
        }
        QuantMatrix::stack(&mut blocks)
    }

    /// [`Linear::forward`] of several layers for one input, in one operation where all are quantised; `stack` is that of
    /// the layers, in this order.
    pub(super) fn forward_all<const D: usize, const N: usize>(
        layers: [&Self; N],
        x: Tensor<D>,
        stack: Option<&QuantMatrix>,
    ) -> [Tensor<D>; N] {
        let blocks: Vec<&QuantMatrix> = layers.iter().filter_map(|l| l.only_blocks()).collect();
        match <[&QuantMatrix; N]>::try_from(blocks) {
            Ok(blocks) => {
                let biases = layers.map(|layer| layer.bias.as_ref().map(Param::val));
                ops::quant_linears(x, blocks, biases, stack)
            }
            Err(_) => layers.map(|layer| layer.forward(x.clone())),
        }
    }

    /// `silu(gate(x)) up(x)`; `stack` is that of both.
    pub(super) fn forward_gated<const D: usize>(
        gate: &Self,
        up: &Self,
        x: Tensor<D>,
        stack: Option<&QuantMatrix>,
    ) -> Tensor<D> {
        match (gate.only_blocks(), up.only_blocks()) {
            (Some(gate_blocks), Some(up_blocks)) if gate.bias.is_none() && up.bias.is_none() => {
                ops::gated_quant_linear(x, gate_blocks, up_blocks, stack)
            }
            _ => {
                let [gate, up] = Self::forward_all([gate, up], x, stack);
                ops::gated_silu(gate, up)
            }
        }
    }

    /// The quantised matrix, where nothing is added to its product.
    #[cfg(feature = "cpu")]
    pub(super) fn plain_blocks(&self) -> Option<&QuantMatrix> {
        self.only_blocks().filter(|_| self.bias.is_none())
    }

    /// The quantised matrix and the bias, where no adapter adds to it.
    #[cfg(feature = "cpu")]
    pub(super) fn biased_blocks(&self) -> Option<Biased<'_>> {
        let blocks = self.only_blocks()?;
        Some((blocks, self.bias.as_ref().map(Param::val)))
    }

    /// The quantised matrix, where no adapter adds to it.
    fn only_blocks(&self) -> Option<&QuantMatrix> {
        self.blocks.as_ref().filter(|_| self.active.is_none())
    }

    /// The weights as one matrix and what the active adapter adds to the product with `x` `[N, in]`; a layer without bias.
    #[cfg(feature = "train")]
    pub(super) fn unmerged(&self, x: Tensor<2>) -> Head {
        let weight = match (&self.weight, &self.blocks) {
            (Some(weight), _) => weight.val(),
            (None, Some(blocks)) => blocks.dequantize(),
            (None, None) => unreachable!("a Linear is dense or quantised by construction"),
        };
        let adapter = self.lora().map(|lora| lora.halves(x));
        Head { weight, adapter }
    }

    fn lora(&self) -> Option<&Lora> {
        self.active.and_then(|at| self.loras.get(at))
    }

    /// The product with the matrix, and what is done to it.
    fn product<const D: usize>(&self, x: Tensor<D>, epilogue: Epilogue<D>) -> Tensor<D> {
        match (&self.weight, &self.blocks) {
            (Some(weight), _) if self.bf16 => ops::bf16_linear(x, weight.val(), epilogue),
            (Some(weight), _) => ops::dense_linear(x, weight.val(), epilogue),
            (None, Some(blocks)) => ops::quant_linear(x, blocks, epilogue),
            (None, None) => unreachable!("a Linear is dense or quantised by construction"),
        }
    }
}
