//! BLIP-2's matching model (`Blip2ForImageTextRetrieval`): a tower with a class token and a querying transformer.

use super::siglip::{tower, tower_of};
use super::{Family, Json, Reader};
use crate::Result;
use crate::model::config::{Activation, VisionConfig};
use crate::model::matcher_config::{MatcherConfig, QFormerConfig};
use crate::model::names::{Group, Names, third};
use crate::model::variants::VisionVariant;

pub(super) const FAMILY: Family = Family {
    model_types: &["blip-2"],
    read: Reader::Matcher(config),
    names: NAMES,
    gguf: None,
};

const NAMES: Names = &[
    Group {
        ours: "vision_model.",
        theirs: &["vision_model."],
        pieces: &[
            (
                "embeddings.position_embedding.weight",
                "embeddings.position_embedding",
                None,
            ),
            ("self_attn.q_proj", "self_attn.qkv", third(0)),
            ("self_attn.k_proj", "self_attn.qkv", third(1)),
            ("self_attn.v_proj", "self_attn.qkv", third(2)),
            ("self_attn.out_proj", "self_attn.projection", None),
        ],
    },
    Group {
        ours: "embeddings.",
        theirs: &["embeddings."],
        pieces: &[
            ("token_embedding", "word_embeddings", None),
            ("position_embedding", "position_embeddings", None),
        ],
    },
    Group {
        ours: "qformer.layers.",
        theirs: &["qformer.encoder.layer."],
        pieces: &[
            ("self_attn.q_proj", "attention.attention.query", None),
            ("self_attn.k_proj", "attention.attention.key", None),
            ("self_attn.v_proj", "attention.attention.value", None),
            ("self_attn.out_proj", "attention.output.dense", None),
            ("self_attn.norm", "attention.output.LayerNorm", None),
            ("cross_attn.q_proj", "crossattention.attention.query", None),
            ("cross_attn.k_proj", "crossattention.attention.key", None),
            ("cross_attn.v_proj", "crossattention.attention.value", None),
            ("cross_attn.out_proj", "crossattention.output.dense", None),
            ("cross_attn.norm", "crossattention.output.LayerNorm", None),
            ("queries.fc1", "intermediate_query.dense", None),
            ("queries.fc2", "output_query.dense", None),
            ("queries.norm", "output_query.LayerNorm", None),
            ("words.fc1", "intermediate.dense", None),
            ("words.fc2", "output.dense", None),
            ("words.norm", "output.LayerNorm", None),
        ],
    },
];

/// The class whose weights hold the heads of matching.
const CLASS: &str = "Blip2ForImageTextRetrieval";

fn config(json: &Json) -> Result<MatcherConfig> {
    let classes = json.get("architectures").and_then(|c| c.as_array());
    if classes.is_some_and(|classes| classes.iter().all(|class| class != CLASS)) {
        let problem = format!("must hold {CLASS}; BLIP-2 models that write texts are not read");
        return Err(json.fail("architectures", &problem));
    }
    let vision = json.part_or_empty("vision_config")?;
    let qformer = json.part_or_empty("qformer_config")?;
    if !qformer.flag_or("use_qformer_text_input", false)? {
        return Err(qformer.fail(
            "use_qformer_text_input",
            "must be true, or there is no layer for texts",
        ));
    }
    let usual = VisionConfig {
        patch_size: 14,
        variant: VisionVariant {
            qkv_bias: vision.flag_or("qkv_bias", true)?,
            class_token: true,
            ..VisionVariant::default()
        },
        ..tower_of([1408, 6144, 39, 16], Activation::Gelu, 1e-6)
    };
    let vision = tower(&vision, usual, false)?;
    Ok(MatcherConfig {
        model_type: json.text("model_type")?,
        qformer: QFormerConfig {
            hidden: qformer.number_or("hidden_size", 768)?,
            intermediate: qformer.number_or("intermediate_size", 3072)?,
            layers: qformer.number_or("num_hidden_layers", 12)?,
            heads: qformer.number_or("num_attention_heads", 12)?,
            // Whatever the file says, as in the reference.
            memory: vision.hidden_size,
            cross_every: qformer.number_or("cross_attention_frequency", 2)?,
            vocab: qformer.number_or("vocab_size", 30_522)?,
            longest: qformer.number_or("max_position_embeddings", 512)?,
            eps: qformer.real_or("layer_norm_eps", 1e-12)?,
            act: qformer.choice("hidden_act", Activation::Gelu)?,
        },
        vision,
        queries: json.number_or("num_query_tokens", 32)?,
        projection: json.number_or("image_text_hidden_size", 256)?,
    })
}
