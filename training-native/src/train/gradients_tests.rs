//! Gradients of parts are those of the whole, however it is cut.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::TensorData;
use namelens_engine::model::linear::Linear;
use namelens_engine::model::params::{Init, ParamBuilder, ParamSource, Values};

use super::*;

struct Numbers;

impl ParamSource for Numbers {
    fn values(&mut self, _: &str, shape: &[usize], _: Init) -> namelens_engine::Result<Values> {
        let count: usize = shape.iter().product();
        let number = |i: usize| ((i * 37 + 11) % 19) as f32 / 10.0 - 0.9;
        Ok(Values::Host((0..count).map(number).collect()))
    }

    fn contains(&self, _: &str) -> bool {
        true
    }
}

const WIDTH: usize = 3;

fn model(device: &Device) -> Linear {
    Linear::new(
        &mut ParamBuilder::new(&mut Numbers, device),
        "layer",
        WIDTH,
        2,
        true,
    )
    .unwrap()
}

/// Squares of what comes out, summed over `tokens`, which are rows of numbers.
fn loss(model: &Linear, tokens: std::ops::Range<usize>, device: &Device) -> Loss {
    let count = tokens.len();
    let values: Vec<f32> = tokens
        .flat_map(|t| (0..WIDTH).map(move |i| ((t * 5 + i) % 7) as f32))
        .collect();
    let x = Tensor::<2>::from_data(TensorData::new(values, [count, WIDTH]), device);
    Loss {
        sum: model.forward(x).square().sum(),
        count: count as f64,
        figures: vec![("count".into(), count as f64)],
    }
}

fn flat(model: &Linear, gradients: &GradientsParams) -> Vec<f32> {
    struct Read<'a>(&'a GradientsParams, Vec<f32>);
    impl ModuleVisitor for Read<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).unwrap();
            self.1
                .extend(gradient.into_data().try_to_vec::<f32>().unwrap());
        }
    }
    let mut read = Read(gradients, Vec::new());
    model.visit(&mut read);
    read.1
}

/// Parts of 1, 2, 3 and 6 tokens: means of their means would weigh a token of the first as much as all of the last.
#[test]
fn a_token_counts_as_much_in_every_part() {
    let device = Device::flex().autodiff();
    let model = model(&device);
    let whole = {
        let mut summed = Summed::new();
        summed
            .add(&model, &device, 1, |model, _| {
                Ok(loss(model, 0..12, &device))
            })
            .unwrap();
        let count = summed.count();
        flat(&model, &summed.mean(&model, count))
    };
    let parts = [0..1, 1..3, 3..6, 6..12];
    for (shards, rounds) in [(4, 1), (2, 2), (1, 4)] {
        let mut summed = Summed::new();
        for round in 0..rounds {
            let part = |shard: usize| parts[round * shards + shard].clone();
            summed
                .add(&model, &device, shards, |model, shard| {
                    Ok(loss(model, part(shard), &device))
                })
                .unwrap();
        }
        assert_eq!((summed.count(), summed.figures.len()), (12.0, 4));
        let found = flat(&model, &summed.mean(&model, 12.0));
        for (found, whole) in found.iter().zip(&whole) {
            // Float noise of sums of a dozen terms.
            assert!(
                (found - whole).abs() < 1e-5 * (1.0 + whole.abs()),
                "{shards}: {found} for {whole}"
            );
        }
    }
}

#[test]
fn clipping_keeps_the_direction() {
    let device = Device::flex().autodiff();
    let model = model(&device);
    let gradients = || {
        let mut summed = Summed::new();
        summed
            .add(&model, &device, 1, |model, _| {
                Ok(loss(model, 0..5, &device))
            })
            .unwrap();
        summed.mean(&model, 1.0)
    };
    let before = flat(&model, &gradients());
    let length = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let (clipped, norm) = clip_by_global_norm(&model, gradients(), 0.5);
    assert!((norm - length(&before)).abs() < 1e-5 * norm);
    let after = flat(&model, &clipped);
    assert!((length(&after) - 0.5).abs() < 1e-6);
    for (after, before) in after.iter().zip(&before) {
        assert!((f64::from(*after) - f64::from(*before) * 0.5 / norm).abs() < 1e-6);
    }
    let (same, _) = clip_by_global_norm(&model, gradients(), 2.0 * norm);
    assert_eq!(flat(&model, &same), before);
}

#[test]
fn a_part_with_large_gradients_does_not_shrink_another() {
    let device = Device::flex().autodiff();
    let mut numbers = Numbers;
    let mut builder = ParamBuilder::new(&mut numbers, &device);
    let model = Linear::new(&mut builder, "layer", WIDTH, 2, true).unwrap();
    let names = builder.into_names();
    let gradients = || {
        let sum = loss(&model, 0..5, &device).sum;
        GradientsParams::from_grads(sum.backward(), &model)
    };
    // The bias, of two numbers, is the last that is visited; all before it are the matrix's.
    let part = |id| usize::from(names.name_of(id) == Some("layer.bias"));
    let before = flat(&model, &gradients());
    let (matrix, vector) = before.split_at(before.len() - 2);
    let length = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    assert!(length(matrix) > 1.5 * length(vector), "one part is larger");
    let limit = 1.2 * length(vector);
    let (clipped, [first, second]) = clip_parts(&model, gradients(), limit, &part);
    assert!((first - length(matrix)).abs() < 1e-5 * first);
    assert!((second - length(vector)).abs() < 1e-5 * second);
    let after = flat(&model, &clipped);
    let (cut, kept) = after.split_at(before.len() - 2);
    assert!((length(cut) - limit).abs() < 1e-5 * limit);
    assert_eq!(kept, vector);
}

#[test]
fn an_error_of_one_shard_is_the_error_of_all() {
    let device = Device::flex().autodiff();
    let model = model(&device);
    let mut summed = Summed::new();
    let failed = summed.add(&model, &device, 2, |model, shard| match shard {
        0 => Ok(loss(model, 0..2, &device)),
        _ => anyhow::bail!("no batch"),
    });
    assert_eq!(failed.unwrap_err().to_string(), "no batch");
}
