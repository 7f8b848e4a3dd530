//! Llama and its likes, such as SmolLM2: a decoder without a tower, which reads text only.

use super::{Family, GgufFamily, Json, Reader, decoder, text_only};
use crate::Result;
use crate::model::config::{TextConfig, VlmConfig};
use crate::model::names::{Group, Names};
use crate::model::variants::TextVariant;

/// Its `model_type`.
pub(super) const MODEL_TYPE: &str = "llama";

pub(super) const FAMILY: Family = Family {
    model_types: &[(MODEL_TYPE, "LlamaConfig")],
    read: Reader::Vlm(config),
    names: NAMES,
    gguf: Some(GgufFamily {
        architecture: "llama",
        projector: None,
        image_token: None,
        // As in Idefics3, whose decoder this is.
        interleaved: true,
        counts_deepstack: false,
        names: &[],
        blank: || text_only(MODEL_TYPE, TextVariant::default()),
        tower: |_, _| Ok(()),
    }),
};

const NAMES: Names = &[Group {
    ours: "model.text_model.",
    theirs: &["model.", ""],
    pieces: &[],
}];

fn config(json: &Json) -> Result<VlmConfig> {
    Ok(VlmConfig {
        text_config: text(json)?,
        tie_word_embeddings: json.flag("tie_word_embeddings")?,
        ..text_only(MODEL_TYPE, TextVariant::default())
    })
}

/// The decoder of a `LlamaConfig`.
pub(super) fn text(json: &Json) -> Result<TextConfig> {
    let bias = json.flag("attention_bias")?;
    if json.flag("mlp_bias")? {
        return Err(json.fail("mlp_bias", "is not supported"));
    }
    Ok(TextConfig {
        variant: TextVariant {
            qkv_bias: bias,
            output_bias: bias,
            ..TextVariant::default()
        },
        ..decoder(json, &[])?
    })
}
