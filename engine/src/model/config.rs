//! Model dimensions, with the field names of Hugging Face's `config.json`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A SmolVLM-family model (`model_type` "idefics3" or "smolvlm").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VlmConfig {
    /// Architecture family.
    pub model_type: String,
    /// Token id that marks the place of one visual token in the prompt.
    pub image_token_id: u32,
    /// Side of the square of patch features folded into one visual token.
    pub scale_factor: usize,
    /// The vision tower.
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
}

/// A SigLIP dual encoder (`model_type` "siglip").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DualConfig {
    /// Architecture family.
    pub model_type: String,
    /// The image side.
    pub vision_config: VisionConfig,
    /// The text side.
    pub text_config: DualTextConfig,
}

/// The text tower of a SigLIP dual encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Fixed length texts are padded to (SigLIP uses no mask).
    pub max_position_embeddings: usize,
    /// Epsilon of the layer norms.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Activation of the feed-forward layer.
    #[serde(default)]
    pub hidden_act: Activation,
    /// Width of the shared space; equals `hidden_size` unless given.
    #[serde(default)]
    pub projection_size: Option<usize>,
}

/// Activation functions as `config.json` spells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Exact GELU.
    Gelu,
    /// GELU by tanh, SigLIP's own.
    #[default]
    GeluPytorchTanh,
    /// `x * sigmoid(x)`.
    Silu,
}

fn default_layer_norm_eps() -> f64 {
    1e-6
}

fn default_rope_theta() -> f64 {
    10_000.0
}

impl VlmConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key that is missing or cannot be.
    pub fn from_json(json: &str) -> Result<Self> {
        let config: Self = parse(json)?;
        if !matches!(config.model_type.as_str(), "idefics3" | "smolvlm") {
            return Err(refuse(
                "model_type",
                format!(
                    "`{}` is not a SmolVLM-family model (idefics3, smolvlm)",
                    config.model_type
                ),
            ));
        }
        config.vision_config.check()?;
        config.text_config.check()?;
        let side = config.vision_config.patches_per_side();
        if config.scale_factor == 0 || !side.is_multiple_of(config.scale_factor) {
            return Err(refuse(
                "scale_factor",
                format!(
                    "{} does not divide the {side} patches of a side",
                    config.scale_factor
                ),
            ));
        }
        if config.image_token_id as usize >= config.text_config.vocab_size {
            return Err(refuse(
                "image_token_id",
                "lies outside the vocabulary".into(),
            ));
        }
        Ok(config)
    }

    /// Visual tokens one frame becomes.
    pub fn tokens_per_image(&self) -> usize {
        (self.vision_config.patches_per_side() / self.scale_factor).pow(2)
    }
}

impl DualConfig {
    /// Reads and checks a SigLIP `config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key that is missing or cannot be.
    pub fn from_json(json: &str) -> Result<Self> {
        let config: Self = parse(json)?;
        if config.model_type != "siglip" {
            return Err(refuse(
                "model_type",
                format!("`{}` is not a SigLIP dual encoder", config.model_type),
            ));
        }
        config.vision_config.check()?;
        let text = &config.text_config;
        positive("text_config.hidden_size", text.hidden_size)?;
        positive("text_config.num_attention_heads", text.num_attention_heads)?;
        positive(
            "text_config.max_position_embeddings",
            text.max_position_embeddings,
        )?;
        divides(
            "text_config.num_attention_heads",
            text.num_attention_heads,
            text.hidden_size,
        )?;
        if text.projection_size.unwrap_or(text.hidden_size) != config.vision_config.hidden_size {
            return Err(refuse(
                "text_config.projection_size",
                "must equal vision_config.hidden_size, the width of the shared space".into(),
            ));
        }
        Ok(config)
    }
}

impl VisionConfig {
    /// Patches along one side of the square input.
    pub fn patches_per_side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of one image.
    pub fn num_patches(&self) -> usize {
        self.patches_per_side().pow(2)
    }

    fn check(&self) -> Result<()> {
        positive("vision_config.hidden_size", self.hidden_size)?;
        positive("vision_config.patch_size", self.patch_size)?;
        positive("vision_config.image_size", self.image_size)?;
        positive(
            "vision_config.num_attention_heads",
            self.num_attention_heads,
        )?;
        limit("vision_config.num_hidden_layers", self.num_hidden_layers)?;
        divides("vision_config.patch_size", self.patch_size, self.image_size)?;
        divides(
            "vision_config.num_attention_heads",
            self.num_attention_heads,
            self.hidden_size,
        )
    }
}

impl TextConfig {
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
        Ok(())
    }
}

fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| refuse("(json)", error.to_string()))
}

fn refuse(key: &str, problem: String) -> Error {
    Error::Config {
        file: "config.json".into(),
        key: key.into(),
        problem,
    }
}

/// The widest or deepest number a config may state: 2^20 keeps every product below inside u64.
const LARGEST: usize = 1 << 20;

fn positive(key: &str, value: usize) -> Result<()> {
    if value == 0 {
        return Err(refuse(key, "must be positive".into()));
    }
    limit(key, value)
}

fn limit(key: &str, value: usize) -> Result<()> {
    if value > LARGEST {
        return Err(refuse(key, format!("{value} is beyond {LARGEST}")));
    }
    Ok(())
}

fn divides(key: &str, divisor: usize, of: usize) -> Result<()> {
    if divisor == 0 || !of.is_multiple_of(divisor) {
        return Err(refuse(key, format!("{divisor} does not divide {of}")));
    }
    Ok(())
}
