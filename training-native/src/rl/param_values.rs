//! Values of the parameters that learn: the first ones by seed and name, and those of a checkpoint.

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use namelens_engine::model::params::{Init, ParamNames, ParamSource, Values};
use namelens_engine::random::Stream;
use namelens_engine::weights::Weights;

use crate::bundle;

/// `model` with the parameters `names` of a checkpoint.
///
/// # Errors
/// When the checkpoint lacks one, or has it in another shape: it is another model's.
pub(super) fn restored<M: Module>(model: M, names: &ParamNames, checkpoint: &Path) -> Result<M> {
    let mut stored = Stored {
        names,
        weights: bundle::open_weights(checkpoint)?,
        failed: None,
    };
    let model = model.map(&mut stored);
    match stored.failed {
        None => Ok(model),
        Some(error) => {
            Err(error).with_context(|| format!("{} does not fit the model", checkpoint.display()))
        }
    }
}

/// Initial values as functions of seed and name alone, whatever else is drawn in this process.
pub(super) struct Keyed {
    pub(super) seed: u64,
}

impl ParamSource for Keyed {
    fn values(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> namelens_engine::Result<Values> {
        let key: Vec<u64> = std::iter::once(self.seed)
            .chain(name.bytes().map(u64::from))
            .collect();
        let mut stream = Stream::keyed(&key);
        let mut draw = |_| match init {
            Init::Normal(std) => (stream.normal() * std) as f32,
            Init::Uniform(bound) => ((2.0 * stream.uniform() - 1.0) * bound) as f32,
            Init::Constant(value) => value as f32,
        };
        Ok(Values::Host(
            (0..shape.iter().product::<usize>())
                .map(&mut draw)
                .collect(),
        ))
    }

    fn contains(&self, _name: &str) -> bool {
        true
    }
}

/// Replaces parameters by those of a file.
struct Stored<'a> {
    names: &'a ParamNames,
    weights: Weights,
    failed: Option<anyhow::Error>,
}

impl Stored<'_> {
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        if !self.weights.contains(name) {
            bail!("it has no {name}");
        }
        Ok(self.weights.take_f32(name, shape)?)
    }
}

impl ModuleMapper for Stored<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(name) = self.names.name_of(param.id).map(str::to_owned) else {
            return param;
        };
        let shape = param.dims();
        match self.values(&name, &shape) {
            Ok(values) => param.map(|old| {
                let fresh = Tensor::from_data(TensorData::new(values, shape), &old.device());
                fresh.require_grad()
            }),
            Err(error) => {
                self.failed.get_or_insert(error);
                param
            }
        }
    }
}
