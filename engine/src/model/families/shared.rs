//! What the configurations of several families have in common.

use super::Json;
use crate::Result;
use crate::model::config::{Activation, NO_IMAGE_TOKEN, TextConfig, VisionConfig, VlmConfig};
use crate::model::variants::{BoxUnits, ConnectorKind, TextVariant, VisionVariant};

/// A configuration of which only what a family fixes is known.
pub(super) fn blank(
    model_type: &str,
    connector: ConnectorKind,
    box_units: BoxUnits,
    vision: VisionVariant,
    text: TextVariant,
) -> VlmConfig {
    VlmConfig {
        model_type: model_type.into(),
        image_token_id: 0,
        scale_factor: 0,
        connector,
        box_units,
        vision_config: VisionConfig {
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            image_size: 0,
            patch_size: 0,
            layer_norm_eps: 0.0,
            hidden_act: Activation::default(),
            variant: vision,
        },
        text_config: TextConfig {
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            num_key_value_heads: 0,
            head_dim: None,
            rms_norm_eps: 0.0,
            rope_theta: 0.0,
            vocab_size: 0,
            max_position_embeddings: 0,
            variant: text,
        },
        tie_word_embeddings: false,
    }
}

/// A configuration of a model that reads text only.
pub(super) fn text_only(model_type: &str, text: TextVariant) -> VlmConfig {
    VlmConfig {
        image_token_id: NO_IMAGE_TOKEN,
        ..blank(
            model_type,
            ConnectorKind::Absent,
            BoxUnits::default(),
            VisionVariant::default(),
            text,
        )
    }
}

/// What all decoders' configurations share; the variant is left to the family. `rope` are the kinds of rotary positions it
/// has beside the usual one.
pub(super) fn decoder(text: &Json, rope: &[&str]) -> Result<TextConfig> {
    if text.get("use_sliding_window").is_some() && text.flag("use_sliding_window")? {
        return Err(text.fail("use_sliding_window", "is not supported; set it to false"));
    }
    if text.choice::<Activation>("hidden_act")? != Activation::Silu {
        return Err(text.fail("hidden_act", "is not supported in a decoder; only silu is"));
    }
    let (hidden_size, heads) = (
        text.number("hidden_size")?,
        text.number("num_attention_heads")?,
    );
    let kv_heads = text.number_or_null("num_key_value_heads")?;
    Ok(TextConfig {
        hidden_size,
        intermediate_size: text.number("intermediate_size")?,
        num_hidden_layers: text.number("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: kv_heads.unwrap_or_else(|| text.derived("num_key_value_heads", heads)),
        head_dim: match text.number_or_null("head_dim")? {
            None => {
                text.derived("head_dim", hidden_size / heads.max(1));
                None
            }
            width => width,
        },
        rms_norm_eps: text.real("rms_norm_eps")?,
        rope_theta: text.rope_theta(rope)?,
        vocab_size: text.number("vocab_size")?,
        max_position_embeddings: text.number("max_position_embeddings")?,
        variant: TextVariant::default(),
    })
}

/// Refuses photos of other than three channels.
pub(super) fn three_channels(vision: &Json, key: &str) -> Result<()> {
    match vision.number(key)? {
        3 => Ok(()),
        _ => Err(vision.fail(key, "must be 3")),
    }
}
