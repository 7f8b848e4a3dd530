//! Idefics3, SmolVLM and SmolVLM2: a SigLIP tower with bucketed positions, pixel shuffle, a Llama decoder.

use super::{Family, GgufFamily, Json, Reader, blank, llama, three_channels};
use crate::Result;
use crate::model::config::{TextConfig, VisionConfig, VlmConfig};
use crate::model::gguf_keys::Keys;
use crate::model::gguf_names::{APART, FUSED};
use crate::model::names::{Group, Names};
use crate::model::variants::{BoxUnits, ConnectorKind, PatchPositions, TextVariant, VisionVariant};

pub(super) const FAMILY: Family = Family {
    model_types: &[("idefics3", "Idefics3Config"), ("smolvlm", "SmolVLMConfig")],
    read: Reader::Vlm(config),
    names: NAMES,
    gguf: Some(GgufFamily {
        architecture: "llama",
        projector: Some("idefics3"),
        image_token: Some("<image>"),
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
        scale_factor: json.number("scale_factor")?,
        connector: ConnectorKind::PixelShuffle,
        box_units: BoxUnits::Hundredths,
        vision_config: vision(&json.part("vision_config")?)?,
        text_config: text(&json.part("text_config")?.of_class("LlamaConfig"))?,
        tie_word_embeddings: json.flag("tie_word_embeddings")?,
    })
}

fn vision(json: &Json) -> Result<VisionConfig> {
    three_channels(json, "num_channels")?;
    Ok(VisionConfig {
        hidden_size: json.number("hidden_size")?,
        intermediate_size: json.number("intermediate_size")?,
        num_hidden_layers: json.number("num_hidden_layers")?,
        num_attention_heads: json.number("num_attention_heads")?,
        image_size: json.number("image_size")?,
        patch_size: json.number("patch_size")?,
        layer_norm_eps: json.real("layer_norm_eps")?,
        hidden_act: json.choice("hidden_act")?,
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
    // The reference would take another model's class, with other layers.
    if let Some(kind) = json.stated("model_type").filter(|kind| *kind != "llama") {
        let problem = format!("{kind} is not supported; the decoder must be a llama");
        return Err(json.fail("model_type", &problem));
    }
    llama::text(json)
}
