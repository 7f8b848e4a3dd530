//! The two losses of A2C as VLRM has them: values by squared error, the policy by its probabilities.

use anyhow::{Result, ensure};
use burn::tensor::{Bool, Tensor};

use super::aggregate::Counts;
use super::metrics::Pending;

/// What the losses look at, all `[rows, tokens]`; nothing outside `mask` matters, whatever stands there.
#[derive(Debug, Clone)]
pub struct A2cInputs {
    /// Log-probabilities under the policy at `policy_temperature`; the policy loss is differentiated in them.
    pub logps: Tensor<2>,
    /// What the value head says; the value loss is differentiated in them.
    pub values: Tensor<2>,
    /// Returns of [`super::returns::returns`].
    pub returns: Tensor<2>,
    /// `returns - values`, whitened over the whole step by [`super::returns::whitened`].
    pub advantages: Tensor<2>,
    /// Which tokens count.
    pub mask: Tensor<2, Bool>,
}

/// Losses of one part of a step, each `[1]`.
#[derive(Debug)]
pub struct A2cLoss {
    /// For the value head and its adapter: `(1/n) Σ (R - V)²` (Eq. 2). Plain, not clipped.
    pub value: Tensor<1>,
    /// For the policy: `-(1/n) Σ p_k M_k` with p the probability, not its logarithm (Eq. 4).
    pub policy: Tensor<1>,
    /// Figures.
    pub figures: Pending,
}

/// The losses of these rows; n are the tokens of the whole step (`counts`), so that parts add up.
///
/// Neither loss reaches what the other trains: advantages and returns are constants.
///
/// # Errors
/// When shapes differ.
pub fn losses(inputs: A2cInputs, counts: &Counts) -> Result<A2cLoss> {
    let A2cInputs {
        logps,
        values,
        returns,
        advantages,
        mask,
    } = inputs;
    let shape = mask.dims();
    for (name, tensor) in [
        ("log-probabilities", &logps),
        ("values", &values),
        ("returns", &returns),
        ("advantages", &advantages),
    ] {
        ensure!(
            tensor.dims() == shape,
            "{name} are {:?}, the mask {shape:?}",
            tensor.dims()
        );
    }
    let outside = mask.bool_not();
    // Filled rather than multiplied: zero times infinity is no number, in the gradient either.
    let clean = |values: Tensor<2>| values.mask_fill(outside.clone(), 0.0);
    let counted = outside.clone().bool_not().float();
    let n = counts.tokens.max(1.0);
    let returns = clean(returns).detach();
    let error = returns.clone() - clean(values.clone());
    let value = error.square().sum() / n;
    // A log-probability is at most 0; filled ones meet advantages of 0.
    let weighted = clean(logps).exp() * clean(advantages).detach();
    let policy = -weighted.sum() / n;
    let mut figures = Pending::default();
    figures.sum("value_loss", value.clone());
    figures.sum("policy_loss", policy.clone());
    let total = counted.sum();
    figures.mean("return", returns.sum(), total.clone());
    figures.mean("value", clean(values).sum(), total);
    Ok(A2cLoss {
        value,
        policy,
        figures,
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn inputs(device: &Device, harm: f32) -> A2cInputs {
        let row = |values: [f32; 4]| Tensor::<2>::from_data([values], device);
        A2cInputs {
            logps: row([0.5f32.ln(), 0.25f32.ln(), 0.8f32.ln(), harm]).require_grad(),
            values: row([0.0, -1.0, -1.0, harm]).require_grad(),
            returns: row([-1.0, -1.0, -2.0, harm]),
            advantages: row([1.0, -1.0, 0.5, harm]),
            mask: Tensor::from_data([[true, true, true, false]], device),
        }
    }

    #[test]
    fn worked_losses_and_gradients() {
        let device = Device::flex().autodiff();
        let counts = Counts::of(&[3], 0);
        for harm in [0.0, f32::NAN, f32::INFINITY, 1e30] {
            let inputs = inputs(&device, harm);
            let (logps, values) = (inputs.logps.clone(), inputs.values.clone());
            let loss = losses(inputs, &counts).unwrap();
            let figures = loss.figures.read().unwrap();
            // Given to seven places.
            assert!(
                (figures.get("policy_loss").unwrap() + 0.216_666_7).abs() < 1e-6,
                "{harm}"
            );
            assert!(
                (figures.get("value_loss").unwrap() - 0.666_666_7).abs() < 1e-6,
                "{harm}"
            );
            assert!((figures.get("return").unwrap() + 4.0 / 3.0).abs() < 1e-6);
            let gradients = loss.policy.backward();
            let gradient: Vec<f32> = logps
                .grad(&gradients)
                .unwrap()
                .into_data()
                .try_to_vec()
                .unwrap();
            // dL/dp is -M/n, and dp/dlog p is p.
            for (got, want) in gradient
                .iter()
                .zip([-0.5 / 3.0, 0.25 / 3.0, -0.4 / 3.0, 0.0])
            {
                assert!((got - want).abs() < 1e-6, "{harm}: {gradient:?}");
            }
            assert!(
                values.grad(&gradients).is_none(),
                "the policy loss trains no values"
            );
            let gradient = values.grad(&loss.value.backward()).unwrap();
            let gradient: Vec<f32> = gradient.into_data().try_to_vec().unwrap();
            for (got, want) in gradient.iter().zip([2.0 / 3.0, 0.0, 2.0 / 3.0, 0.0]) {
                assert!((got - want).abs() < 1e-6, "{harm}: {gradient:?}");
            }
        }
    }

    #[test]
    fn shapes_are_checked() {
        let device = Device::flex().autodiff();
        let mut inputs = inputs(&device, 0.0);
        inputs.returns = Tensor::zeros([1, 3], &device);
        let said = losses(inputs, &Counts::of(&[3], 0))
            .unwrap_err()
            .to_string();
        assert!(said.contains("returns are [1, 3]"), "{said}");
    }
}
