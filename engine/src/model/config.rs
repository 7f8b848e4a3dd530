//! Model dimensions, with the field names of Hugging Face's `config.json`.

use serde::{Deserialize, Serialize};

pub use super::variants::Activation;
use super::variants::{BoxUnits, ConnectorKind, PatchPositions, TextVariant, VisionVariant};
use crate::{Error, Result, foreign};

/// A model that writes: a vision-language model, or one that reads text only. Its JSON is SmolVLM's; other families are read by
/// [`super::families`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VlmConfig {
    /// Architecture family.
    pub model_type: String,
    /// Token id that marks the place of one visual token in the prompt; [`NO_IMAGE_TOKEN`] in a model that reads text only.
    pub image_token_id: u32,
    /// Side of the square of patch features folded into one visual token.
    pub scale_factor: usize,
    /// How they are folded.
    #[serde(skip)]
    pub connector: ConnectorKind,
    /// The numbers boxes are written in.
    #[serde(skip)]
    pub box_units: BoxUnits,
    /// The vision tower; all 0 in a model that reads text only.
    pub vision_config: VisionConfig,
    /// The decoder.
    pub text_config: TextConfig,
    /// Whether `lm_head` shares the embedding matrix.
    #[serde(default)]
    pub tie_word_embeddings: bool,
}

/// A SigLIP vision tower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Side of the square input, pixels.
    pub image_size: usize,
    /// Side of one patch, pixels.
    pub patch_size: usize,
    /// Epsilon of the layer norms.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Activation of the feed-forward layer.
    #[serde(default)]
    pub hidden_act: Activation,
    /// What this tower does differently from SigLIP's.
    #[serde(skip)]
    pub variant: VisionVariant,
}

/// A Llama decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of one head; `hidden_size / num_attention_heads` unless given.
    #[serde(default)]
    pub head_dim: Option<usize>,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary positions.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Rows of the embedding matrix.
    pub vocab_size: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// What this decoder does differently from Llama's.
    #[serde(skip)]
    pub variant: TextVariant,
}

fn default_layer_norm_eps() -> f64 {
    1e-6
}

fn default_rope_theta() -> f64 {
    10_000.0
}

impl VlmConfig {
    pub(super) fn check(&self) -> Result<()> {
        let (vision, text) = (&self.vision_config, &self.text_config);
        text.check()?;
        if !self.sees_photos() {
            return Ok(());
        }
        vision.check()?;
        positive("scale_factor", self.scale_factor)?;
        if self.connector == ConnectorKind::PixelShuffle {
            divides("scale_factor", self.scale_factor, vision.patches_per_side())?;
        }
        if self.image_token_id as usize >= text.vocab_size {
            return Err(refuse(
                "image_token_id",
                "lies outside the vocabulary".into(),
            ));
        }
        // They are taken in the order of the layers, and each has a merger of its own.
        if !vision.variant.deepstack.is_sorted_by(|a, b| a < b) {
            return Err(refuse(
                "vision_config.deepstack_visual_indexes",
                "must be ascending, each layer once".into(),
            ));
        }
        let layers = vision.variant.deepstack.len();
        if layers > text.num_hidden_layers {
            return Err(refuse(
                "vision_config.deepstack_visual_indexes",
                format!(
                    "{layers} layers cannot reach {} of the decoder",
                    text.num_hidden_layers
                ),
            ));
        }
        Ok(())
    }

    /// Whether there is a tower; without one the model reads text only.
    pub fn sees_photos(&self) -> bool {
        self.connector != ConnectorKind::Absent
    }

    /// Visual tokens one frame becomes, where all frames are of one size; 0 where the model reads text only.
    pub fn tokens_per_image(&self) -> usize {
        if !self.sees_photos() {
            return 0;
        }
        (self.vision_config.patches_per_side() / self.scale_factor).pow(2)
    }

    /// Whether every photo keeps its own shape, so that its visual tokens are its own in number.
    pub fn is_dynamic(&self) -> bool {
        self.sees_photos() && self.vision_config.image_size == 0
    }
}

impl VisionConfig {
    /// Patches along one side of the square input.
    pub fn patches_per_side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of one image.
    pub fn num_patches(&self) -> usize {
        self.patches_per_side().saturating_pow(2)
    }

