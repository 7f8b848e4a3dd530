//! Model families: which one a `config.json` is of, and what it does differently. `README.md` beside the files says how to
//! add one.

mod blip2;
mod clip;
mod dinov2;
mod efficientnet_lite;
mod idefics3;
mod json;
mod llama;
mod quantised;
mod qwen2_5_vl;
mod qwen3_vl;
mod shared;
mod siglip;

use self::json::Json;
pub use self::quantised::refuse_quantised;
use self::shared::{blank, decoder, text_only, three_channels};
use super::config::{VlmConfig, refuse};
use super::dual_config::DualConfig;
use super::feature_config::FeatureConfig;
use super::gguf_keys::Keys;
use super::matcher_config::MatcherConfig;
use super::names::Names;
use crate::Result;
use crate::class_defaults::Taken;

/// One family: how its configuration is read and what its tensors are called.
struct Family {
    /// The `model_type`s of its configurations, and the class in `transformers` that completes each.
    model_types: &'static [(&'static str, &'static str)],
    /// Its configuration as ours.
    read: Reader,
    /// The names of its tensors in safetensors files.
    names: Names,
    /// What its GGUF files look like, if it has any.
    gguf: Option<GgufFamily>,
}

/// One family's GGUF files: a text model and, unless it reads text only, a vision projector.
pub(super) struct GgufFamily {
    /// `general.architecture` of the text model.
    pub(super) architecture: &'static str,
    /// `clip.projector_type` of the projector, if there is one.
    pub(super) projector: Option<&'static str>,
    /// The text of the token that marks the place of a visual token, if there are any.
    pub(super) image_token: Option<&'static str>,
    /// Whether llama.cpp rotates neighbours, and its converter interleaves the rows for it.
    interleaved: bool,
    /// Whether the text model says how many of its layers DeepStack reaches.
    pub(super) counts_deepstack: bool,
    /// Names of the tensors beside those of [`super::gguf_names::SHARED`].
    names: Names,
    /// What is the same in all models of the family; numbers are 0.
    pub(super) blank: fn() -> VlmConfig,
    /// Keys of the projector beside those of every tower.
    pub(super) tower: fn(&mut Keys<'_>, &mut VlmConfig) -> Result<()>,
}

/// What kind of model a family is, and how its configuration is read.
enum Reader {
    /// Texts in, and photos where there is a tower; texts out.
    Vlm(fn(&Json) -> Result<VlmConfig>),
    /// Photos and texts in one space.
    Dual(fn(&Json) -> Result<DualConfig>),
    /// Photos and texts read together.
    Matcher(fn(&Json) -> Result<MatcherConfig>),
    /// Photos in, maps of features out.
    Features(fn(&Json) -> Result<FeatureConfig>),
}

const FAMILIES: &[Family] = &[
    idefics3::FAMILY,
    qwen2_5_vl::FAMILY,
    qwen3_vl::FAMILY,
    llama::FAMILY,
    siglip::FAMILY,
    clip::FAMILY,
    blip2::FAMILY,
    efficientnet_lite::FAMILY,
    dinov2::FAMILY,
];

/// Tensors that checkpoints carry and no model needs: buffers that are computed, not learned, and what stands for hidden patches
/// in the training of DINOv2.
const BUFFERS: &[&str] = &[
    "rotary_emb.inv_freq",
    "embeddings.position_ids",
    "embeddings.mask_token",
];

impl VlmConfig {
    /// Reads and checks a `config.json` of any family; what it leaves out is as its class in `transformers` has it.
    ///
    /// # Errors
    /// [`crate::Error::Config`] naming the key that is missing or cannot be.
    pub fn from_json(json: &str) -> Result<Self> {
        let config = read(json, "model that writes", |reader| match reader {
            Reader::Vlm(read) => Some(*read),
            _ => None,
        })?;
        config.check()?;
        Ok(config)
    }
}

impl DualConfig {
    /// Reads and checks a `config.json` of any family of dual encoders; what it leaves out is as its class in
    /// `transformers` has it.
    ///
    /// # Errors
    /// [`crate::Error::Config`] naming the key that is missing or cannot be.
    pub fn from_json(json: &str) -> Result<Self> {
        let config = read(json, "dual encoder", |reader| match reader {
            Reader::Dual(read) => Some(*read),
            _ => None,
        })?;
        config.check()?;
        Ok(config)
    }
}

impl MatcherConfig {
    /// Reads and checks the `config.json` of a matching model; what it leaves out is as its class in `transformers` has it.
    ///
    /// # Errors
    /// [`crate::Error::Config`] naming the key that is missing or cannot be.
    pub fn from_json(json: &str) -> Result<Self> {
        let config = read(json, "matching model", |reader| match reader {
            Reader::Matcher(read) => Some(*read),
            _ => None,
        })?;
        config.check()?;
        Ok(config)
    }
}

impl FeatureConfig {
    /// Reads and checks the `config.json` of any family of photo encoders; what it leaves out is as its class in
    /// `transformers` has it, where there is one.
    ///
    /// # Errors
    /// [`crate::Error::Config`] naming the key that is missing or cannot be.
    pub fn from_json(json: &str) -> Result<Self> {
        let config = read(json, "photo encoder", |reader| match reader {
            Reader::Features(read) => Some(*read),
            _ => None,
        })?;
        config.check()?;
        Ok(config)
    }
}

/// Whether a `config.json` is of a family whose models read text only, so that nothing need say how photos are prepared.
///
/// # Errors
/// [`crate::Error::Config`] when it is no JSON or names no family.
pub fn reads_text_only(json: &str) -> Result<bool> {
    Ok(Json::parse(json)?.text("model_type")? == llama::MODEL_TYPE)
}

/// Whether a `config.json` is of a family whose models make maps of features.
///
/// # Errors
/// [`crate::Error::Config`] when it is no JSON or names no family.
pub fn makes_features(json: &str) -> Result<bool> {
    let model_type = Json::parse(json)?.text("model_type")?;
    let family = of(&model_type);
    Ok(family.is_some_and(|(family, _)| matches!(family.read, Reader::Features(_))))
}

/// Reads the configuration of a family of the kind that `of_kind` picks.
fn read<T>(
    json: &str,
    kind: &str,
    of_kind: impl Fn(&Reader) -> Option<fn(&Json) -> Result<T>>,
) -> Result<T> {
    let json = Json::parse(json)?;
    let model_type = json.text("model_type")?;
    if let Some((family, class)) = of(&model_type)
        && let Some(read) = of_kind(&family.read)
    {
        return read(&json.of_class(class));
    }
    let known: Vec<&str> = FAMILIES
        .iter()
        .filter(|family| of_kind(&family.read).is_some())
        .flat_map(|family| family.model_types)
        .map(|(model_type, _)| *model_type)
        .collect();
    Err(refuse(
        "model_type",
        format!(
            "`{model_type}` is no {kind} read here; these are: {}",
            known.join(", ")
        ),
    ))
}

/// What a `config.json` of any family and kind leaves to its classes in `transformers`; whether the sizes fit each other is
/// not asked.
///
/// # Errors
/// As [`VlmConfig::from_json`].
pub fn defaults_taken(json: &str) -> Result<Vec<Taken>> {
    let json = Json::parse(json)?;
    let model_type = json.text("model_type")?;
    let Some((family, class)) = of(&model_type) else {
        return Err(refuse(
            "model_type",
            format!("`{model_type}` is not read here"),
        ));
    };
    let json = json.of_class(class);
    match family.read {
        Reader::Vlm(read) => drop(read(&json)?),
        Reader::Dual(read) => drop(read(&json)?),
        Reader::Matcher(read) => drop(read(&json)?),
        Reader::Features(read) => drop(read(&json)?),
    }
    Ok(json.taken())
}

/// The names of the tensors of a family; ours for a type nobody knows.
pub fn names(model_type: &str) -> Names {
    of(model_type).map_or(&[], |(family, _)| family.names)
}

/// The GGUF files of a family.
pub(super) fn gguf(model_type: &str) -> Option<&'static GgufFamily> {
    of(model_type)?.0.gguf.as_ref()
}

