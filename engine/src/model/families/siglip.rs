//! SigLIP and SigLIP 2: dual encoders whose photos are pooled by a probe and whose texts by their last place.

use super::{Family, Json, Reader, three_channels};
use crate::Result;
use crate::model::config::VisionConfig;
use crate::model::dual_config::{DualConfig, DualTextConfig};
use crate::model::variants::{DualVariant, PatchPositions, VisionVariant};

pub(super) const FAMILY: Family = Family {
    model_types: &[("siglip", "SiglipConfig"), ("siglip2", "Siglip2Config")],
    read: Reader::Dual(config),
    names: &[],
    gguf: None,
};

fn config(json: &Json) -> Result<DualConfig> {
    let model_type = json.text("model_type")?;
    let vision = json.part("vision_config")?;
    // Fixed-size SigLIP 2 is SigLIP; the other one has no size of its own.
    let is_fixed = model_type == "siglip"
        || (vision.stated("num_patches").is_none() && vision.stated("image_size").is_some());
    if !vision.flag("vision_use_head")? {
        return Err(vision.fail("vision_use_head", "must be true; photos are pooled by it"));
    }
    let variant = match is_fixed {
        true => VisionVariant::default(),
        false => {
            let table = vision.number("num_patches")?;
            let side = table.isqrt();
            if side.checked_mul(side) != Some(table) {
                return Err(vision.fail("num_patches", "must be the square of a whole number"));
            }
            VisionVariant {
                flat_kernel: true,
                positions: PatchPositions::Smoothed { side },
                ..VisionVariant::default()
            }
        }
    };
    three_channels(&vision, "num_channels")?;
    let text = json.part("text_config")?;
    let projection_size = text.number_or_null("projection_size")?;
    let config = DualConfig {
        model_type,
        vision_config: tower(&vision, variant, !is_fixed)?,
        text_config: text_tower(&text, projection_size)?,
        variant: DualVariant::default(),
    };
    if projection_size.is_none() {
        text.derived("projection_size", config.width());
    }
    Ok(config)
}

/// A vision tower; one for photos of any size has no size of its own.
pub(super) fn tower(json: &Json, variant: VisionVariant, any_size: bool) -> Result<VisionConfig> {
    Ok(VisionConfig {
        hidden_size: json.number("hidden_size")?,
        intermediate_size: json.number("intermediate_size")?,
        num_hidden_layers: json.number("num_hidden_layers")?,
        num_attention_heads: json.number("num_attention_heads")?,
        image_size: match any_size {
            true => 0,
            false => json.number("image_size")?,
        },
        patch_size: json.number("patch_size")?,
        layer_norm_eps: json.real("layer_norm_eps")?,
        hidden_act: json.choice("hidden_act")?,
        variant,
    })
}

/// A text tower.
pub(super) fn text_tower(json: &Json, projection_size: Option<usize>) -> Result<DualTextConfig> {
    Ok(DualTextConfig {
        hidden_size: json.number("hidden_size")?,
        intermediate_size: json.number("intermediate_size")?,
        num_hidden_layers: json.number("num_hidden_layers")?,
        num_attention_heads: json.number("num_attention_heads")?,
        vocab_size: json.number("vocab_size")?,
        max_position_embeddings: json.number("max_position_embeddings")?,
        layer_norm_eps: json.real("layer_norm_eps")?,
        hidden_act: json.choice("hidden_act")?,
        projection_size,
    })
}
