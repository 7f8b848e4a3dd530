//! Idefics3, SmolVLM and SmolVLM2: a SigLIP tower with bucketed positions, pixel shuffle, a Llama decoder.

use super::{Family, GgufFamily, Json, Reader, blank, decoder};
use crate::Result;
use crate::model::config::{TextConfig, VisionConfig, VlmConfig};
use crate::model::gguf_config::Keys;
use crate::model::gguf_layout::{APART, FUSED};
use crate::model::names::{Group, Names};
use crate::model::variants::{BoxUnits, ConnectorKind, PatchPositions, TextVariant, VisionVariant};

pub(super) const FAMILY: Family = Family {
    model_types: &["idefics3", "smolvlm"],
    read: Reader::Vlm(config),
    names: NAMES,
    gguf: Some(GgufFamily {
        architecture: "llama",
        projector: "idefics3",
        image_token: "<image>",
        interleaved: true,
        counts_deepstack: false,
        names: &[
            APART,
            FUSED,
            Group {
                ours: "model.connector.modality_projection.proj.",
                theirs: &["mm.model.fc."],
                pieces: &[],
            },
        ],
        blank: || {
            blank(
                "idefics3",
                ConnectorKind::PixelShuffle,
                BoxUnits::Hundredths,
                tower_variant(),
                TextVariant::default(),
            )
        },
        tower,
    }),
};

/// Our names are theirs; only some early files left the head of the model out.
const NAMES: Names = &[Group {
    ours: "model.",
    theirs: &["model.", ""],
    pieces: &[],
}];

fn config(json: &Json) -> Result<VlmConfig> {
    Ok(VlmConfig {
        model_type: json.text("model_type")?,
        image_token_id: json.token("image_token_id")?,
        scale_factor: json.number_or("scale_factor", 2)?,
        connector: ConnectorKind::PixelShuffle,
        box_units: BoxUnits::Hundredths,
        vision_config: vision(&json.part("vision_config")?)?,
        text_config: text(&json.part("text_config")?)?,
        tie_word_embeddings: json.flag_or("tie_word_embeddings", false)?,
    })
}

fn vision(json: &Json) -> Result<VisionConfig> {
    Ok(VisionConfig {
        hidden_size: json.number_or("hidden_size", 1152)?,
        intermediate_size: json.number_or("intermediate_size", 3072)?,
        num_hidden_layers: json.number_or("num_hidden_layers", 12)?,
        num_attention_heads: json.number_or("num_attention_heads", 16)?,
        image_size: json.number_or("image_size", 224)?,
        patch_size: json.number_or("patch_size", 32)?,
        layer_norm_eps: json.real_or("layer_norm_eps", 1e-6)?,
        hidden_act: json.choice("hidden_act", Default::default())?,
        variant: tower_variant(),
    })
}

fn tower_variant() -> VisionVariant {
    VisionVariant {
        positions: PatchPositions::Bucketed,
        ..VisionVariant::default()
    }
}

/// The projector's own keys.
fn tower(keys: &mut Keys<'_>, config: &mut VlmConfig) -> Result<()> {
    keys.number(
        "clip.vision.image_size",
        &mut config.vision_config.image_size,
    )?;
    keys.number_or(
        "clip.vision.projector.scale_factor",
        &mut config.scale_factor,
        2,
    )
}

fn text(json: &Json) -> Result<TextConfig> {
    let bias = json.flag_or("attention_bias", false)?;
    if json.flag_or("mlp_bias", false)? {
        return Err(json.fail("mlp_bias", "is not supported"));
    }
    Ok(TextConfig {
        max_position_embeddings: json.number_or("max_position_embeddings", 2048)?,
        variant: TextVariant {
            qkv_bias: bias,
            output_bias: bias,
            ..TextVariant::default()
        },
        ..decoder(json, 10_000.0)?
    })
}
