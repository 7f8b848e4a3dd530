//! Qwen2.5-VL: a tower of gated layers with rotary positions and windows, a patch merger, a Qwen2 decoder with M-RoPE.

use super::{Family, GgufFamily, Json, Reader, blank, decoder, three_channels};
use crate::Result;
use crate::model::config::{Activation, TextConfig, VisionConfig, VlmConfig};
use crate::model::gguf_keys::{Keys, fail};
use crate::model::gguf_names::{APART, FUSED, MERGERS};
use crate::model::names::{Group, Names, Piece, third};
use crate::model::variants::{
    BoxUnits, ConnectorKind, Mrope, NormKind, PatchPositions, TextVariant, VisionVariant, Windows,
};

pub(super) const FAMILY: Family = Family {
    model_types: &[("qwen2_5_vl", "Qwen2_5_VLConfig")],
    read: Reader::Vlm(config),
    names: NAMES,
    gguf: Some(GgufFamily {
        architecture: "qwen2vl",
        projector: Some("qwen2.5vl_merger"),
        image_token: Some("<|image_pad|>"),
        interleaved: false,
        counts_deepstack: false,
        names: &[APART, FUSED, MERGERS[0], MERGERS[1], MERGERS[2]],
        blank: || {
            blank(
                "qwen2_5_vl",
                CONNECTOR,
                BoxUnits::Pixels,
                tower_variant(),
                text_variant(Mrope {
                    sections: SECTIONS,
                    interleaved: false,
                }),
            )
        },
        tower,
    }),
};

/// M-RoPE's sections in GGUF files that do not name them.
const SECTIONS: [usize; 3] = [16, 24, 24];

const CONNECTOR: ConnectorKind = ConnectorKind::PatchMerger {
    norm: NormKind::Rms,
    act: Activation::Gelu,
};

/// Pieces of the towers of Qwen2.5-VL and Qwen3-VL.
pub(super) const TOWER: &[Piece] = &[
    ("encoder.layers", "blocks", None),
    ("embeddings.patch_embedding", "patch_embed.proj", None),
    ("embeddings.position_embedding", "pos_embed", None),
    ("layer_norm1", "norm1", None),
    ("layer_norm2", "norm2", None),
    ("self_attn.q_proj", "attn.qkv", third(0)),
    ("self_attn.k_proj", "attn.qkv", third(1)),
    ("self_attn.v_proj", "attn.qkv", third(2)),
    ("self_attn.out_proj", "attn.proj", None),
    ("mlp.fc1", "mlp.linear_fc1", None),
    ("mlp.fc2", "mlp.linear_fc2", None),
];

const NAMES: Names = &[
    Group {
        ours: "model.vision_model.",
        theirs: &["model.visual.", "visual."],
        pieces: TOWER,
    },
    Group {
        ours: "model.connector.",
        theirs: &["model.visual.merger.", "visual.merger."],
        pieces: &[
            ("norm", "ln_q", None),
            ("fc1", "mlp.0", None),
            ("fc2", "mlp.2", None),
        ],
    },
    TEXT,
];

/// Names of the decoder, in both families and all their ages.
pub(super) const TEXT: Group = Group {
    ours: "model.text_model.",
    theirs: &["model.language_model.", "language_model.model.", "model."],
    pieces: &[],
};

fn config(json: &Json) -> Result<VlmConfig> {
    let vision = json.part("vision_config")?;
    // In files of the time before there was a part for them, the decoder's keys stand beside the others.
    let text = match json.stated("text_config") {
        Some(_) => json.part("text_config")?,
        None => json.as_part("TextConfig"),
    };
    // Files of before transformers 5 may say it inside.
    let inner = text.stated("tie_word_embeddings").is_some() && text.flag("tie_word_embeddings")?;
    Ok(VlmConfig {
        model_type: json.text("model_type")?,
        image_token_id: json.token("image_token_id")?,
        scale_factor: vision.number("spatial_merge_size")?,
        connector: CONNECTOR,
        box_units: BoxUnits::Pixels,
        vision_config: self::vision(&vision)?,
        tie_word_embeddings: inner || json.flag("tie_word_embeddings")?,
        text_config: TextConfig {
            variant: text_variant(mrope(&text, false)?),
            ..decoder(&text, MROPE)?
        },
    })
}

/// What files of before transformers 5 call rotary positions of three axes.
pub(super) const MROPE: &[&str] = &["mrope"];

