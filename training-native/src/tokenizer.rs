//! Trains the byte-level BPE tokenizer of the embedded model and writes it with its chat template.

use anyhow::{Result, anyhow};
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper,
    PreTokenizerWrapper, SplitDelimiterBehavior, TokenizerBuilder, models::TrainerWrapper,
};

/// Special tokens in the order of their ids; SmolVLM's names.
pub const SPECIALS: [&str; 6] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<end_of_utterance>",
    "<fake_token_around_image>",
    "<global-img>",
    "<image>",
];

/// SmolVLM's chat layout.
pub const CHAT_TEMPLATE: &str = "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}\
{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}\
{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}\
{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}\
{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

/// Trains on `texts` and returns the JSON of `tokenizer.json`.
///
/// The brackets of names are tokens of their own, so that a name is spelled with the same tokens
/// wherever it stands and a decoder can be held to the names it was given. So are digits: numbers
/// are boxes here, and their first digit, which says most of where a thing is, should not hide in a
/// hundred different tokens.
///
/// # Errors
/// When training fails.
pub fn train(texts: impl Iterator<Item = String> + Send, vocab: usize) -> Result<String> {
    let brackets = Split::new(
        SplitPattern::Regex(" ?[<>0-9]".into()),
        SplitDelimiterBehavior::Isolated,
        false,
    )
    .map_err(|e| anyhow!("{e}"))?;
    let bytes = ByteLevel::new(false, true, true);
    let pre: PreTokenizerWrapper = Sequence::new(vec![brackets.into(), bytes.into()]).into();
    let mut tokenizer = TokenizerBuilder::<
        ModelWrapper,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    >::new()
    .with_model(BPE::default().into())
    .with_normalizer(None)
    .with_pre_tokenizer(Some(pre))
    .with_post_processor(None)
    .with_decoder(Some(bytes.into()))
    .build()
    .map_err(|e| anyhow!("{e}"))?;
    let specials: Vec<AddedToken> = SPECIALS
        .iter()
        .map(|text| AddedToken::from(*text, true))
        .collect();
    let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(vocab)
        .min_frequency(2)
        .special_tokens(specials)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build()
        .into();
    tokenizer
        .train(&mut trainer, texts)
        .map_err(|e| anyhow!("{e}"))?;
    tokenizer.to_string(true).map_err(|e| anyhow!("{e}"))
}

/// `tokenizer_config.json` for the specials above.
pub fn config() -> serde_json::Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<end_of_utterance>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 1024
    })
}
