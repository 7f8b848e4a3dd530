//! New adapters, to be trained: which layers get one, how it starts, and its dropout.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use super::Lora;
use crate::model::linear::Linear;
use crate::model::params::{Init, ParamBuilder};
use crate::random::Stream;
use crate::{Error, Result};

/// How `A` starts; `B` starts at zero, so that a new adapter changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Uniform within `1 / sqrt(in)` (He et al. 2015 as PEFT takes it by default).
    Kaiming,
    /// Normal with deviation `1 / r`, PEFT's `gaussian`.
    Gaussian,
}

/// What a new adapter is like, in PEFT's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rows of `A` and columns of `B`; `r`.
    pub rank: usize,
    /// `lora_alpha`
    pub alpha: f64,
    /// Share of the inputs of `A` that training leaves out; `lora_dropout`.
    pub dropout: f64,
    /// Whether the scale is `alpha / sqrt(r)` (Kalajdzievski, arXiv 2312.03732) and not `alpha / r`; `use_rslora`.
    pub by_root: bool,
    /// How it starts; `init_lora_weights`.
    pub start: Start,
    /// Layers that get it: those in whose names one of these stands, whole between dots, such as `q_proj` or
    /// `text_model.layers`; none means every linear layer.
    pub targets: Vec<String>,
    /// Layers that do not, of those: such as `vision_model`, `connector`, `lm_head`.
    pub excluded: Vec<String>,
}

impl LoraConfig {
    /// Refuses what cannot be.
    pub(in crate::model) fn check(&self) -> Result<()> {
        let refuse = |option: &str, problem: String| Error::Option {
            option: option.into(),
            problem,
        };
        if self.rank == 0 {
            return Err(refuse("r", "must be at least 1".into()));
        }
        if !self.alpha.is_finite() {
            return Err(refuse("lora_alpha", format!("{} is no number", self.alpha)));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("{} is not in 0 to 1, without 1", self.dropout);
            return Err(refuse("lora_dropout", problem));
        }
        Ok(())
    }

    /// Whether a layer gets it.
    pub(in crate::model) fn is_for(&self, key: &str) -> bool {
        let stands = |pattern: &String| format!(".{key}.").contains(&format!(".{pattern}."));
        let wanted = self.targets.is_empty() || self.targets.iter().any(stands);
        wanted && !self.excluded.iter().any(stands)
    }

    fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.by_root { rank.sqrt() } else { rank }
    }
}

/// What of an adapter's input is left out while it is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dropout {
    share: f64,
    /// Key of what is drawn; `None` leaves nothing out.
    key: Option<u64>,
}

impl Dropout {
    /// Nothing is ever left out.
    pub(super) const NONE: Self = Self {
        share: 0.0,
        key: None,
    };

    /// Share of what is left out.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// The inputs that stay, scaled up by what goes. A function of the key, the layer and the places alone.
    pub(super) fn apply<const D: usize>(&self, x: Tensor<D>, layer: u64) -> Tensor<D> {
        let Some(key) = self.key.filter(|_| self.share > 0.0) else {
            return x;
        };
        let mut stream = Stream::keyed(&[key, layer]);
        let kept = (1.0 / (1.0 - self.share)) as f32;
        let mut draw = |_| match stream.uniform() < self.share {
            true => 0.0,
            false => kept,
        };
        let shape = x.dims();
        let count = shape.iter().product::<usize>();
        let mask: Vec<f32> = (0..count).map(&mut draw).collect();
        let mask = Tensor::from_data(TensorData::new(mask, shape), &x.device().inner());
        x * mask
    }
}

impl Lora {
    /// A new share of adapter `adapter` in a layer, its parameters from `p` under `{adapter}:{key}.lora_A.weight` and `lora_B`.
    ///
    /// # Errors
    /// [`Error::Weights`] when the source lacks a tensor.
    pub(in crate::model) fn fresh(
        p: &mut ParamBuilder<'_>,
        adapter: &str,
        linear: &Linear,
        config: &LoraConfig,
    ) -> Result<Self> {
        let [output, input] = linear.dims();
        let start = match config.start {
            Start::Kaiming => Init::Uniform(1.0 / (input as f64).sqrt()),
            Start::Gaussian => Init::Normal(1.0 / config.rank as f64),
        };
        let [a, b] = param_names(adapter, linear.key());
        Ok(Self {
            adapter: adapter.to_owned(),
            a: p.param(&a, [config.rank, input], start)?,
            b: p.param(&b, [output, config.rank], Init::Constant(0.0))?,
            scale: config.scale(),
            by_root: config.by_root,
            dropout: Dropout {
                share: config.dropout,
                key: None,
            },
        })
    }

    /// Draws what is left out by this key from now on; `None` leaves nothing out.
    pub(in crate::model) fn set_dropout(&mut self, key: Option<u64>) {
        self.dropout.key = key;
    }

    /// Names and ids of its parameters in the layer `key`.
    pub(in crate::model) fn params(&self, key: &str) -> [(String, burn::module::ParamId); 2] {
        let [a, b] = param_names(&self.adapter, key);
        let id = |param: &Param<Tensor<2>>| param.id;
        [(a, id(&self.a)), (b, id(&self.b))]
    }
}

/// What the two halves of an adapter are called in checkpoints of its training.
pub(super) fn param_names(adapter: &str, key: &str) -> [String; 2] {
    ["lora_A", "lora_B"].map(|half| format!("{adapter}:{key}.{half}.weight"))
}
