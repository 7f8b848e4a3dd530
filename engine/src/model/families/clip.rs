//! CLIP: a class token stands for the photo, the end of the text for the text, and both are projected into one space.

use super::siglip::{text_tower, tower};
use super::{Family, Json, Reader, three_channels};
use crate::Result;
use crate::model::dual_config::DualConfig;
use crate::model::names::{Group, Names};
use crate::model::variants::{DualVariant, PhotoPooling, TextPooling, VisionVariant};

pub(super) const FAMILY: Family = Family {
    model_types: &[("clip", "CLIPConfig")],
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
    let vision = part(json, "vision_config", "vision_config_dict")?;
    let text = part(json, "text_config", "text_config_dict")?;
    three_channels(&vision, "num_channels")?;
    let variant = VisionVariant {
        patch_bias: false,
        class_token: true,
        pre_norm: true,
        ..VisionVariant::default()
    };
    Ok(DualConfig {
        model_type: json.text("model_type")?,
        vision_config: tower(&vision, variant, false)?,
        text_config: text_tower(&text, Some(json.number("projection_dim")?))?,
        variant: DualVariant {
            photos: PhotoPooling::ClassToken,
            texts: match text.token("eos_token_id")? {
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
fn part(json: &Json, key: &'static str, dict: &str) -> Result<Json> {
    match json.stated(dict) {
        Some(_) => json.part_in(key, dict),
        None => json.part(key),
    }
}
