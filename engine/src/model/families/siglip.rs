//! SigLIP and SigLIP 2: dual encoders whose photos are pooled by a probe and whose texts by their last place.

use super::{Family, Json, Reader};
use crate::Result;
use crate::model::config::{Activation, VisionConfig};
use crate::model::dual_config::{DualConfig, DualTextConfig};
use crate::model::variants::{DualVariant, PatchPositions, VisionVariant};

pub(super) const FAMILY: Family = Family {
    model_types: &["siglip", "siglip2"],
    read: Reader::Dual(config),
    names: &[],
    gguf: None,
};

fn config(json: &Json) -> Result<DualConfig> {
    let model_type = json.text("model_type")?;
    let vision = json.part_or_empty("vision_config")?;
    // Fixed-size SigLIP 2 is SigLIP; the other one has no size of its own.
    let is_fixed = model_type == "siglip"
        || (vision.get("num_patches").is_none() && vision.get("image_size").is_some());
    if !vision.flag_or("vision_use_head", true)? {
        return Err(vision.fail("vision_use_head", "must be true; photos are pooled by it"));
    }
    let usual = tower_of([768, 3072, 12, 12], Activation::GeluPytorchTanh, 1e-6);
    let mut tower = tower(&vision, usual, !is_fixed)?;
    if !is_fixed {
        let table = vision.number_or("num_patches", 256)?;
        let side = table.isqrt();
        if side.checked_mul(side) != Some(table) {
            return Err(vision.fail("num_patches", "must be the square of a whole number"));
        }
        tower.variant = VisionVariant {
            flat_kernel: true,
            positions: PatchPositions::Smoothed { side },
            ..VisionVariant::default()
        };
    }
    let text = json.part_or_empty("text_config")?;
    let usual = DualTextConfig {
        hidden_size: 768,
        intermediate_size: 3072,
        num_hidden_layers: 12,
        num_attention_heads: 12,
        vocab_size: 32_000,
        max_position_embeddings: 64,
        layer_norm_eps: 1e-6,
        hidden_act: Activation::GeluPytorchTanh,
        projection_size: None,
    };
    Ok(DualConfig {
        model_type,
        vision_config: tower,
        text_config: DualTextConfig {
            projection_size: text
                .get("projection_size")
                .map(|_| text.number("projection_size"))
                .transpose()?,
            ..text_tower(&text, usual)?
        },
        variant: DualVariant::default(),
    })
}

/// A SigLIP tower of this width, feed-forward width, depth and number of heads, over 224 pixels in patches of 16.
pub(super) fn tower_of(
    [
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
    ]: [usize; 4],
    hidden_act: Activation,
    layer_norm_eps: f64,
) -> VisionConfig {
    VisionConfig {
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        image_size: 224,
        patch_size: 16,
        layer_norm_eps,
        hidden_act,
        variant: VisionVariant::default(),
    }
}

/// A vision tower, `usual` where the file is silent: the hub's files name only what differs from the reference's classes.
pub(super) fn tower(json: &Json, usual: VisionConfig, any_size: bool) -> Result<VisionConfig> {
    if json.number_or("num_channels", 3)? != 3 {
        return Err(json.fail("num_channels", "must be 3"));
    }
    Ok(VisionConfig {
        hidden_size: json.number_or("hidden_size", usual.hidden_size)?,
        intermediate_size: json.number_or("intermediate_size", usual.intermediate_size)?,
        num_hidden_layers: json.number_or("num_hidden_layers", usual.num_hidden_layers)?,
        num_attention_heads: json.number_or("num_attention_heads", usual.num_attention_heads)?,
        image_size: match any_size {
            true => 0,
            false => json.number_or("image_size", usual.image_size)?,
        },
        patch_size: json.number_or("patch_size", usual.patch_size)?,
        layer_norm_eps: json.real_or("layer_norm_eps", usual.layer_norm_eps)?,
        hidden_act: json.choice("hidden_act", usual.hidden_act)?,
        variant: usual.variant,
    })
}

/// A text tower, `usual` where the file is silent.
pub(super) fn text_tower(json: &Json, usual: DualTextConfig) -> Result<DualTextConfig> {
    let number = |key: &str, usual: usize| json.number_or(key, usual);
    Ok(DualTextConfig {
        hidden_size: number("hidden_size", usual.hidden_size)?,
        intermediate_size: number("intermediate_size", usual.intermediate_size)?,
        num_hidden_layers: number("num_hidden_layers", usual.num_hidden_layers)?,
        num_attention_heads: number("num_attention_heads", usual.num_attention_heads)?,
        vocab_size: number("vocab_size", usual.vocab_size)?,
        max_position_embeddings: number("max_position_embeddings", usual.max_position_embeddings)?,
        layer_norm_eps: json.real_or("layer_norm_eps", usual.layer_norm_eps)?,
        hidden_act: json.choice("hidden_act", usual.hidden_act)?,
        projection_size: usual.projection_size,
    })
}
