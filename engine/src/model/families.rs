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
use super::config::{VlmConfig, refuse};
use super::dual_config::DualConfig;
use super::matcher_config::MatcherConfig;
use super::names::Names;
use crate::Result;

/// One family: how its configuration is read and what its tensors are called.
struct Family {
    /// The `model_type`s of its configurations.
    model_types: &'static [&'static str],
    /// Its configuration as ours.
    read: Reader,
    /// The names of its tensors in safetensors files.
    names: Names,
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
