//! A network that makes maps of features of photos, step by step, whichever of two kinds it is.

use burn::tensor::Tensor;

use super::config::VisionConfig;
use super::efficientnet::EfficientNet;
use super::efficientnet_config::EfficientNetConfig;
use super::feature_config::FeatureConfig;
use super::params::ParamBuilder;
use super::vision::{Passage, VisionTower};
use crate::Result;

/// Patches along a side of a cell of a transformer's coarse map.
const POOLED: usize = 2;

/// Convolutions or a transformer, as its configuration says.
#[derive(Debug)]
pub enum FeatureNet {
    /// Its last map is the coarse one, the last one of twice its sides the fine one.
    Convolutional(Box<EfficientNet>, EfficientNetConfig),
    /// Its patches behind the final norm are the fine map, means of squares of them the coarse one.
    Transformer(Box<VisionTower>, VisionConfig),
}

/// A photo on the way through a network.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one lives as long as a photo is looked at"
)]
pub enum FeaturePassage<'n> {
    /// Through convolutions.
    Convolutional {
        /// The network.
        net: &'n EfficientNet,
        /// Its dimensions.
        config: &'n EfficientNetConfig,
        /// What the last block gave.
        x: Tensor<4>,
        /// The fine map, once it was passed.
        fine: Option<Tensor<4>>,
    },
    /// Through a transformer.
    Transformer {
        /// The network.
        tower: &'n VisionTower,
        /// Its dimensions.
        config: &'n VisionConfig,
        /// The photo in it.
        passage: Passage,
    },
}

/// Maps of one photo; the fine one has twice the rows and columns.
#[derive(Debug, Clone)]
pub struct FeatureMaps {
    /// `[1, rows, columns, width]`.
    pub coarse: Tensor<4>,
    /// `[1, 2 rows, 2 columns, channels]`.
    pub fine: Tensor<4>,
}

impl FeatureNet {
    /// Builds the network of a configuration, under the names of its family.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &FeatureConfig) -> Result<Self> {
        Ok(match config {
            FeatureConfig::Convolutional(config) => {
                Self::Convolutional(Box::new(EfficientNet::new(p, config)?), config.clone())
            }
            FeatureConfig::Transformer { vision, .. } => {
                let tower = VisionTower::new(p, "vision_model", vision)?;
                Self::Transformer(Box::new(tower), vision.clone())
            }
        })
    }

    /// Pixels along a side of a cell of the coarse map; photos are multiples of it.
    pub fn cell(&self) -> usize {
        match self {
            Self::Convolutional(_, config) => config.stride(),
            Self::Transformer(_, config) => POOLED * config.patch_size,
        }
    }

    /// Features of a cell of the coarse map.
    pub fn width(&self) -> usize {
        match self {
            Self::Convolutional(_, config) => config.width(),
            Self::Transformer(_, config) => config.hidden_size,
        }
    }

    /// Number of steps; [`FeaturePassage::step`] is one of them.
    pub fn depth(&self) -> usize {
        match self {
            Self::Convolutional(net, _) => net.depth(),
            Self::Transformer(tower, _) => tower.depth(),
        }
    }

    /// Begins with the pixels of a photo, normalised: `[1, H, W, 3]` of convolutions, `[1, 3, H, W]` of a transformer; H and W
    /// are multiples of [`Self::cell`].
    pub fn enter(&self, pixels: Tensor<4>) -> FeaturePassage<'_> {
        match self {
            Self::Convolutional(net, config) => FeaturePassage::Convolutional {
                net,
                config,
                x: net.enter(pixels),
                fine: None,
            },
            Self::Transformer(tower, config) => FeaturePassage::Transformer {
                tower,
                config,
                passage: tower.enter(pixels),
            },
        }
    }

    /// Shares of the categories, `[N, classes]`, for means of coarse features `[N, width]`; `None` without a classifier.
    pub fn classify(&self, features: Tensor<2>) -> Option<Tensor<2>> {
        match self {
            Self::Convolutional(net, _) => Some(net.classify(features)),
            Self::Transformer(..) => None,
        }
    }
}

impl FeaturePassage<'_> {
    /// One block or layer.
    ///
    /// # Panics
    /// When there is no step of this number.
    pub fn step(&mut self, at: usize) {
        match self {
            Self::Convolutional {
                net,
                config,
                x,
                fine,
            } => {
                *x = net.block(at, x.clone());
                if at == config.fine_block() {
                    *fine = Some(x.clone());
                }
            }
            Self::Transformer { tower, passage, .. } => tower.layer(at, passage),
        }
    }

    /// The maps, once all steps were taken.
    pub fn leave(self) -> FeatureMaps {
        match self {
            Self::Convolutional { net, x, fine, .. } => {
                let coarse = net.leave(x);
                // There is always such a block; a network without one would have one map.
                let fine = fine.unwrap_or_else(|| coarse.clone());
                FeatureMaps { coarse, fine }
            }
            Self::Transformer {
                tower,
                config,
                passage,
            } => {
                let features = tower.leave(passage);
                let (rows, cols, width) =
                    (features.grid.rows, features.grid.cols, config.hidden_size);
                let before = usize::from(config.variant.class_token) + config.variant.registers;
                let patches = features.patches.narrow(1, before, rows * cols);
                let squares = [rows / POOLED, POOLED, cols / POOLED, POOLED, width];
                let coarse = patches.clone().reshape(squares);
                let coarse = coarse.mean_dim(1).mean_dim(3);
                FeatureMaps {
                    coarse: coarse.reshape([1, rows / POOLED, cols / POOLED, width]),
                    fine: patches.reshape([1, rows, cols, width]),
                }
            }
        }
    }
}
