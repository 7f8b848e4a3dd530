//! Updates that are skipped, counted and given up; and AdamW's numbers.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, TensorData};
use namelens_engine::model::linear::Linear;
use namelens_engine::model::params::{ParamBuilder, RandomSource};

use super::super::schedule::Decay;
use super::*;

fn model() -> (Linear, ParamNames) {
    let device = Device::flex().autodiff();
    device.seed(1);
    let mut source = RandomSource;
    let mut params = ParamBuilder::new(&mut source, &device);
    let model = Linear::new(&mut params, "layer", 2, 1, false).unwrap();
    (model, params.into_names())
}

fn options(beta_2: f32) -> UpdateOptions {
    UpdateOptions {
        rule: Rule::Adamw,
        schedule: Schedule {
            peak: 0.1,
            warmup: 0,
            total: 100,
            floor: 0.0,
            decay: Decay::Constant,
        },
        weight_decay: 0.0,
        moments: Moments::with_beta_2(beta_2),
        clip: 1e9,
    }
}

/// The gradients `scale * x` of the one row of weights.
fn gradients(model: &Linear, x: [f32; 2], scale: f32) -> GradientsParams {
    let x = Tensor::<2>::from_data(
        TensorData::new(x.to_vec(), [1, 2]),
        &Device::flex().autodiff(),
    );
    let loss = model.forward(x).sum().mul_scalar(scale);
    GradientsParams::from_grads(loss.backward(), model)
}

fn weights(model: &Linear, names: &ParamNames) -> Vec<f32> {
    names.collect(model).remove(0).values
}

#[test]
fn gradients_that_are_no_numbers_leave_the_model_alone() {
    let (mut model, names) = model();
    let mut updater = Updater::new(&model, &names, options(0.999));
    let start = weights(&model, &names);
    let no_share = |_: &str| 1.0;
    for round in 1..=MAX_SKIPPED {
        let bad = gradients(&model, [f32::NAN, 1.0], 1.0);
        let (same, done) = updater.update(model, bad, 0, &no_share).unwrap();
        model = same;
        assert!(done.skipped && updater.skipped() == u64::from(round));
    }
    assert_eq!(weights(&model, &names), start);
    // One that is fine begins the count anew.
    let good = gradients(&model, [1.0, 1.0], 1.0);
    let (moved, done) = updater.update(model, good, 0, &no_share).unwrap();
    assert!(!done.skipped && weights(&moved, &names) != start);
    model = moved;
    let mut refused = None;
    for _ in 0..=MAX_SKIPPED {
        let bad = gradients(&model, [1.0, f32::INFINITY], 1.0);
        match updater.update(model.clone(), bad, 0, &no_share) {
            Ok((same, _)) => model = same,
            Err(error) => refused = Some(error.to_string()),
        }
    }
    assert!(refused.unwrap().contains("lower --lr"));
}

/// AdamW by its definition, in f64, with a large gradient first and small ones after it: what is remembered of the large one is
/// all that the two values of `beta_2` differ in.
#[test]
fn beta_2_is_the_one_asked_for() {
    for beta_2 in [0.98f32, 0.999] {
        let (mut model, names) = model();
        let mut updater = Updater::new(&model, &names, options(beta_2));
        let mut expected: Vec<f64> = weights(&model, &names)
            .iter()
            .map(|w| f64::from(*w))
            .collect();
        let (mut first, mut second) = ([0.0f64; 2], [0.0f64; 2]);
        let x = [0.7f32, -1.3];
        for step in 0..6u32 {
            let scale = if step == 0 { 10.0f32 } else { 0.1 };
            let own = gradients(&model, x, scale);
            model = updater
                .update(model, own, u64::from(step), &|_| 1.0)
                .unwrap()
                .0;
            for i in 0..2 {
                let g = f64::from(x[i]) * f64::from(scale);
                let beta_2 = f64::from(beta_2);
                first[i] = 0.9 * first[i] + 0.1 * g;
                second[i] = beta_2 * second[i] + (1.0 - beta_2) * g * g;
                let power = step as i32 + 1;
                let mean = first[i] / (1.0 - 0.9f64.powi(power));
                let square = second[i] / (1.0 - beta_2.powi(power));
                expected[i] -= 0.1 * mean / (square.sqrt() + 1e-8);
            }
        }
        for (found, want) in weights(&model, &names).iter().zip(&expected) {
            // Six updates of .1, each rounded a few times.
            assert!(
                (f64::from(*found) - want).abs() < 1e-5,
                "{beta_2}: {found} for {want}"
            );
        }
    }
}