/// The GGUF files of all families.
pub(super) fn gguf_families() -> impl Iterator<Item = &'static GgufFamily> {
    FAMILIES.iter().filter_map(|family| family.gguf.as_ref())
}

/// The names of the tensors in a family's GGUF files, and whether rotary rows are interleaved there.
pub(super) fn gguf_names(model_type: &str) -> (Names, bool) {
    gguf(model_type).map_or((&[], false), |gguf| (gguf.names, gguf.interleaved))
}

/// Whether a tensor nobody asked for may be passed over.
pub fn is_ignorable(name: &str) -> bool {
    BUFFERS.iter().any(|buffer| name.ends_with(buffer))
}

/// The family of a `model_type`, and the class that completes its configurations.
fn of(model_type: &str) -> Option<(&'static Family, &'static str)> {
    FAMILIES.iter().find_map(|family| {
        let mut types = family.model_types.iter();
        let (_, class) = types.find(|(known, _)| *known == model_type)?;
        Some((family, *class))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod dual_tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const QWEN: &str = include_str!("../../../tests/fixtures/checkpoints/qwen2_5_vl/config.json");
    const QWEN3: &str = include_str!("../../../tests/fixtures/checkpoints/qwen3_vl/config.json");
    const IDEFICS3: &str = include_str!("../../../tests/fixtures/checkpoints/idefics3/config.json");

    #[test]
    fn either_part_of_qwen2_5_vl_may_tie_the_head_and_only_the_outer_one_elsewhere() {
        let tied = |json: &str, outer: Value, inner: Value| {
            let mut json: Value = serde_json::from_str(json).unwrap();
            json["tie_word_embeddings"] = outer;
            json["text_config"]["tie_word_embeddings"] = inner;
            let config = VlmConfig::from_json(&json.to_string());
            config.unwrap().tie_word_embeddings
        };
        for outer in [Value::Null, true.into(), false.into()] {
            for inner in [Value::Null, true.into(), false.into()] {
                let said = outer == true;
                assert_eq!(
                    tied(QWEN, outer.clone(), inner.clone()),
                    said || inner == true
                );
                for json in [QWEN3, IDEFICS3] {
                    assert_eq!(tied(json, outer.clone(), inner.clone()), said);
                }
            }
        }
    }

    /// What would be silently wrong if it were passed over.
    #[test]
    fn what_the_model_does_not_do_is_refused() {
        for (json, pointer, value, told) in [
            (
                IDEFICS3,
                "/text_config/hidden_act",
                json!("gelu"),
                "hidden_act",
            ),
            (
                IDEFICS3,
                "/text_config/model_type",
                json!("mistral"),
                "mistral",
            ),
            (
                IDEFICS3,
                "/text_config/rope_scaling",
                json!({"type": "mrope"}),
                "mrope",
            ),
            (IDEFICS3, "/text_config/mlp_bias", json!(true), "mlp_bias"),
            (
                IDEFICS3,
                "/vision_config/num_channels",
                json!(1),
                "num_channels",
            ),
            (QWEN, "/vision_config/in_channels", json!(4), "in_channels"),
            (
                QWEN,
                "/text_config/rope_parameters/partial_rotary_factor",
                json!(0.5),
                "partial_rotary_factor",
            ),
            (
                QWEN,
                "/text_config/use_sliding_window",
                json!(true),
                "use_sliding_window",
            ),
            (
                QWEN3,
                "/vision_config/rope_parameters/rope_type",
                json!("yarn"),
                "yarn",
            ),
        ] {
            let mut json: Value = serde_json::from_str(json).unwrap();
            let (part, key) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(part).unwrap()[key] = value;
            let error = VlmConfig::from_json(&json.to_string()).unwrap_err();
            assert!(error.to_string().contains(told), "{pointer}: {error}");
        }
    }
}
