//! Where the weights of a training stage come from: a checkpoint, the stage before, or a computed start.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use namelens::stages::attribute_loss::{CLASSES, EDGES};
use namelens::train::checkpoint;
use namelens::{bundle, stages};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::params::{Init, ParamBuilder, ParamNames, ParamSource, Values};
use namelens_engine::model::vision::VisionTower;

/// The weights of the newest checkpoint in `dir`, if there is one.
pub(super) fn resumed(dir: &Path) -> Result<Option<CheckpointSource>> {
    let Some(latest) = checkpoint::resume_point(dir)? else {
        return Ok(None);
    };
    Ok(Some(CheckpointSource::new(bundle::open_weights(&latest)?)))
}

/// Where the captioner's connector starts behind the tower of the contrastive checkpoint `tower`.
pub(super) fn connector(
    tower: &Path,
    config: &VlmConfig,
    processor: &ImageProcessor,
    seed: u64,
    device: &Device,
) -> Result<HashMap<String, Vec<f32>>> {
    let mut source = CheckpointSource::new(bundle::open_weights(tower)?);
    let width = config.vision_config.hidden_size;
    let mut read = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
        match source.values(name, shape, Init::Constant(0.0))? {
            Values::Host(values) => Ok(values),
            Values::Draw(_) | Values::StandIn => bail!("{name} is not in {}", tower.display()),
        }
    };
    let bias = read("vision_model.post_layernorm.bias", &[width])?;
    let mut readers = read("training.attributes.weight", &[CLASSES, width])?;
    readers.extend(read("box_head.weight", &[EDGES, width])?);
    let readers = TensorData::new(readers, [CLASSES + EDGES, width]);
    let readers = Tensor::from_data(readers, device);
    let mut source = CheckpointSource::new(bundle::open_weights(tower)?);
    let (tower, _) = build(&mut source, device, |p| {
        VisionTower::new(p, "vision_model", &config.vision_config)
    })?;
    stages::connector::whitened(&tower, &bias, readers, config, processor, seed, device)
}

/// Builds a model on `device` and remembers the names of its parameters.
pub(super) fn build<M>(
    source: &mut dyn ParamSource,
    device: &Device,
    make: impl FnOnce(&mut ParamBuilder<'_>) -> namelens_engine::Result<M>,
) -> Result<(M, ParamNames)> {
    let mut builder = ParamBuilder::new(source, device);
    let model = make(&mut builder)?;
    Ok((model, builder.into_names()))
}
