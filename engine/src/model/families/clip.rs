//! CLIP: a class token stands for the photo, the end of the text for the text, and both are projected into one space.

use super::siglip::{text_tower, tower, tower_of};
use super::{Family, Json, Reader};
use crate::Result;
use crate::model::config::{Activation, VisionConfig};
use crate::model::dual_config::{DualConfig, DualTextConfig};
use crate::model::names::{Group, Names};
use crate::model::variants::{DualVariant, PhotoPooling, TextPooling, VisionVariant};

pub(super) const FAMILY: Family = Family {
    model_types: &["clip"],
    read: Reader::Dual(config),
    names: NAMES,
    gguf: None,
};

const NAMES: Names = &[
    Group {
        ours: "vision_model.head.",
        theirs: &["visual_projection."],
        pieces: &[],
    },
    Group {
        ours: "vision_model.",
        theirs: &["vision_model."],
        // Misspelt in all checkpoints.
        pieces: &[("pre_layernorm", "pre_layrnorm", None)],
    },
    Group {
        ours: "text_model.head.",
        theirs: &["text_projection."],
        pieces: &[],
    },
];

/// The end of text by which the reference knows configurations that name a wrong one.
const WRONG_END: u32 = 2;

fn config(json: &Json) -> Result<DualConfig> {
    let vision = part(json, "vision_config")?;
    let text = part(json, "text_config")?;
    let end = match text.get("eos_token_id") {
        Some(_) => text.token("eos_token_id")?,
        None => 49_407,
    };
    let usual = VisionConfig {
        patch_size: 32,
        variant: VisionVariant {
            patch_bias: false,
            class_token: true,
            pre_norm: true,
            ..VisionVariant::default()
        },
        ..tower_of([768, 3072, 12, 12], Activation::QuickGelu, 1e-5)
    };
    let usual_text = DualTextConfig {
        hidden_size: 512,
        intermediate_size: 2048,
        num_hidden_layers: 12,
        num_attention_heads: 8,
        vocab_size: 49_408,
        max_position_embeddings: 77,
        layer_norm_eps: 1e-5,
        hidden_act: Activation::QuickGelu,
        projection_size: Some(json.number_or("projection_dim", 512)?),
    };
    Ok(DualConfig {
        model_type: json.text("model_type")?,
        vision_config: tower(&vision, usual, false)?,
        text_config: text_tower(&text, usual_text)?,
        variant: DualVariant {
            photos: PhotoPooling::ClassToken,
            texts: match end {
                WRONG_END => TextPooling::Highest,
                end => TextPooling::First(end),
            },
            causal: true,
            head_bias: false,
            logit_bias: false,
        },
    })
}

/// One side's keys. Early files have them twice, and `*_config_dict` is then the one that counts, whole.
fn part(json: &Json, key: &str) -> Result<Json> {
    json.part_or_empty(match json.get(&format!("{key}_dict")) {
        Some(_) => match key {
            "text_config" => "text_config_dict",
            _ => "vision_config_dict",
        },
        None => key,
    })
}