/// The sections of M-RoPE.
pub(super) fn mrope(text: &Json, interleaved: bool) -> Result<Mrope> {
    let rope = text.rope(MROPE)?;
    let sections = rope.numbers("mrope_section")?.try_into();
    Ok(Mrope {
        sections: sections.map_err(|_| rope.fail("mrope_section", "must be three numbers"))?,
        interleaved,
    })
}

fn vision(json: &Json) -> Result<VisionConfig> {
    three_channels(json, "in_channels")?;
    let patch = json.number("patch_size")?;
    let merge = json.number("spatial_merge_size")?;
    let window = json.number("window_size")?;
    let square = patch.saturating_mul(merge);
    // A square of nothing is refused with the other sizes.
    if window < square {
        return Err(json.fail(
            "window_size",
            "is smaller than one merged square of patches",
        ));
    }
    Ok(VisionConfig {
        hidden_size: json.number("hidden_size")?,
        intermediate_size: json.number("intermediate_size")?,
        num_hidden_layers: json.number("depth")?,
        num_attention_heads: json.number("num_heads")?,
        image_size: 0,
        patch_size: patch,
        // Written into the reference's code, not into the configuration.
        layer_norm_eps: 1e-6,
        hidden_act: json.choice("hidden_act")?,
        variant: VisionVariant {
            frames: json.number("temporal_patch_size")?,
            rotary: Some(json.rope_theta(&[])?),
            windows: Windows {
                side: window / square.max(1),
                full: json.numbers("fullatt_block_indexes")?,
            },
            merge,
            ..tower_variant()
        },
    })
}

/// Base of the tower's rotary positions in GGUF files, which do not name it.
const THETA: f64 = 10_000.0;

fn text_variant(mrope: Mrope) -> TextVariant {
    TextVariant {
        qkv_bias: true,
        mrope: Some(mrope),
        ..TextVariant::default()
    }
}

fn tower_variant() -> VisionVariant {
    VisionVariant {
        norm: NormKind::Rms,
        gated: true,
        patch_bias: false,
        frames: 2,
        positions: PatchPositions::Absent,
        rotary: Some(THETA),
        merge: 2,
        post_norm: false,
        ..VisionVariant::default()
    }
}

/// The projector's own keys. llama.cpp says which layers see the whole photo as every how manieth; a list of them, as
/// other projectors have it, is understood too.
fn tower(keys: &mut Keys<'_>, config: &mut VlmConfig) -> Result<()> {
    const PATTERN: &str = "clip.vision.n_wa_pattern";
    const LAYERS: &str = "clip.vision.wa_layer_indexes";
    const WINDOW: &str = "clip.vision.window_size";
    merge(keys, config)?;
    let vision = &mut config.vision_config;
    // Photos keep their shape; llama.cpp wants a number all the same, and takes this one.
    keys.number_or("clip.vision.image_size", &mut 560, 560)?;
    let square = vision.patch_size.saturating_mul(vision.variant.merge);
    let mut window = vision.variant.windows.side.saturating_mul(square);
    keys.number_or(WINDOW, &mut window, 112)?;
    vision.variant.windows.side = window
        .checked_div(square)
        .filter(|side| *side > 0)
        .ok_or_else(|| fail(WINDOW, "is smaller than one merged square of patches"))?;
    let depth = vision.num_hidden_layers;
    let every = |pattern: usize| -> Vec<usize> {
        let layers = (pattern.max(1) - 1..depth).step_by(pattern.max(1));
        layers.take(4096).collect()
    };
    let full = &mut vision.variant.windows.full;
    if let Keys::Write(_) = keys {
        let pattern = full.first().map_or(0, |first| first + 1);
        if *full == every(pattern) {
            return keys.number(PATTERN, &mut pattern.clone());
        }
        return keys.numbers(LAYERS, full).map(|_| ());
    }
    if let Some(listed) = keys.numbers(LAYERS, full)? {
        *full = listed;
        return Ok(());
    }
    let mut pattern = 0;
    keys.number(PATTERN, &mut pattern)?;
    if pattern == 0 {
        return Err(fail(PATTERN, "must be positive"));
    }
    *full = every(pattern);
    Ok(())
}

/// Patches that become one visual token, a side.
pub(super) fn merge(keys: &mut Keys<'_>, config: &mut VlmConfig) -> Result<()> {
    keys.number_or(
        "clip.vision.spatial_merge_size",
        &mut config.scale_factor,
        2,
    )?;
    config.vision_config.variant.merge = config.scale_factor;
    Ok(())
}
