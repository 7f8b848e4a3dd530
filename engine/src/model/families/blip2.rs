//! BLIP-2's matching model (`Blip2ForImageTextRetrieval`): a tower with a class token and a querying transformer.

use super::siglip::tower;
use super::{Family, Json, Reader, three_channels};
use crate::Result;
use crate::model::matcher_config::{MatcherConfig, QFormerConfig};
use crate::model::names::{Group, Names, third};
use crate::model::variants::VisionVariant;

pub(super) const FAMILY: Family = Family {
    model_types: &[("blip-2", "Blip2Config")],
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
    let classes = json.stated("architectures").and_then(|c| c.as_array());
    if classes.is_some_and(|classes| classes.iter().all(|class| class != CLASS)) {
        let problem = format!("must hold {CLASS}; BLIP-2 models that write texts are not read");
        return Err(json.fail("architectures", &problem));
    }
    let vision = json.part("vision_config")?;
    let qformer = json.part("qformer_config")?;
    if !qformer.flag("use_qformer_text_input")? {
        return Err(qformer.fail(
            "use_qformer_text_input",
            "must be true, or there is no layer for texts",
        ));
    }
    // The class has no key for channels.
    if vision.stated("num_channels").is_some() {
        three_channels(&vision, "num_channels")?;
    }
    let variant = VisionVariant {
        qkv_bias: vision.flag("qkv_bias")?,
        class_token: true,
        ..VisionVariant::default()
    };
    let vision = tower(&vision, variant, false)?;
    Ok(MatcherConfig {
        model_type: json.text("model_type")?,
        qformer: QFormerConfig {
            hidden: qformer.number("hidden_size")?,
            intermediate: qformer.number("intermediate_size")?,
            layers: qformer.number("num_hidden_layers")?,
            heads: qformer.number("num_attention_heads")?,
            // Whatever the file says, as in the reference.
            memory: vision.hidden_size,
            cross_every: qformer.number("cross_attention_frequency")?,
            vocab: qformer.number("vocab_size")?,
            longest: qformer.number("max_position_embeddings")?,
            eps: qformer.real("layer_norm_eps")?,
            act: qformer.choice("hidden_act")?,
        },
        vision,
        queries: json.number("num_query_tokens")?,
        projection: json.number("image_text_hidden_size")?,
    })
}
