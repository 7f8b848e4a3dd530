//! Initial weights of the connector: visual tokens centred, uncorrelated, and a few times the size of word embeddings.
//!
//! Patch features of a contrastive tower all point one way: over Playroom photos half of their variance lies along a
//! single direction. A decoder that starts
//! behind a random projection of such features learns to write long before it makes use of the photo. Whitening needs no new
//! part: the mean goes into the bias of the tower's last norm, the rest into the projection.
//!
//! Whitening alone lets what a patch encodes of its pixels outweigh what it encodes of its thing: behind it a linear probe read
//! the category off a token in 53 of 100 cases and the colour in 75, before it in 70 and 97. So most of a token is what
//! the heads of the contrastive stage ([`super::attribute_loss`]) read off the patches, and the rest is everything.

use std::collections::HashMap;

use anyhow::Result;
use burn::tensor::{Device, Distribution, Tensor};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::connector::fold;
use namelens_engine::model::params::{Init, ParamSource, Values};
use namelens_engine::model::vision::VisionTower;
use playroom::{Rgb, SampleOptions, Split};

use super::batch::pixels;
use super::chats::photos_in_order;

/// Chats whose photos are measured.
const SAMPLES: u64 = 64;
/// Share of the mean variance below which a direction counts as noise.
const NOISE_FLOOR: f32 = 0.01;
/// Share of a token's variance that is what the heads read.
const READ_SHARE: f32 = 0.75;
/// Standard deviation of a visual token's elements. A layer adds up to several units to each element; at 0.2 to 0.4,
/// the size of words, tokens were 9 parts of what layer 0 adds to all alike and 1 part of what they show.
const VISUAL_STD: f32 = 4.0;
/// Every round multiplies the smallest eigenvalue by up to 2.25; 5e4 to one is the worst the floor leaves.
const NEWTON_SCHULZ_ROUNDS: usize = 24;
/// The connector's matrix, in a captioner.
pub const PROJECTION: &str = "model.connector.modality_projection.proj.weight";
/// The bias of the tower's last norm, in a captioner.
pub(super) const TOWER_BIAS: &str = "model.vision_model.post_layernorm.bias";

/// Parameters by name, and another source for all that are not there.
pub struct Computed<'a> {
    /// Row-major values.
    pub values: HashMap<String, Vec<f32>>,
    /// Asked for everything else.
    pub rest: &'a mut dyn ParamSource,
}

impl std::fmt::Debug for Computed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Computed").finish_non_exhaustive()
    }
}

