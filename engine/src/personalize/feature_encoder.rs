//! A photo to maps of features by a network of either kind: a coarse one that knows things, a fine one that knows edges.

use burn::tensor::{Device, Tensor, TensorData};

use super::feature_map::{Map, Maps, Normalisation};
use crate::Result;
use crate::generate::read_back::read;
use crate::host::{Host, breathe};
use crate::image::{Filter, ImageProcessor, Rgb8, resize};
use crate::model::feature_net::FeatureNet;

/// Levels of a photo are shifted and divided by these, as the published EfficientNets were trained.
const MEAN: f32 = 127.0;
const STD: f32 = 128.0;
/// Most cells along a side: photos of extreme shapes are squeezed rather than read at full length.
const MOST_CELLS: usize = 64;
/// Sizes are told for cells of so many pixels; an encoder of other cells sees a photo at the size that has as many of them.
const CELL: f64 = 32.0;

/// An encoder on its device.
#[derive(Debug)]
pub(super) struct FeatureEncoder {
    net: FeatureNet,
    /// How a transformer's photos are normalised; the convolutional networks have one way for all.
    processor: Option<ImageProcessor>,
    device: Device,
}

impl FeatureEncoder {
    pub(super) fn new(net: FeatureNet, processor: Option<ImageProcessor>, device: &Device) -> Self {
        Self {
            net,
            processor,
            device: device.clone(),
        }
    }

    /// The device it is on.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Numbers in a cell of the coarse map.
    pub(super) fn width(&self) -> usize {
        self.net.width()
    }

    /// Width and height, multiples of a cell, that a photo is brought to so that it has about `area` pixels, told for cells of
    /// [`CELL`].
    pub(super) fn size(&self, photo: &Rgb8, area: f64) -> [usize; 2] {
        let [width, height] = [photo.width, photo.height].map(|side| f64::from(side.max(1)));
        let scale = (area / (width * height)).sqrt();
        [width, height].map(|side| self.whole_cells(side * scale))
    }

    /// The pixels of a side that has as many whole cells as one of `pixels` with cells of [`CELL`]; at least one.
    pub(super) fn whole_cells(&self, pixels: f64) -> usize {
        // Halves to even, as the reference rounds.
        ((pixels / CELL).round_ties_even() as usize).clamp(1, MOST_CELLS) * self.net.cell()
    }

    /// The maps of a photo brought to this width and height, multiples of a cell.
    ///
    /// # Errors
    /// When the photo cannot be resized, the device fails or the caller cancels.
    pub(super) async fn maps(
        &self,
        photo: &Rgb8,
        size: [usize; 2],
        host: &dyn Host,
    ) -> Result<Maps> {
        let mut passage = self.net.enter(self.pixels(photo, size)?);
        for at in 0..self.net.depth() {
            breathe(host).await?;
            passage.step(at);
        }
        breathe(host).await?;
        let maps = passage.leave();
        let [coarse, fine] = match self.net {
            FeatureNet::Convolutional(..) => [Normalisation::Root, Normalisation::SignedRoot],
            FeatureNet::Transformer(..) => [Normalisation::Length; 2],
        };
        Ok(Maps {
            coarse: map(maps.coarse, coarse).await?,
            fine: map(maps.fine, fine).await?,
        })
    }

    /// The photo as the network takes it.
    fn pixels(&self, photo: &Rgb8, [width, height]: [usize; 2]) -> Result<Tensor<4>> {
        let size = [width as u32, height as u32];
        let data = match &self.processor {
            Some(processor) => {
                let frame = processor.process_whole(photo, size)?;
                TensorData::new(frame.pixels, [1, 3, height, width])
            }
            None => {
                let photo = resize(photo, size[0], size[1], Filter::Bicubic)?;
                let levels = photo.pixels.iter().map(|v| (f32::from(*v) - MEAN) / STD);
                TensorData::new(levels.collect::<Vec<f32>>(), [1, height, width, 3])
            }
        };
        Ok(Tensor::from_data(data, &self.device))
    }

    /// Shares of the classifier's categories for a photo, as large as those it was trained on; none without a classifier.
    ///
    /// # Errors
    /// As [`Self::maps`].
    pub(super) async fn categories(&self, photo: &Rgb8, host: &dyn Host) -> Result<Vec<f32>> {
        let FeatureNet::Convolutional(_, config) = &self.net else {
            return Ok(Vec::new());
        };
        let side = self.whole_cells(config.image_size as f64);
        let map = self.maps(photo, [side; 2], host).await?.coarse;
        let cells = map.rows * map.columns;
        let data = TensorData::new(map.values, [cells, map.channels]);
        let mean = Tensor::<2>::from_data(data, &self.device).mean_dim(0);
        match self.net.classify(mean) {
            Some(shares) => read(shares).await,
            None => Ok(Vec::new()),
        }
    }
}

async fn map(tensor: Tensor<4>, normalisation: Normalisation) -> Result<Map> {
    let [_, rows, columns, channels] = tensor.dims();
    Ok(Map {
        rows,
        columns,
        channels,
        normalisation,
        values: read(tensor).await?,
    })
}
