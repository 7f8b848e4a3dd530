//! Photos to frames and patch features, cancellable between layers; shared by captioner and retriever.

use burn::tensor::{Device, Tensor, TensorData};

use crate::Result;
use crate::host::{Host, breathe};
use crate::image::{ImageProcessor, PhotoLayout, Rgb8};
use crate::model::vision::{Features, VisionTower};

/// Frames of one photo `[F, 3, S, S]` and how a prompt shows it.
///
/// # Errors
/// When the photo cannot be processed.
pub fn frames(
    processor: &ImageProcessor,
    photo: &Rgb8,
    device: &Device,
) -> Result<(Tensor<4>, PhotoLayout)> {
    let processed = processor.process(photo)?;
    let layout = processor.layout(&processed);
    let parts = processed.frames.into_iter().map(|frame| {
        let size = [1, 3, frame.height, frame.width];
        Tensor::from_data(TensorData::new(frame.pixels, size), device)
    });
    let pixels = Tensor::cat(parts.collect(), 0);
    Ok((pixels, layout))
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