impl ParamSource for Computed<'_> {
    fn values(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> namelens_engine::Result<Values> {
        match self.values.remove(name) {
            Some(values) => Ok(Values::Host(values)),
            None => self.rest.values(name, shape, init),
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.rest.contains(name)
    }
}

/// The projection of the connector and the bias of the last norm of `tower`, under the captioner's names. `readers`
/// `[R, hidden]` are the heads that read attributes off patches.
///
/// # Errors
/// When photos cannot be processed or read back.
pub fn whitened(
    tower: &VisionTower,
    norm_bias: &[f32],
    readers: Tensor<2>,
    config: &VlmConfig,
    processor: &ImageProcessor,
    seed: u64,
    device: &Device,
) -> Result<HashMap<String, Vec<f32>>> {
    let features = features(tower, processor, seed, device)?;
    let width = config.vision_config.hidden_size;
    let mean = features.clone().mean_dim(0).mean_dim(1);
    let shift = values(mean.clone())?;
    let bias = norm_bias.iter().zip(&shift).map(|(b, m)| b - m).collect();
    let folded = fold(features - mean, config.scale_factor);
    let wide = width * config.scale_factor * config.scale_factor;
    let rows = folded.dims()[0] * folded.dims()[1];
    let folded = folded.reshape([rows, wide]);
    device.seed(seed);
    let tokens = config.text_config.hidden_size;
    // What the patches of a square say on average.
    let patches = config.scale_factor * config.scale_factor;
    let said = Tensor::cat(vec![readers; patches], 1) / patches as f32;
    let read = white(&folded, said, tokens) * (VISUAL_STD * READ_SHARE.sqrt());
    let all = Tensor::<2>::eye(wide, device);
    let rest = white(&folded, all, tokens) * (VISUAL_STD * (1.0 - READ_SHARE).sqrt());
    Ok(HashMap::from([
        (PROJECTION.to_owned(), values(read + rest)?),
        (TOWER_BIAS.to_owned(), bias),
    ]))
}

/// A map of `features` `[N, W]` to `outputs` uncorrelated numbers of variance 1 that know `said` `[R, W]` of them.
fn white(features: &Tensor<2>, said: Tensor<2>, outputs: usize) -> Tensor<2> {
    let (device, [count, _], [known, _]) = (features.device(), features.dims(), said.dims());
    let heard = features.clone().matmul(said.clone().transpose());
    let covariance = heard.clone().transpose().matmul(heard) / count as f32;
    let spread = Distribution::Normal(0.0, (1.0 / known as f64).sqrt());
    let mixing = Tensor::<2>::random([outputs, known], spread, &device);
    let map = mixing
        .matmul(inverse_root(covariance, NOISE_FLOOR))
        .matmul(said);
    let size = features.clone().matmul(map.clone().transpose());
    let size = size.square().mean().sqrt().reshape([1, 1]);
    map / size
}

/// Patch features `[N, P, hidden]` of references and scenes of the training split.
pub(super) fn features(
    tower: &VisionTower,
    processor: &ImageProcessor,
    seed: u64,
    device: &Device,
) -> Result<Tensor<3>> {
    let options = SampleOptions {
        split: Split::Train,
        turns: 1,
        ..SampleOptions::default()
    };
    let samples: Vec<_> = (0..SAMPLES)
        .map(|index| playroom::sample(seed.wrapping_mul(0x51ab_3e8d) ^ index, &options))
        .collect();
    let photos: Vec<&Rgb> = samples.iter().flat_map(photos_in_order).collect();
    Ok(tower.forward(pixels(processor, &photos, device)?))
}

/// `(C + floor)^(-1/2)` of a covariance, where the floor is a share of the mean variance, by the coupled Newton-Schulz iteration (Higham, Functions of Matrices, 6.7).
pub(super) fn inverse_root(covariance: Tensor<2>, floor: f32) -> Tensor<2> {
    let [size, _] = covariance.dims();
    let eye = Tensor::<2>::eye(size, &covariance.device());
    let mean_variance = (covariance.clone() * eye.clone())
        .sum()
        .div_scalar(size as f32);
    let floor = mean_variance.reshape([1, 1]) * floor;
    let raised = covariance + eye.clone() * floor;
    let norm = raised.clone().square().sum().sqrt().reshape([1, 1]);
    let (mut root, mut inverse) = (raised / norm.clone(), eye.clone());
    for _ in 0..NEWTON_SCHULZ_ROUNDS {
        let step = (eye.clone() * 3.0 - inverse.clone().matmul(root.clone())) * 0.5;
        root = root.matmul(step.clone());
        inverse = step.matmul(inverse);
    }
    inverse / norm.sqrt()
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    Ok(tensor.into_data().convert::<f32>().try_to_vec::<f32>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two strong directions and many weak ones; the error is that of 24 rounds in f32.
    #[test]
    fn the_inverse_root_whitens() {
        let device = Device::flex();
        let size = 24;
        let scales: Vec<f32> = (0..size)
            .map(|i| if i < 2 { 30.0 } else { 0.5 + 0.1 * i as f32 })
            .collect();
        device.seed(5);
        let basis = Tensor::<2>::random([size, size], Distribution::Normal(0.0, 1.0), &device);
        let scaled =
            basis * Tensor::<1>::from_floats(scales.as_slice(), &device).reshape([1, size]);
        let covariance = scaled.clone().matmul(scaled.transpose());
        let mean = values(covariance.clone())
            .expect("read")
            .iter()
            .step_by(size + 1)
            .sum::<f32>()
            / size as f32;
        let raised = covariance.clone() + Tensor::<2>::eye(size, &device) * (mean * NOISE_FLOOR);
        let root = inverse_root(covariance, NOISE_FLOOR);
        let white = values(root.clone().matmul(raised).matmul(root)).expect("read");
        for (i, value) in white.iter().enumerate() {
            let wanted = if i % (size + 1) == 0 { 1.0 } else { 0.0 };
            assert!((value - wanted).abs() < 2e-2, "element {i}: {value}");
        }
    }
}
