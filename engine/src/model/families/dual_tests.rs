//! Configurations of dual encoders and of the matching model, as the hub has them and as nobody should.

use serde_json::{Value, json};

use crate::model::config::{Activation, VlmConfig};
use crate::model::dual_config::DualConfig;
use crate::model::matcher_config::MatcherConfig;
use crate::model::names::stored;
use crate::model::variants::{DualVariant, PatchPositions, PhotoPooling, TextPooling};

fn dual(config: &Value) -> DualConfig {
    DualConfig::from_json(&config.to_string()).unwrap()
}

fn refused(config: &Value) -> String {
    DualConfig::from_json(&config.to_string())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_silent_siglip_is_the_base_model() {
    let config = dual(&json!({
        "model_type": "siglip",
        "text_config": {"model_type": "siglip_text_model"},
        "vision_config": {"model_type": "siglip_vision_model"},
    }));
    let (vision, text) = (&config.vision_config, &config.text_config);
    assert_eq!((vision.hidden_size, vision.image_size), (768, 224));
    assert_eq!((vision.patch_size, vision.num_hidden_layers), (16, 12));
    assert_eq!(vision.hidden_act, Activation::GeluPytorchTanh);
    assert_eq!(
        (text.vocab_size, text.max_position_embeddings),
        (32_000, 64)
    );
    assert_eq!(config.width(), 768);
    assert_eq!(config, dual(&json!({"model_type": "siglip"})));
}

#[test]
fn siglip2_takes_any_shape_unless_it_has_a_size() {
    let config = dual(&json!({"model_type": "siglip2"}));
    let variant = &config.vision_config.variant;
    assert_eq!(variant.positions, PatchPositions::Smoothed { side: 16 });
    assert!(variant.flat_kernel && config.vision_config.image_size == 0);
    let sized = json!({"model_type": "siglip2", "vision_config": {"image_size": 256}});
    let sized = dual(&sized).vision_config;
    assert_eq!((sized.image_size, sized.variant.flat_kernel), (256, false));
    let uneven = json!({"model_type": "siglip2", "vision_config": {"num_patches": 250}});
    assert!(refused(&uneven).contains("vision_config.num_patches"));
}

#[test]
fn a_silent_clip_is_the_base_model() {
    let config = dual(&json!({"model_type": "clip"}));
    let (vision, text) = (&config.vision_config, &config.text_config);
    assert_eq!((vision.hidden_size, vision.patch_size), (768, 32));
    assert!(vision.variant.class_token && vision.variant.pre_norm && !vision.variant.patch_bias);
    assert_eq!((text.hidden_size, text.num_attention_heads), (512, 8));
    assert_eq!(
        (text.vocab_size, text.max_position_embeddings),
        (49_408, 77)
    );
    assert_eq!(text.hidden_act, Activation::QuickGelu);
    assert_eq!((text.layer_norm_eps, vision.layer_norm_eps), (1e-5, 1e-5));
    assert_eq!(config.width(), 512);
    let variant = DualVariant {
        photos: PhotoPooling::ClassToken,
        texts: TextPooling::First(49_407),
        causal: true,
        head_bias: false,
        logit_bias: false,
    };
    assert_eq!(config.variant, variant);
}

#[test]
fn old_clips_name_a_wrong_end_and_their_keys_twice() {
    let config = dual(&json!({
        "model_type": "clip",
        "projection_dim": 768,
        "text_config": {"eos_token_id": 2, "hidden_size": 512},
        "text_config_dict": null,
        "vision_config": {"hidden_size": 640},
        "vision_config_dict": {"hidden_size": 1024, "num_attention_heads": 16, "patch_size": 14},
    }));
    assert_eq!(config.variant.texts, TextPooling::Highest);
    assert_eq!(config.vision_config.hidden_size, 1024);
    assert_eq!(config.width(), 768);
}

#[test]
fn ours_is_read_as_it_was_written() {
    let config = json!({
        "model_type": "siglip",
        "vision_config": {
            "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4,
            "image_size": 96, "patch_size": 8, "layer_norm_eps": 1e-6, "hidden_act": "gelu",
        },
        "text_config": {
            "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
            "vocab_size": 1024, "max_position_embeddings": 32, "layer_norm_eps": 1e-6, "hidden_act": "gelu",
            "projection_size": null,
        },
    });
    let read = dual(&config);
    assert_eq!(read.vision_config.hidden_act, Activation::Gelu);
    assert_eq!(serde_json::to_value(&read).unwrap(), config);
}

#[test]
fn configurations_that_cannot_be_are_refused_by_name() {
    let two_power_60 = 1_u64 << 60;
    let cases = [
        (
            json!({"vision_config": {"hidden_size": 100}}),
            "num_attention_heads",
        ),
        (
            json!({"vision_config": {"hidden_size": two_power_60}}),
            "hidden_size",
        ),
        (
            json!({"vision_config": {"image_size": [224, 224]}}),
            "image_size",
        ),
        (json!({"vision_config": {"patch_size": 0}}), "patch_size"),
        (json!({"vision_config": {"patch_size": 225}}), "patch_size"),
        (
            json!({"vision_config": {"num_channels": 1}}),
            "num_channels",
        ),
        (
            json!({"vision_config": {"vision_use_head": false}}),
            "vision_use_head",
        ),
        (json!({"vision_config": 7}), "vision_config"),
        (json!({"text_config": {"vocab_size": 0}}), "vocab_size"),
        (
            json!({"text_config": {"num_hidden_layers": two_power_60}}),
            "num_hidden_layers",
        ),
        (json!({"text_config": {"hidden_act": "tanh"}}), "hidden_act"),
        (
            json!({"text_config": {"projection_size": 512}}),
            "projection_size",
        ),
        (
            json!({"text_config": {"max_position_embeddings": -1}}),
            "max_position_embeddings",
        ),
    ];
    for (mut config, key) in cases {
        config["model_type"] = json!("siglip");
        assert!(
            refused(&config).contains(key),
            "{config}: {}",
            refused(&config)
        );
    }
    let odd_width = json!({"model_type": "clip", "projection_dim": 0});
    assert!(refused(&odd_width).contains("projection_dim"));
}

#[test]
fn kinds_are_not_mixed_up() {
    let blip2 = json!({
        "model_type": "blip-2",
        "qformer_config": {"use_qformer_text_input": true, "encoder_hidden_size": 7},
    });
    let config = MatcherConfig::from_json(&blip2.to_string()).unwrap();
    assert_eq!((config.queries, config.projection), (32, 256));
    assert_eq!(
        (config.qformer.memory, config.vision.patch_size),
        (1408, 14)
    );
    let error = refused(&blip2);
    assert!(
        error.contains("`blip-2` is no dual encoder") && error.contains("siglip"),
        "{error}"
    );
    assert!(VlmConfig::from_json(r#"{"model_type": "clip"}"#).is_err());
    for (key, value) in [
        ("architectures", json!(["Blip2ForConditionalGeneration"])),
        ("qformer_config", json!({})),
        ("num_query_tokens", json!(0)),
        (
            "qformer_config",
            json!({"use_qformer_text_input": true, "cross_attention_frequency": 0}),
        ),
        (
            "qformer_config",
            json!({"use_qformer_text_input": true, "num_attention_heads": 7}),
        ),
    ] {
        let mut config = blip2.clone();
        config[key] = value;
        let error = MatcherConfig::from_json(&config.to_string()).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn names_are_those_of_checkpoints() {
    let name = |model_type: &str, key: &str| stored(super::names(model_type), key).remove(0).name;
    assert_eq!(
        name("clip", "vision_model.pre_layernorm.bias"),
        "vision_model.pre_layrnorm.bias"
    );
    assert_eq!(
        name("clip", "text_model.head.weight"),
        "text_projection.weight"
    );
    assert_eq!(
        name("clip", "text_model.final_layer_norm.weight"),
        "text_model.final_layer_norm.weight"
    );
    let cross = "qformer.layers.2.cross_attn.q_proj.weight";
    assert_eq!(
        name("blip-2", cross),
        "qformer.encoder.layer.2.crossattention.attention.query.weight"
    );
    let own = "qformer.layers.0.self_attn.out_proj.bias";
    assert_eq!(
        name("blip-2", own),
        "qformer.encoder.layer.0.attention.output.dense.bias"
    );
}
