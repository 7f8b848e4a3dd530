//! Qwen3-VL (dense): a tower with interpolated and rotary positions, DeepStack, a Qwen3 decoder with M-RoPE by turns.

use super::qwen2_5_vl::{MROPE, TEXT, TOWER, merge, mrope};
use super::{Family, GgufFamily, Json, Reader, blank, decoder, three_channels};
use crate::Result;
use crate::model::config::{Activation, TextConfig, VisionConfig, VlmConfig};
use crate::model::gguf_keys::Keys;
use crate::model::gguf_names::{APART, FUSED, MERGERS};
use crate::model::names::{Group, Names};
use crate::model::variants::{
    BoxUnits, ConnectorKind, Mrope, NormKind, PatchPositions, TextVariant, VisionVariant,
};

pub(super) const FAMILY: Family = Family {
    model_types: &[("qwen3_vl", "Qwen3VLConfig")],
    read: Reader::Vlm(config),
    names: NAMES,
    gguf: Some(GgufFamily {
        architecture: "qwen3vl",
        projector: Some("qwen3vl_merger"),
        image_token: Some("<|image_pad|>"),
        interleaved: false,
        counts_deepstack: true,
        names: &[FUSED, APART, MERGERS[0], MERGERS[1], MERGERS[2]],
        blank: || {
            blank(
                "qwen3_vl",
                CONNECTOR,
                BoxUnits::Thousandths,
                tower_variant(),
                TextVariant {
                    qk_norm: true,
                    mrope: Some(Mrope {
                        sections: SECTIONS,
                        interleaved: true,
                    }),
                    ..TextVariant::default()
                },
            )
        },
        tower,
    }),
};

/// M-RoPE's sections in GGUF files that do not name them.
const SECTIONS: [usize; 3] = [24, 20, 20];

const CONNECTOR: ConnectorKind = ConnectorKind::PatchMerger {
    norm: NormKind::Layer,
    act: Activation::Gelu,
};

const NAMES: Names = &[
    Group {
        ours: "model.vision_model.",
        theirs: &["model.visual.", "visual."],
        pieces: TOWER,
    },
    Group {
        ours: "model.connector.deepstack.",
        theirs: &[
            "model.visual.deepstack_merger_list.",
            "visual.deepstack_merger_list.",
        ],
        pieces: &[("fc1", "linear_fc1", None), ("fc2", "linear_fc2", None)],
    },
    Group {
        ours: "model.connector.",
        theirs: &["model.visual.merger.", "visual.merger."],
        pieces: &[("fc1", "linear_fc1", None), ("fc2", "linear_fc2", None)],
    },
    TEXT,
];

fn config(json: &Json) -> Result<VlmConfig> {
    let vision = json.part("vision_config")?;
    let text = json.part("text_config")?;
    let bias = text.flag("attention_bias")?;
    Ok(VlmConfig {
        model_type: json.text("model_type")?,
        image_token_id: json.token("image_token_id")?,
        scale_factor: vision.number("spatial_merge_size")?,
        connector: CONNECTOR,
        box_units: BoxUnits::Thousandths,
        vision_config: self::vision(&vision)?,
        tie_word_embeddings: json.flag("tie_word_embeddings")?,
        text_config: TextConfig {
            variant: TextVariant {
                qkv_bias: bias,
                output_bias: bias,
                qk_norm: true,
                mrope: Some(mrope(&text, true)?),
            },
            ..decoder(&text, MROPE)?
        },
    })
}

fn vision(json: &Json) -> Result<VisionConfig> {
    three_channels(json, "in_channels")?;
    let table = json.number("num_position_embeddings")?;
    Ok(VisionConfig {
        hidden_size: json.number("hidden_size")?,
        intermediate_size: json.number("intermediate_size")?,
        num_hidden_layers: json.number("depth")?,
        num_attention_heads: json.number("num_heads")?,
        image_size: 0,
        patch_size: json.number("patch_size")?,
        // Written into the reference's code, not into the configuration.
        layer_norm_eps: 1e-6,
        hidden_act: json.choice("hidden_act")?,
        variant: VisionVariant {
            frames: json.number("temporal_patch_size")?,
            positions: PatchPositions::Interpolated {
                side: table.isqrt(),
            },
            rotary: Some(json.rope_theta(&[])?),
            merge: json.number("spatial_merge_size")?,
            deepstack: json.numbers("deepstack_visual_indexes")?,
            ..tower_variant()
        },
    })
}

/// Base of the tower's rotary positions in GGUF files, which do not name it.
const THETA: f64 = 10_000.0;

fn tower_variant() -> VisionVariant {
    VisionVariant {
        norm: NormKind::Layer,
        gated: false,
        patch_bias: true,
        frames: 2,
        positions: PatchPositions::Interpolated { side: 0 },
        rotary: Some(THETA),
        merge: 2,
        post_norm: false,
        ..VisionVariant::default()
    }
}

/// The projector's own keys. The size of photos is that at which each patch has a position of its own.
fn tower(keys: &mut Keys<'_>, config: &mut VlmConfig) -> Result<()> {
    merge(keys, config)?;
    let vision = &mut config.vision_config;
    let depth = vision.num_hidden_layers;
    keys.layers(
        "clip.vision.is_deepstack_layers",
        &mut vision.variant.deepstack,
        depth,
    )?;
    let side = match vision.variant.positions {
        PatchPositions::Interpolated { side } => side,
        _ => 0,
    };
    let mut photo = side.saturating_mul(vision.patch_size);
    keys.number("clip.vision.image_size", &mut photo)?;
    vision.variant.positions = PatchPositions::Interpolated {
        side: photo.checked_div(vision.patch_size).unwrap_or(0),
    };
    Ok(())
}
