//! DINOv2 (Oquab et al., arXiv 2304.07193), with and without registers: a tower whose patches are features of what they show.

use super::{Family, Json, Reader, three_channels};
use crate::Result;
use crate::model::config::VisionConfig;
use crate::model::feature_config::FeatureConfig;
use crate::model::names::{Group, Names, half};
use crate::model::variants::{Activation, PatchPositions, VisionVariant};

pub(super) const FAMILY: Family = Family {
    model_types: &[
        ("dinov2", "Dinov2Config"),
        (WITH_REGISTERS, "Dinov2WithRegistersConfig"),
    ],
    read: Reader::Features(config),
    names: NAMES,
    gguf: None,
};

const WITH_REGISTERS: &str = "dinov2_with_registers";

const NAMES: Names = &[Group {
    ours: "vision_model.",
    theirs: &[""],
    pieces: &[
        ("patch_embedding", "patch_embeddings.projection", None),
        ("class_embedding", "cls_token", None),
        ("position_embedding.weight", "position_embeddings", None),
        ("encoder.layers", "encoder.layer", None),
        ("layer_norm1", "norm1", None),
        ("layer_norm2", "norm2", None),
        ("self_attn.q_proj", "attention.attention.query", None),
        ("self_attn.k_proj", "attention.attention.key", None),
        ("self_attn.v_proj", "attention.attention.value", None),
        ("self_attn.out_proj", "attention.output.dense", None),
        ("mlp.gate_proj", "mlp.weights_in", half(0)),
        ("mlp.up_proj", "mlp.weights_in", half(1)),
        ("mlp.down_proj", "mlp.weights_out", None),
        ("post_layernorm", "layernorm", None),
    ],
}];

/// The tower; what concerns training alone (drop path, masks, the first value of layer scales) is passed over.
fn config(json: &Json) -> Result<FeatureConfig> {
    let model_type = json.text("model_type")?;
    let has_registers = model_type == WITH_REGISTERS;
    three_channels(json, "num_channels")?;
    let hidden_size = json.number("hidden_size")?;
    let wide = hidden_size.saturating_mul(json.number("mlp_ratio")?);
    let gated = json.flag("use_swiglu_ffn")?;
    let vision = VisionConfig {
        hidden_size,
        intermediate_size: match gated {
            // As many parameters as two layers would have, in a multiple of eight.
            true => (wide.saturating_mul(2) / 3).next_multiple_of(8),
            false => wide,
        },
        num_hidden_layers: json.number("num_hidden_layers")?,
        num_attention_heads: json.number("num_attention_heads")?,
        image_size: json.number("image_size")?,
        patch_size: json.number("patch_size")?,
        layer_norm_eps: json.real("layer_norm_eps")?,
        hidden_act: match (gated, json.choice("hidden_act")?) {
            // The gate has one of its own, whatever the file says.
            (true, _) => Activation::Silu,
            (false, act) => act,
        },
        variant: VisionVariant {
            gated,
            qkv_bias: json.flag("qkv_bias")?,
            class_token: true,
            registers: match has_registers {
                true => json.number("num_register_tokens")?,
                false => 0,
            },
            positions: match has_registers {
                true => PatchPositions::LearnedSmoothed,
                false => PatchPositions::Learned,
            },
            layer_scale: true,
            ..VisionVariant::default()
        },
    };
    Ok(FeatureConfig::Transformer { model_type, vision })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::families;
    use crate::model::names::stored;

    fn read(config: &Value) -> VisionConfig {
        match FeatureConfig::from_json(&config.to_string()).unwrap() {
            FeatureConfig::Transformer { vision, .. } => vision,
            FeatureConfig::Convolutional(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_giant_has_the_published_sizes() {
        let giant = read(&json!({
            "model_type": "dinov2", "hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24,
            "use_swiglu_ffn": true, "image_size": 518, "patch_size": 14
        }));
        assert_eq!((giant.intermediate_size, giant.num_patches()), (4096, 1369));
        assert_eq!(giant.hidden_act, Activation::Silu);
        let base = read(
            &json!({"model_type": "dinov2_with_registers", "image_size": 518, "patch_size": 14}),
        );
        assert_eq!((base.intermediate_size, base.variant.registers), (3072, 4));
        assert_eq!(base.variant.positions, PatchPositions::LearnedSmoothed);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_own_key() {
        for (key, value) in [
            ("num_attention_heads", json!(7)),
            ("hidden_act", json!("mish")),
            ("mlp_ratio", json!(0)),
            ("mlp_ratio", json!(u64::MAX)),
            ("patch_size", json!([14, 14])),
            ("patch_size", json!(225)),
            ("image_size", json!(0)),
            ("num_channels", json!(1)),
            ("num_register_tokens", json!(1u64 << 40)),
            ("num_hidden_layers", json!(-1)),
        ] {
            let mut config = json!({"model_type": "dinov2_with_registers"});
            config[key] = value;
            let error = FeatureConfig::from_json(&config.to_string()).unwrap_err();
            let told = error.to_string();
            assert!(
                told.contains(key) && !told.contains("vision_config"),
                "{told}"
            );
        }
    }

    #[test]
    fn names_are_those_of_checkpoints() {
        let names = families::names("dinov2");
        let place = |key: &str| stored(names, &format!("vision_model.{key}")).remove(0);
        assert_eq!(
            place("embeddings.patch_embedding.weight").name,
            "embeddings.patch_embeddings.projection.weight"
        );
        assert_eq!(
            place("embeddings.position_embedding.weight").name,
            "embeddings.position_embeddings"
        );
        let up = place("encoder.layers.3.mlp.up_proj.bias");
        assert_eq!(
            (up.name.as_str(), up.part),
            ("encoder.layer.3.mlp.weights_in.bias", half(1))
        );
        assert_eq!(
            place("encoder.layers.3.layer_scale1.lambda1").name,
            "encoder.layer.3.layer_scale1.lambda1"
        );
    }
}
