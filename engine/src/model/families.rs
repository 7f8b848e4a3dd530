//! Model families: which one a `config.json` is of, and what it does differently. `README.md` beside the files says how to
//! add one.

mod blip2;
mod clip;
mod idefics3;
mod json;
mod qwen2_5_vl;
mod qwen3_vl;
mod siglip;

use self::json::Json;
use super::config::{Activation, TextConfig, VisionConfig, VlmConfig, refuse};
use super::dual_config::DualConfig;
use super::gguf_config::Keys;
use super::matcher_config::MatcherConfig;
use super::names::Names;
use super::variants::{BoxUnits, ConnectorKind, TextVariant, VisionVariant};
use crate::Result;

/// One family: how its configuration is read and what its tensors are called.
struct Family {
    /// The `model_type`s of its configurations.
    model_types: &'static [&'static str],
    /// Its configuration as ours.
    read: Reader,
    /// The names of its tensors in safetensors files.
    names: Names,
    /// What its GGUF files look like, if it has any.
    gguf: Option<GgufFamily>,
}

/// One family's GGUF files: a text model and a vision projector.
pub(super) struct GgufFamily {
    /// `general.architecture` of the text model.
    pub(super) architecture: &'static str,
    /// `clip.projector_type` of the projector.
    pub(super) projector: &'static str,
    /// The text of the token that marks the place of a visual token.
    pub(super) image_token: &'static str,
    /// Whether llama.cpp rotates neighbours, and its converter interleaves the rows for it.
    interleaved: bool,
    /// Whether the text model says how many of its layers DeepStack reaches.
    pub(super) counts_deepstack: bool,
    /// Names of the tensors beside those of [`super::gguf_layout::SHARED`].
    names: Names,
    /// What is the same in all models of the family; numbers are 0.
    pub(super) blank: fn() -> VlmConfig,
    /// Keys of the projector beside those of every tower.
    pub(super) tower: fn(&mut Keys<'_>, &mut VlmConfig) -> Result<()>,
}

/// What kind of model a family is, and how its configuration is read.
enum Reader {
    /// Photos and texts in, texts out.
    Vlm(fn(&Json) -> Result<VlmConfig>),
    /// Photos and texts in one space.
    Dual(fn(&Json) -> Result<DualConfig>),
    /// Photos and texts read together.
    Matcher(fn(&Json) -> Result<MatcherConfig>),
}

const FAMILIES: &[Family] = &[
    idefics3::FAMILY,
    qwen2_5_vl::FAMILY,
    qwen3_vl::FAMILY,
    siglip::FAMILY,
    clip::FAMILY,
    blip2::FAMILY,
];

/// Tensors that checkpoints carry and no model needs: buffers that are computed, not learned.
const BUFFERS: &[&str] = &["rotary_emb.inv_freq", "embeddings.position_ids"];

/// Reads the `config.json` of a vision-language model; [`VlmConfig::from_json`] also checks it.
pub(super) fn config(json: &str) -> Result<VlmConfig> {
    read(json, "vision-language model", |reader| match reader {
        Reader::Vlm(read) => Some(*read),
        _ => None,
    })
}

/// Reads the `config.json` of a dual encoder; [`DualConfig::from_json`] also checks it.
pub(super) fn dual(json: &str) -> Result<DualConfig> {
    read(json, "dual encoder", |reader| match reader {
        Reader::Dual(read) => Some(*read),
        _ => None,
    })
}

/// Reads the `config.json` of a matching model; [`MatcherConfig::from_json`] also checks it.
pub(super) fn matcher(json: &str) -> Result<MatcherConfig> {
    read(json, "matching model", |reader| match reader {
        Reader::Matcher(read) => Some(*read),
        _ => None,
    })
}

/// Reads the configuration of a family of the kind that `of_kind` picks.
fn read<T>(
    json: &str,
    kind: &str,
    of_kind: impl Fn(&Reader) -> Option<fn(&Json) -> Result<T>>,
) -> Result<T> {
    let json = Json::parse(json)?;
    let model_type = json.text("model_type")?;
    if let Some(read) = of(&model_type).and_then(|family| of_kind(&family.read)) {
        return read(&json);
    }
    let known: Vec<&str> = FAMILIES
        .iter()
        .filter(|family| of_kind(&family.read).is_some())
        .flat_map(|family| family.model_types)
        .copied()
        .collect();
    Err(refuse(
        "model_type",
        format!(
            "`{model_type}` is no {kind} read here; these are: {}",
            known.join(", ")
        ),
    ))
}

/// The names of the tensors of a family; ours for a type nobody knows.
pub fn names(model_type: &str) -> Names {
    of(model_type).map_or(&[], |family| family.names)
}

/// The GGUF files of a family.
pub(super) fn gguf(model_type: &str) -> Option<&'static GgufFamily> {
    of(model_type)?.gguf.as_ref()
}

/// The GGUF files of all families.
pub(super) fn gguf_families() -> impl Iterator<Item = &'static GgufFamily> {
    FAMILIES.iter().filter_map(|family| family.gguf.as_ref())
}

/// The names of the tensors in a family's GGUF files, and whether rotary rows are interleaved there.
pub(super) fn gguf_names(model_type: &str) -> (Names, bool) {
    gguf(model_type).map_or((&[], false), |gguf| (gguf.names, gguf.interleaved))
}

/// A configuration of which only what a family fixes is known.
fn blank(
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

/// What all decoders' configurations share; the variant is left to the family.
fn decoder(text: &Json, theta: f64) -> Result<TextConfig> {
    if text.flag_or("use_sliding_window", false)? {
        return Err(text.fail("use_sliding_window", "is not supported; set it to false"));
    }
    let heads = text.number("num_attention_heads")?;
    Ok(TextConfig {
        hidden_size: text.number("hidden_size")?,
        intermediate_size: text.number("intermediate_size")?,
        num_hidden_layers: text.number("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: text.number_or("num_key_value_heads", heads)?,
        head_dim: text
            .get("head_dim")
            .map(|_| text.number("head_dim"))
            .transpose()?,
        rms_norm_eps: text.real_or("rms_norm_eps", 1e-6)?,
        rope_theta: text.rope_theta(theta)?,
        vocab_size: text.number("vocab_size")?,
        max_position_embeddings: text.number_or("max_position_embeddings", 32_768)?,
        variant: TextVariant::default(),
    })
}

/// Whether a tensor nobody asked for may be passed over.
pub fn is_ignorable(name: &str) -> bool {
    BUFFERS.iter().any(|buffer| name.ends_with(buffer))
}

fn of(model_type: &str) -> Option<&'static Family> {
    FAMILIES
        .iter()
        .find(|family| family.model_types.contains(&model_type))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod dual_tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::Value;

    use super::*;

    const QWEN: &str = include_str!("../../../tests/fixtures/checkpoints/qwen2_5_vl/config.json");

    #[test]
    fn the_outer_part_decides_whether_the_head_is_tied() {
        let tied = |outer: Value, inner: Value| {
            let mut json: Value = serde_json::from_str(QWEN).unwrap();
            json["tie_word_embeddings"] = outer;
            json["text_config"]["tie_word_embeddings"] = inner;
            config(&json.to_string()).unwrap().tie_word_embeddings
        };
        for said in [true, false] {
            assert_eq!(tied(said.into(), (!said).into()), said);
            assert_eq!(tied(Value::Null, said.into()), said);
        }
        assert!(!tied(Value::Null, Value::Null));
    }
}
