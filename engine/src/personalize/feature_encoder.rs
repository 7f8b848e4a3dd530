//! A photo to maps of features by a convolutional encoder: a coarse one that knows things, a fine one that knows edges.

use burn::tensor::{Device, Tensor, TensorData};

use crate::Result;
use crate::host::{Host, breathe};
use crate::image::{Filter, Rgb8, resize};
use crate::model::efficientnet::EfficientNet;
use crate::model::efficientnet_config::EfficientNetConfig;

/// Levels of a photo are shifted and divided by these, as the published networks were trained.
const MEAN: f32 = 127.0;
const STD: f32 = 128.0;

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

    /// Numbers in a cell of the coarse map.
    pub(super) fn width(&self) -> usize {
        self.config.width()
    }

    /// The maps of a photo whose longer side is brought to `side` pixels, the other one to the nearest multiple of a cell.
    ///
    /// # Errors
    /// When the photo cannot be resized, the device fails or the caller cancels.
    pub(super) async fn maps(&self, photo: &Rgb8, side: usize, host: &dyn Host) -> Result<Maps> {
        let [width, height] = self.size(photo, side);
        let photo = resize(photo, width as u32, height as u32, Filter::Bicubic)?;
        let levels: Vec<f32> = photo.pixels.iter().map(|v| (f32::from(*v) - MEAN) / STD).collect();
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

    /// Width and height a photo is brought to.
    fn size(&self, photo: &Rgb8, side: usize) -> [usize; 2] {
        let stride = self.config.stride();
        let longer = photo.width.max(photo.height).max(1) as f64;
        [photo.width, photo.height].map(|own| {
            let wanted = f64::from(own) / longer * side as f64 / stride as f64;
            (wanted.round() as usize).max(1) * stride
        })
    }

    /// Shares of the classifier's categories for a mean of features of the coarse map.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) async fn categories(&self, features: Vec<f32>) -> Result<Vec<f32>> {
        let data = TensorData::new(features, [1, self.width()]);
        let shares = self.net.classify(Tensor::from_data(data, &self.device));
        crate::generate::session::read(shares).await
    }
}

async fn map(tensor: Tensor<4>) -> Result<Map> {
    let [_, rows, columns, channels] = tensor.dims();
    Ok(Map {
        rows,
        columns,
        channels,
        values: crate::generate::session::read(tensor).await?,
    })
}