    pub(super) fn check(&self) -> Result<()> {
        let variant = &self.variant;
        positive("vision_config.hidden_size", self.hidden_size)?;
        positive("vision_config.intermediate_size", self.intermediate_size)?;
        positive("vision_config.patch_size", self.patch_size)?;
        positive(
            "vision_config.num_attention_heads",
            self.num_attention_heads,
        )?;
        positive("vision_config.spatial_merge_size", variant.merge)?;
        positive("vision_config.temporal_patch_size", variant.frames)?;
        limit("vision_config.num_hidden_layers", self.num_hidden_layers)?;
        divides(
            "vision_config.num_attention_heads",
            self.num_attention_heads,
            self.hidden_size,
        )?;
        match variant.positions {
            // The table is as large as the grid, so the grid has one size.
            PatchPositions::Learned
            | PatchPositions::LearnedSmoothed
            | PatchPositions::Bucketed => {
                positive("vision_config.image_size", self.image_size)?;
                // What a last row or column of patches lacks is cut off: 384 pixels are 27 patches of 14.
                if self.patch_size > self.image_size {
                    let problem = format!("{} is larger than image_size", self.patch_size);
                    return Err(refuse("vision_config.patch_size", problem));
                }
            }
            PatchPositions::Interpolated { side } => {
                positive("vision_config.num_position_embeddings", side)?;
            }
            PatchPositions::Smoothed { side } => positive("vision_config.num_patches", side)?,
            PatchPositions::Absent => {}
        }
        let head = self.hidden_size / self.num_attention_heads;
        if variant.rotary.is_some() && !head.is_multiple_of(4) {
            let problem = format!(
                "heads of {head} cannot turn by row and column; their width must be a multiple of 4"
            );
            return Err(refuse("vision_config.num_heads", problem));
        }
        let beyond = |layer: &&usize| **layer >= self.num_hidden_layers;
        match variant.deepstack.iter().find(beyond) {
            Some(layer) => Err(refuse(
                "vision_config.deepstack_visual_indexes",
                format!("there is no layer {layer}"),
            )),
            None => Ok(()),
        }
    }
}

impl TextConfig {
    /// Tokens a conversation may have here: the model's own longest sequence, but no more than [`CONTEXT`].
    pub fn context(&self) -> usize {
        self.max_position_embeddings.min(CONTEXT)
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    fn check(&self) -> Result<()> {
        positive("text_config.hidden_size", self.hidden_size)?;
        positive("text_config.vocab_size", self.vocab_size)?;
        positive("text_config.num_attention_heads", self.num_attention_heads)?;
        positive("text_config.num_key_value_heads", self.num_key_value_heads)?;
        positive(
            "text_config.max_position_embeddings",
            self.max_position_embeddings,
        )?;
        positive("text_config.intermediate_size", self.intermediate_size)?;
        limit("text_config.num_hidden_layers", self.num_hidden_layers)?;
        divides(
            "text_config.num_key_value_heads",
            self.num_key_value_heads,
            self.num_attention_heads,
        )?;
        if self.head_dim() == 0 || !self.head_dim().is_multiple_of(2) {
            return Err(refuse(
                "text_config.head_dim",
                "must be even and positive for rotary positions".into(),
            ));
        }
        // Tables of turns are made for each position before any weight is looked at.
        let wide = self.head_dim().saturating_mul(self.num_attention_heads);
        if self.head_dim() > MOST_HEAD || wide > LARGEST {
            let problem = format!(
                "{} for {} heads is beyond {MOST_HEAD}, or {LARGEST} in all",
                self.head_dim(),
                self.num_attention_heads
            );
            return Err(refuse("text_config.head_dim", problem));
        }
        let sections = self.variant.mrope.map(|mrope| mrope.sections);
        let given =
            sections.map(|sections| sections.iter().map(|&s| s.min(LARGEST)).sum::<usize>());
        if given.is_some_and(|given| given != self.head_dim() / 2) {
            return Err(refuse(
                "text_config.rope_parameters.mrope_section",
                format!("must add up to {}, half a head", self.head_dim() / 2),
            ));
        }
        Ok(())
    }
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        let foreign = foreign::text(json.as_bytes());
        refuse("(json)", foreign.unwrap_or_else(|| error.to_string()))
    })
}

pub(super) fn refuse(key: &str, problem: String) -> Error {
    Error::Config {
        file: "config.json".into(),
        key: key.into(),
        problem,
    }
}

/// The id that no token has: no token holds a place for a photo.
pub const NO_IMAGE_TOKEN: u32 = u32::MAX;

/// Longest conversation kept in memory, whatever the model could read: its cache is allocated at once.
pub const CONTEXT: usize = 8192;

/// The widest or deepest number a config may state: 2^20 keeps every product below inside u64.
const LARGEST: usize = 1 << 20;
/// Widest head: four times that of any model known.
const MOST_HEAD: usize = 1 << 10;

pub(super) fn positive(key: &str, value: usize) -> Result<()> {
    if value == 0 {
        return Err(refuse(key, "must be positive".into()));
    }
    limit(key, value)
}

pub(super) fn limit(key: &str, value: usize) -> Result<()> {
    if value > LARGEST {
        return Err(refuse(key, format!("{value} is beyond {LARGEST}")));
    }
    Ok(())
}

pub(super) fn divides(key: &str, divisor: usize, of: usize) -> Result<()> {
    if divisor == 0 || !of.is_multiple_of(divisor) {
        return Err(refuse(key, format!("{divisor} does not divide {of}")));
    }
    Ok(())
}
