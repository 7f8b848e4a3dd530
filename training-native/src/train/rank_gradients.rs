//! Gradients of all ranks added up: through the host, in one message, the same bits on every rank.

use anyhow::{Result, ensure};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use crate::ranks::Ranks;

/// The sum over all ranks of the gradients of `model`, which every rank has with the same weights.
///
/// A parameter that no rank has a gradient for has none afterwards either: an optimiser leaves it as it is.
///
/// # Errors
/// When the device or another rank fails.
pub fn summed<M: Module>(
    model: &M,
    gradients: GradientsParams,
    ranks: &dyn Ranks,
) -> Result<GradientsParams> {
    if ranks.size() == 1 {
        return Ok(gradients);
    }
    let mut flat = Flat {
        gradients,
        values: Vec::new(),
        present: Vec::new(),
        failed: None,
    };
    model.visit(&mut flat);
    if let Some(error) = flat.failed {
        return Err(error);
    }
    let count = flat.values.len();
    flat.values.extend(flat.present);
    ranks.sum(&mut flat.values)?;
    let present = flat.values.split_off(count);
    let mut spread = Spread {
        values: &flat.values,
        present: &present,
        gradients: GradientsParams::new(),
    };
    model.visit(&mut spread);
    ensure!(
        spread.values.is_empty() && spread.present.is_empty(),
        "ranks have different models"
    );
    Ok(spread.gradients)
}

/// Gradients one behind the other, in the order of the model's parameters.
struct Flat {
    gradients: GradientsParams,
    values: Vec<f32>,
    /// For each parameter that learns 1 where it has a gradient, else 0.
    present: Vec<f32>,
    failed: Option<anyhow::Error>,
}

impl ModuleVisitor for Flat {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !learns(param) {
            return;
        }
        let count: usize = param.dims().iter().product();
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            self.values.resize(self.values.len() + count, 0.0);
            self.present.push(0.0);
            return;
        };
        let read = gradient.try_into_data().map_err(anyhow::Error::from);
        let read = read.and_then(|data| Ok(data.convert::<f32>().try_to_vec::<f32>()?));
        match read {
            Ok(values) => self.values.extend(values),
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
        self.present.push(1.0);
    }
}

/// Gives every parameter its part back.
struct Spread<'a> {
    values: &'a [f32],
    present: &'a [f32],
    gradients: GradientsParams,
}

impl ModuleVisitor for Spread<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !learns(param) {
            return;
        }
        let shape = param.dims();
        let own = self.values.split_at_checked(shape.iter().product());
        let (Some((own, rest)), Some((present, others))) = (own, self.present.split_first()) else {
            return;
        };
        (self.values, self.present) = (rest, others);
        if *present > 0.0 {
            let device = param.val().inner().device();
            let data = TensorData::new(own.to_vec(), shape);
            let gradient = Tensor::<D>::from_data(data, &device);
            self.gradients.register(param.id, gradient);
        }
    }
}

fn learns<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    param.val().is_require_grad()
}
