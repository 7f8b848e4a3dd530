//! Another vision tower below a captioner: the connector that makes of its patches what the tower before it made.
//!
//! A tower that has been trained on has other features; the captioner knows only the visual tokens of the old ones. The connector is
//! linear, so the nearest one to it behind the new tower is a least-squares fit over photos, with a small ridge.

use std::collections::HashMap;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::connector::fold;
use namelens_engine::model::vision::VisionTower;

use super::connector::{PROJECTION, TOWER_BIAS, features, inverse_root, values};

/// The ridge, as a share of the mean variance of a feature.
const RIDGE: f32 = 1e-3;

/// A vision tower with what stands behind it.
#[derive(Debug)]
pub struct Tower<'a> {
    /// The tower.
    pub tower: &'a VisionTower,
    /// The bias of its last norm.
    pub norm_bias: &'a [f32],
}

/// What [`fitted`] makes.
#[derive(Debug)]
pub struct Fitted {
    /// The projection of the connector and the bias of the new tower's last norm, under the captioner's names.
    pub values: HashMap<String, Vec<f32>>,
    /// Share of the variance of the old visual tokens that the new ones have.
    pub kept: f32,
}

/// Fits the connector behind the tower `new` to the visual tokens that `projection` `[hidden, folded]` makes of the tower `old`.
///
/// The mean of the new features goes into the bias of the last norm, as [`super::connector::whitened`] does, since the connector has no
/// bias.
///
/// # Errors
/// When photos cannot be processed or read back.
pub fn fitted(
    old: &VisionTower,
    projection: Tensor<2>,
    new: &Tower<'_>,
    config: &VlmConfig,
    processor: &ImageProcessor,
    seed: u64,
    device: &Device,
) -> Result<Fitted> {
    let flat = |features: Tensor<3>| {
        let folded = fold(features, config.scale_factor);
        let [photos, tokens, wide] = folded.dims();
        folded.reshape([photos * tokens, wide])
    };
    let wanted = flat(features(old, processor, seed, device)?).matmul(projection.transpose());
    let wanted = wanted.clone() - wanted.mean_dim(0);
    let read = features(new.tower, processor, seed, device)?;
    let mean = read.clone().mean_dim(0).mean_dim(1);
    let shift = values(mean.clone())?;
    let bias: Vec<f32> = new
        .norm_bias
        .iter()
        .zip(shift)
        .map(|(b, m)| b - m)
        .collect();
    let read = flat(read - mean);
    let count = read.dims()[0] as f32;
    let root = inverse_root(read.clone().transpose().matmul(read.clone()) / count, RIDGE);
    let across = wanted.clone().transpose().matmul(read.clone()) / count;
    let map = across.matmul(root.clone()).matmul(root);
    let missed = (read.matmul(map.clone().transpose()) - wanted.clone()).square();
    let missed = missed.mean().into_scalar::<f32>() / wanted.square().mean().into_scalar::<f32>();
    Ok(Fitted {
        values: HashMap::from([
            (PROJECTION.to_owned(), values(map)?),
            (TOWER_BIAS.to_owned(), bias),
        ]),
        kept: 1.0 - missed,
    })
}

#[cfg(test)]
mod tests {
    use namelens_engine::model::params::{ParamBuilder, RandomSource};

    use super::*;
    use crate::{bundle, presets};

    /// A tower in its own place is given a connector that makes the same tokens, whatever its features' mean.
    #[test]
    fn behind_the_same_tower_the_tokens_stay() {
        let device = Device::flex();
        device.seed(3);
        let config = presets::captioner(5);
        let vision = &config.vision_config;
        let tower = VisionTower::new(
            &mut ParamBuilder::new(&mut RandomSource, &device),
            "vision_model",
            vision,
        )
        .unwrap();
        let processor = bundle::processor().unwrap();
        let wide = vision.hidden_size * config.scale_factor * config.scale_factor;
        let spread = burn::tensor::Distribution::Normal(0.0, 1.0);
        let projection =
            Tensor::<2>::random([config.text_config.hidden_size, wide], spread, &device);
        let new = Tower {
            tower: &tower,
            norm_bias: &vec![0.5; vision.hidden_size],
        };
        let fit = |projection: &Tensor<2>| {
            fitted(
                &tower,
                projection.clone(),
                &new,
                &config,
                &processor,
                1,
                &device,
            )
            .unwrap()
        };
        let found = fit(&projection);
        // What is lost is what the ridge takes, of directions whose variance is near it.
        assert!(found.kept > 0.97, "{}", found.kept);
        // The mean that is taken off the bias is the features' own.
        let mean = values(
            features(&tower, &processor, 1, &device)
                .unwrap()
                .mean_dim(0)
                .mean_dim(1),
        )
        .unwrap();
        for (bias, mean) in found.values[TOWER_BIAS].iter().zip(mean) {
            assert!((bias - (0.5 - mean)).abs() < 1e-5, "{bias} {mean}");
        }
        // Twice the tokens want twice the connector.
        let twice = fit(&(projection * 2.0));
        for (one, two) in found.values[PROJECTION]
            .iter()
            .zip(&twice.values[PROJECTION])
        {
            assert!(
                (2.0 * one - two).abs() < 1e-3 * (1.0 + two.abs()),
                "{one} {two}"
            );
        }
    }
}
