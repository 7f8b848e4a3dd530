//! Sizes of models trained from scratch on the Playroom.

use namelens_engine::model::config::{Activation, TextConfig, VisionConfig, VlmConfig};
use namelens_engine::model::dual_config::{DualConfig, DualTextConfig};
use namelens_engine::model::variants::{
    BoxUnits, ConnectorKind, DualVariant, TextVariant, VisionVariant,
};

/// Side of the square every photo is brought to, pixels.
pub const IMAGE_SIDE: usize = 96;
/// Tokens of the trained tokenizer.
pub const VOCAB: usize = 1024;
/// Tokens a description is padded to for the dual encoder.
pub const TEXT_LEN: usize = 32;

/// The vision tower both models share in shape: 144 patches of 8 x 8.
pub fn vision() -> VisionConfig {
    VisionConfig {
        hidden_size: 128,
        intermediate_size: 512,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        image_size: IMAGE_SIDE,
        patch_size: 8,
        layer_norm_eps: 1e-6,
        // The exact form has a fused gradient on every backend.
        hidden_act: Activation::Gelu,
        variant: VisionVariant::default(),
    }
}

/// The captioner: 3 M parameters, 36 visual tokens a photo.
pub fn captioner(image_token_id: u32) -> VlmConfig {
    VlmConfig {
        model_type: "idefics3".into(),
        image_token_id,
        scale_factor: 2,
        connector: ConnectorKind::PixelShuffle,
        box_units: BoxUnits::Hundredths,
        vision_config: vision(),
        text_config: TextConfig {
            hidden_size: 192,
            intermediate_size: 384,
            num_hidden_layers: 6,
            num_attention_heads: 6,
            num_key_value_heads: 2,
            head_dim: None,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            vocab_size: VOCAB,
            max_position_embeddings: 1024,
            variant: TextVariant::default(),
        },
        tie_word_embeddings: true,
    }
}

/// The dual encoder: 1.6 M parameters.
pub fn dual() -> DualConfig {
    DualConfig {
        model_type: "siglip".into(),
        vision_config: vision(),
        text_config: DualTextConfig {
            hidden_size: 128,
            intermediate_size: 256,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            vocab_size: VOCAB,
            max_position_embeddings: TEXT_LEN,
            layer_norm_eps: 1e-6,
            hidden_act: Activation::Gelu,
            projection_size: None,
        },
        variant: DualVariant::default(),
    }
}
