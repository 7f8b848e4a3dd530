//! Dimensions of a model that reads a photo and a text together and says whether they match (BLIP-2).

use super::config::{Activation, VisionConfig, divides, limit, positive};
use crate::Result;

/// A matching model: a vision tower and a querying transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct MatcherConfig {
    /// Architecture family.
    pub model_type: String,
    /// The tower photos go through.
    pub vision: VisionConfig,
    /// What looks at its patches and reads texts.
    pub qformer: QFormerConfig,
    /// Learned queries, the places of a photo beside a text's tokens.
    pub queries: usize,
    /// Width of the space of similarities.
    pub projection: usize,
}

/// A querying transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct QFormerConfig {
    /// Width.
    pub hidden: usize,
    /// Width of the feed-forward layers.
    pub intermediate: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the patches it looks at.
    pub memory: usize,
    /// Every which layer looks at the patches, from the first on.
    pub cross_every: usize,
    /// Rows of the embedding matrix.
    pub vocab: usize,
    /// Most tokens of a text.
    pub longest: usize,
    /// Epsilon of the layer norms.
    pub eps: f64,
    /// Activation of the feed-forward layers.
    pub act: Activation,
}

impl MatcherConfig {
    /// Refuses sizes that cannot be.
    pub(super) fn check(&self) -> Result<()> {
        self.vision.check()?;
        let qformer = &self.qformer;
        positive("num_query_tokens", self.queries)?;
        positive("image_text_hidden_size", self.projection)?;
        positive("qformer_config.hidden_size", qformer.hidden)?;
        positive("qformer_config.intermediate_size", qformer.intermediate)?;
        positive("qformer_config.vocab_size", qformer.vocab)?;
        positive("qformer_config.max_position_embeddings", qformer.longest)?;
        positive(
            "qformer_config.cross_attention_frequency",
            qformer.cross_every,
        )?;
        limit("qformer_config.num_hidden_layers", qformer.layers)?;
        let heads = "qformer_config.num_attention_heads";
        positive(heads, qformer.heads)?;
        divides(heads, qformer.heads, qformer.hidden)
    }
}
