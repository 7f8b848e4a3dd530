//! What makes visual tokens of photos: a tower and the connector behind it. A model that reads text only has none.

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::VlmConfig;
use super::connector::{Connector, Visual};
use super::linear::Linear;
use super::params::ParamBuilder;
use super::positions::Grid;
use super::vision::{Features, VisionTower};
use crate::Result;

/// Tower and connector.
#[derive(Module, Debug)]
pub struct VisionEncoder {
    /// Photos to patch features.
    pub tower: VisionTower,
    /// Patch features to visual tokens.
    pub connector: Connector,
    /// Side of the squares of patches that become one visual token.
    scale_factor: usize,
}

impl VisionEncoder {
    /// Builds tower and connector, if the model has them.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &VlmConfig) -> Result<Option<Self>> {
        let tower = match config.sees_photos() {
            true => VisionTower::new(p, "model.vision_model", &config.vision_config)?,
            false => return Ok(None),
        };
        let connector = Connector::new(p, "model.connector", config)?;
        Ok(connector.map(|connector| Self {
            tower,
            connector,
            scale_factor: config.scale_factor,
        }))
    }

    /// Frames `[N, 3, H, W]` of one size to their visual tokens, frame by frame.
    pub fn encode(&self, pixels: Tensor<4>) -> Visual {
        self.connect(self.tower.features(pixels))
    }

    /// Patch features to visual tokens.
    pub fn connect(&self, features: Features) -> Visual {
        self.connector.forward(features)
    }

    /// Rows and columns of visual tokens that a frame of this many pixels becomes.
    pub fn token_grid(&self, height: usize, width: usize) -> Grid {
        let side = self.tower.patch_size() * self.scale_factor;
        (height / side, width / side)
    }

    /// The projections an adapter may add to, those of the tower first.
    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        let tower = self.tower.linears().into_iter();
        tower.chain(self.connector.linears()).collect()
    }
}
