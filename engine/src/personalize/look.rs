//! Photos to patch features, with a breath between layers; shared by captioner and retriever.

use burn::tensor::{Device, Tensor, TensorData};

use crate::Result;
use crate::host::{Host, breathe};
use crate::image::{ImageProcessor, Rgb8};
use crate::model::vision::{Features, VisionTower};

/// Frames of one photo `[F, 3, S, S]` and its layout (rows, columns) of tiles.
pub(super) fn frames(
    processor: &ImageProcessor,
    photo: &Rgb8,
    device: &Device,
) -> Result<(Tensor<4>, (usize, usize))> {
    let processed = processor.process(photo)?;
    let (count, side) = (processed.frames.len(), processed.side);
    let values: Vec<f32> = processed.frames.into_iter().flatten().collect();
    let data = TensorData::new(values, [count, 3, side, side]);
    let pixels = Tensor::from_data(data, device);
    Ok((pixels, (processed.rows, processed.cols)))
}

/// `tower.forward(pixels)`, cancellable between layers.
pub(super) async fn features(
    tower: &VisionTower,
    pixels: Tensor<4>,
    host: &dyn Host,
) -> Result<Features> {
    let mut passage = tower.enter(pixels);
    for layer in 0..tower.depth() {
        breathe(host).await?;
        tower.layer(layer, &mut passage);
    }
    Ok(tower.leave(passage))
}
