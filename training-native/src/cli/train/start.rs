//! Where the weights of a training stage come from: a checkpoint, the stage before, or a computed start.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use namelens::stages::attribute_loss::{CLASSES, EDGES};
use namelens::stages::connector::PROJECTION;
use namelens::stages::connector_fit::{self, Fitted, Tower};
use namelens::train::checkpoint;
use namelens::{bundle, stages};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::checkpoint::{CheckpointSource, Overlay};
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
    let width = config.vision_config.hidden_size;
    let bias = read(tower, "vision_model.post_layernorm.bias", &[width])?;
    let mut readers = read(tower, "training.attributes.weight", &[CLASSES, width])?;
    readers.extend(read(tower, "box_head.weight", &[EDGES, width])?);
    let readers = TensorData::new(readers, [CLASSES + EDGES, width]);
    let readers = Tensor::from_data(readers, device);
    let mut source = CheckpointSource::new(bundle::open_weights(tower)?);
    let (tower, _) = build(&mut source, device, |p| {
        VisionTower::new(p, "vision_model", &config.vision_config)
    })?;
    stages::connector::whitened(&tower, &bias, readers, config, processor, seed, device)
}

/// The connector that makes of the contrastive checkpoint `tower` the visual tokens which the captioner in `bundle` knows.
pub(super) fn fitted(
    bundle: &Path,
    tower: &Path,
    config: &VlmConfig,
    processor: &ImageProcessor,
    seed: u64,
    device: &Device,
) -> Result<Fitted> {
    let vision = &config.vision_config;
    let folded = vision.hidden_size * config.scale_factor * config.scale_factor;
    let tokens = config.text_config.hidden_size;
    let projection = read(bundle, PROJECTION, &[tokens, folded])?;
    let projection = Tensor::from_data(TensorData::new(projection, [tokens, folded]), device);
    let open = |folder: &Path, name: &str| -> Result<VisionTower> {
        let mut source = CheckpointSource::new(bundle::open_weights(folder)?);
        Ok(build(&mut source, device, |p| VisionTower::new(p, name, vision))?.0)
    };
    let old = open(bundle, "model.vision_model")?;
    let new = Tower {
        tower: &open(tower, "vision_model")?,
        norm_bias: &read(
            tower,
            "vision_model.post_layernorm.bias",
            &[vision.hidden_size],
        )?,
    };
    connector_fit::fitted(&old, projection, &new, config, processor, seed, device)
}

/// The vision tower of the contrastive checkpoint `tower`, and everything else from `rest`.
pub(super) fn with_tower<'a>(tower: &Path, rest: &'a mut dyn ParamSource) -> Result<Overlay<'a>> {
    Ok(Overlay {
        first: CheckpointSource::new(bundle::open_weights(tower)?),
        name_in_first: |name| {
            name.strip_prefix("model.")
                .filter(|n| n.starts_with("vision_model."))
                .map(str::to_owned)
        },
        rest,
    })
}

/// One tensor of the weights in `folder`, row-major.
fn read(folder: &Path, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let mut source = CheckpointSource::new(bundle::open_weights(folder)?);
    match source.values(name, shape, Init::Constant(0.0))? {
        Values::Host(values) => Ok(values),
        Values::Draw(_) | Values::StandIn => bail!("{name} is not in {}", folder.display()),
    }
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
