//! A photo to maps of features by a convolutional encoder: a coarse one that knows things, a fine one that knows edges.

use burn::tensor::{Device, Tensor, TensorData};

use crate::Result;
use crate::generate::session::read;
use crate::host::{Host, breathe};
use crate::image::{Filter, Rgb8, resize};
use crate::model::efficientnet::EfficientNet;
use crate::model::efficientnet_config::EfficientNetConfig;

/// Levels of a photo are shifted and divided by these, as the published networks were trained.
const MEAN: f32 = 127.0;
const STD: f32 = 128.0;
/// Most cells along a side: photos of extreme shapes are squeezed rather than read at full length.
const MOST_CELLS: usize = 64;

/// A convolutional encoder on its device.
#[derive(Debug)]
pub(super) struct FeatureEncoder {
    net: EfficientNet,
    config: EfficientNetConfig,
    device: Device,
}

/// One map of features, on the host.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) channels: usize,
    /// `[rows, columns, channels]`.
    pub(super) values: Vec<f32>,
}

/// What the encoder makes of a photo.
#[derive(Debug, Clone)]
pub(super) struct Maps {
    /// A cell for every 32 pixels; none negative.
    pub(super) coarse: Map,
    /// A cell for every 16 pixels.
    pub(super) fine: Map,
}

impl FeatureEncoder {
    pub(super) fn new(net: EfficientNet, config: EfficientNetConfig, device: &Device) -> Self {
        Self {
            net,
            config,
            device: device.clone(),
        }
    }

    /// The device it is on.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Numbers in a cell of the coarse map.
    pub(super) fn width(&self) -> usize {
        self.config.width()
    }

    /// Width and height, multiples of a cell, that a photo is brought to so that it has about `area` pixels.
    pub(super) fn size(&self, photo: &Rgb8, area: f64) -> [usize; 2] {
        let [width, height] = [photo.width, photo.height].map(|side| f64::from(side.max(1)));
        let scale = (area / (width * height)).sqrt();
        [width, height].map(|side| self.whole_cells(side * scale))
    }

    /// The nearest multiple of a cell, at least one.
    pub(super) fn whole_cells(&self, pixels: f64) -> usize {
        let stride = self.config.stride();
        // Halves to even, as the reference rounds.
        ((pixels / stride as f64).round_ties_even() as usize).clamp(1, MOST_CELLS) * stride
    }

    /// The maps of a photo brought to this width and height, multiples of a cell.
    ///
    /// # Errors
    /// When the photo cannot be resized, the device fails or the caller cancels.
    pub(super) async fn maps(
        &self,
        photo: &Rgb8,
        [width, height]: [usize; 2],
        host: &dyn Host,
    ) -> Result<Maps> {
        let photo = resize(photo, width as u32, height as u32, Filter::Bicubic)?;
        let levels: Vec<f32> = photo
            .pixels
            .iter()
            .map(|v| (f32::from(*v) - MEAN) / STD)
            .collect();
        let pixels = TensorData::new(levels, [1, height, width, 3]);
        let mut x = self.net.enter(Tensor::from_data(pixels, &self.device));
        let mut fine = None;
        for block in 0..self.net.depth() {
            breathe(host).await?;
            x = self.net.block(block, x);
            if block == self.config.fine_block() {
                fine = Some(x.clone());
            }
        }
        breathe(host).await?;
        let coarse = map(self.net.leave(x)).await?;
        // There is always such a block; a network without one would have one map.
        let fine = match fine {
            Some(fine) => map(fine).await?,
            None => coarse.clone(),
        };
        Ok(Maps { coarse, fine })
    }

    /// Shares of the classifier's categories for a photo, as large as those it was trained on.
    ///
    /// # Errors
    /// As [`Self::maps`].
    pub(super) async fn categories(&self, photo: &Rgb8, host: &dyn Host) -> Result<Vec<f32>> {
        let side = self.whole_cells(self.config.image_size as f64);
        let map = self.maps(photo, [side; 2], host).await?.coarse;
        let cells = map.rows * map.columns;
        let data = TensorData::new(map.values, [cells, map.channels]);
        let mean = Tensor::<2>::from_data(data, &self.device).mean_dim(0);
        read(self.net.classify(mean)).await
    }
}

async fn map(tensor: Tensor<4>) -> Result<Map> {
    let [_, rows, columns, channels] = tensor.dims();
    Ok(Map {
        rows,
        columns,
        channels,
        values: read(tensor).await?,
    })
}
