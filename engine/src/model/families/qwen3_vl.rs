//! Qwen3-VL (dense): a tower with interpolated and rotary positions, DeepStack, a Qwen3 decoder with M-RoPE by turns.

use super::qwen2_5_vl::{TEXT, TOWER, merge, mrope, text_part, tied};
use super::{Family, GgufFamily, Json, Reader, blank, decoder};
use crate::Result;
use crate::model::config::{Activation, TextConfig, VisionConfig, VlmConfig};
use crate::model::gguf_config::Keys;
use crate::model::gguf_layout::{APART, FUSED, MERGERS};
use crate::model::names::{Group, Names};
use crate::model::variants::{
    BoxUnits, ConnectorKind, Mrope, NormKind, PatchPositions, TextVariant, VisionVariant,
};

pub(super) const FAMILY: Family = Family {
    model_types: &["qwen3_vl"],
    read: Reader::Vlm(config),
    names: NAMES,
    gguf: Some(GgufFamily {
        architecture: "qwen3vl",
        projector: "qwen3vl_merger",
        image_token: "<|image_pad|>",
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

/// M-RoPE's sections where nothing is said of them.
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
    let text = text_part(json)?;
    let bias = text.flag_or("attention_bias", false)?;
    Ok(VlmConfig {
        model_type: json.text("model_type")?,
        image_token_id: json.token("image_token_id")?,
        scale_factor: vision.number_or("spatial_merge_size", 2)?,
        connector: CONNECTOR,
        box_units: BoxUnits::Thousandths,
        vision_config: self::vision(&vision)?,
        tie_word_embeddings: tied(json, &text)?,
        text_config: TextConfig {
            // The reference's own default, whatever hidden size and heads say.
            head_dim: Some(text.number_or("head_dim", 128)?),
            variant: TextVariant {
                qkv_bias: bias,
                output_bias: bias,
                qk_norm: true,
                mrope: Some(mrope(&text, SECTIONS, true)?),
            },
            ..decoder(&text, 5_000_000.0)?
        },
    })
}

fn vision(json: &Json) -> Result<VisionConfig> {
    let table = json.number_or("num_position_embeddings", 2304)?;
    Ok(VisionConfig {
        hidden_size: json.number("hidden_size")?,
        intermediate_size: json.number("intermediate_size")?,
        num_hidden_layers: json.number("depth")?,
        num_attention_heads: json.number("num_heads")?,
        image_size: 0,
        patch_size: json.number_or("patch_size", 16)?,
        // Written into the reference's code, not into the configuration.
        layer_norm_eps: 1e-6,
        hidden_act: json.choice("hidden_act", Activation::GeluPytorchTanh)?,
        variant: VisionVariant {
            frames: json.number_or("temporal_patch_size", 2)?,
            positions: PatchPositions::Interpolated {
                side: table.isqrt(),
            },
            rotary: Some(json.rope_theta(THETA)?),
            merge: json.number_or("spatial_merge_size", 2)?,
            deepstack: json.numbers("deepstack_visual_indexes")?,
            ..tower_variant()
        },
    })
}

/// Base of the tower's rotary positions where nothing is said of it.
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
