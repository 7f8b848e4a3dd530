//! Dimensions of dual encoders, with the field names of Hugging Face's `config.json`.

use serde::Serialize;

use super::config::{Activation, VisionConfig, divides, limit, positive, refuse};
use super::variants::{DualVariant, PhotoPooling};
use crate::Result;

/// A dual encoder. Its JSON is SigLIP's; other families are read by [`super::families`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DualConfig {
    /// Architecture family.
    pub model_type: String,
    /// The image side.
    pub vision_config: VisionConfig,
    /// The text side.
    pub text_config: DualTextConfig,
    /// What this encoder does differently from SigLIP.
    #[serde(skip)]
    pub variant: DualVariant,
}

/// The text tower of a dual encoder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DualTextConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Rows of the embedding matrix.
    pub vocab_size: usize,
    /// Most tokens of a text; SigLIP fills texts up to this length.
    pub max_position_embeddings: usize,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Activation of the feed-forward layer.
    pub hidden_act: Activation,
    /// Width of the shared space; equals `hidden_size` unless given.
    pub projection_size: Option<usize>,
}

impl DualConfig {
    /// Width of the shared space.
    pub fn width(&self) -> usize {
        let text = &self.text_config;
        text.projection_size.unwrap_or(text.hidden_size)
    }

    pub(super) fn check(&self) -> Result<()> {
        self.vision_config.check()?;
        self.text_config.check()?;
        positive("projection_dim", self.width())?;
        // A probe's output is as wide as the tower, and there is no projection behind it.
        let is_wide = self.width() == self.vision_config.hidden_size;
        if self.variant.photos == PhotoPooling::Probe && !is_wide {
            return Err(refuse(
                "text_config.projection_size",
                "must equal vision_config.hidden_size, the width of the shared space".into(),
            ));
        }
        Ok(())
    }
}

impl DualTextConfig {
    fn check(&self) -> Result<()> {
        positive("text_config.hidden_size", self.hidden_size)?;
        positive("text_config.intermediate_size", self.intermediate_size)?;
        positive("text_config.vocab_size", self.vocab_size)?;
        positive("text_config.num_attention_heads", self.num_attention_heads)?;
        limit("text_config.num_hidden_layers", self.num_hidden_layers)?;
        positive(
            "text_config.max_position_embeddings",
            self.max_position_embeddings,
        )?;
        divides(
            "text_config.num_attention_heads",
            self.num_attention_heads,
            self.hidden_size,
        )
    }
}
