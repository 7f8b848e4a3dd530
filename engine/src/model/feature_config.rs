//! Dimensions of a photo encoder, whichever network makes its maps of features.

use super::config::{VisionConfig, limit, positive, refuse};
use super::efficientnet_config::EfficientNetConfig;
use crate::{Error, Result};

/// A network that makes maps of features of photos. [`Self::from_json`] reads the configuration of any family of them.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureConfig {
    /// Convolutions (EfficientNet-Lite).
    Convolutional(EfficientNetConfig),
    /// A transformer over patches (DINOv2).
    Transformer {
        /// Architecture family.
        model_type: String,
        /// The tower.
        vision: VisionConfig,
    },
}

impl FeatureConfig {
    /// Architecture family.
    pub fn model_type(&self) -> &str {
        match self {
            Self::Convolutional(config) => &config.model_type,
            Self::Transformer { model_type, .. } => model_type,
        }
    }

    /// Categories of its classifier; none where it has no classifier.
    pub fn categories(&self) -> usize {
        match self {
            Self::Convolutional(config) => config.num_classes,
            Self::Transformer { .. } => 0,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Convolutional(config) => config.check(),
            Self::Transformer { vision, .. } => {
                limit("num_register_tokens", vision.variant.registers)?;
                // Follows from two keys, of which the file has these.
                positive("hidden_size", vision.hidden_size)?;
                positive("mlp_ratio", vision.intermediate_size)?;
                vision.check().map_err(flat)
            }
        }
    }
}

impl EfficientNetConfig {
    /// Reads and checks the `config.json` of a convolutional encoder.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key that is missing or cannot be.
    pub fn from_json(json: &str) -> Result<Self> {
        match FeatureConfig::from_json(json)? {
            FeatureConfig::Convolutional(config) => Ok(config),
            FeatureConfig::Transformer { model_type, .. } => Err(refuse(
                "model_type",
                format!("`{model_type}` is no convolutional encoder"),
            )),
        }
    }
}

/// The same error, said of a file that has the tower's keys at its top.
fn flat(error: Error) -> Error {
    match error {
        Error::Config { file, key, problem } => Error::Config {
            file,
            key: key.trim_start_matches("vision_config.").to_owned(),
            problem,
        },
        other => other,
    }
}
