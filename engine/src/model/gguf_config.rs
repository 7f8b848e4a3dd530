//! A model's configuration in the metadata of its GGUF files: llama.cpp's keys of every decoder and tower, read and written.

use super::config::{TextConfig, VisionConfig, VlmConfig};
use super::families::{self, GgufFamily};
use super::gguf_keys::{Keys, decimal, fail};
use crate::weights::{Metadata, Value, Weights};
use crate::{Error, Result};

/// Says what a file holds.
pub const ARCHITECTURE: &str = "general.architecture";
/// The architecture of vision projector files.
pub const PROJECTOR: &str = "clip";
const PROJECTOR_TYPE: &str = "clip.projector_type";
/// The token texts; their number is that of the vocabulary.
const TOKENS: &str = "tokenizer.ggml.tokens";

/// Says of a tensor whether it is there, by GGUF's name.
pub type Has<'a> = dyn Fn(&str) -> bool + 'a;

impl VlmConfig {
    /// Reads the configuration of a text model, and of its vision projector where there is one, out of the files' metadata.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key that is missing or cannot be; [`Error::Weights`] when the text model is missing.
    pub fn from_gguf(weights: &Weights) -> Result<Self> {
        let (text, projector) = pair(weights)?;
        // What is there in a type that is not read is there: taking it will say so.
        let has = |name: &str| weights.mentions(name);
        let rows = weights
            .find("token_embd.weight")
            .and_then(|(_, tensor)| tensor.shape.first().copied());
        from_metadata(text, projector, &has, rows)
    }
}

/// The metadata of the text model, and of the vision projector where there is one.
///
/// # Errors
/// [`Error::Weights`] when the text model is not there.
pub fn pair(weights: &Weights) -> Result<(&Metadata, Option<&Metadata>)> {
    let of = |projector: bool| {
        let metadata = weights.files().iter().map(|file| file.metadata());
        let mut described = metadata.filter(|metadata| metadata.str(ARCHITECTURE).is_some());
        described.find(|metadata| (metadata.str(ARCHITECTURE) == Some(PROJECTOR)) == projector)
    };
    let text = of(false).ok_or_else(|| Error::Weights {
        file: "GGUF".into(),
        place: ARCHITECTURE.into(),
        problem: "no file with the text model is there; a model that sees photos is a text model and its mmproj file"
            .into(),
    })?;
    Ok((text, of(true)))
}

/// Reads a configuration. `rows` is the number of rows of the embedding matrix, where it is known.
///
/// # Errors
/// As [`VlmConfig::from_gguf`].
pub fn from_metadata(
    text: &Metadata,
    projector: Option<&Metadata>,
    has: &Has<'_>,
    rows: Option<usize>,
) -> Result<VlmConfig> {
    let family = family(text, projector)?;
    let mut config = (family.blank)();
    exchange(
        family,
        &mut Keys::Read(text),
        projector.map(Keys::Read).as_mut(),
        &mut config,
    )?;
    let tokens = text.strings(TOKENS).unwrap_or_default();
    let told = text.u64(&format!("{}.vocab_size", family.architecture));
    config.text_config.vocab_size = rows
        .or_else(|| told.and_then(|told| usize::try_from(told).ok()))
        .unwrap_or(tokens.len());
    if let Some(image_token) = family.image_token {
        let image = tokens.iter().position(|token| token == image_token);
        config.image_token_id = image
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| fail(TOKENS, &format!("has no `{image_token}`")))?;
    }
    config.tie_word_embeddings = !has("output.weight");
    config.text_config.variant.qkv_bias = has("blk.0.attn_q.bias");
    config.text_config.variant.output_bias = has("blk.0.attn_output.bias");
    config.check().map_err(in_gguf)?;
    Ok(config)
}

/// Writes a configuration into the metadata of the two files; a model that reads text only leaves the projector's alone.
///
/// # Errors
/// [`Error::Config`] when GGUF has no way of saying it.
pub fn to_metadata(
    config: &VlmConfig,
    text: &mut Metadata,
    projector: &mut Metadata,
) -> Result<()> {
    let family = families::gguf(&config.model_type).ok_or_else(|| {
        fail(
            "model_type",
            &format!("`{}` has no GGUF files", config.model_type),
        )
    })?;
    text.set(ARCHITECTURE, Value::String(family.architecture.into()));
    text.set("general.type", Value::String("model".into()));
    let projector = family.projector.map(|kind| {
        projector.set(ARCHITECTURE, Value::String(PROJECTOR.into()));
        projector.set("general.type", Value::String("mmproj".into()));
        projector.set("clip.has_vision_encoder", Value::Bool(true));
        projector.set(PROJECTOR_TYPE, Value::String(kind.into()));
        projector
    });
    let mut config = config.clone();
    exchange(
        family,
        &mut Keys::Write(&mut *text),
        projector.map(Keys::Write).as_mut(),
        &mut config,
    )?;
    let key = format!("{}.vocab_size", family.architecture);
    Keys::Write(text).number(&key, &mut config.text_config.vocab_size)
}

fn family(text: &Metadata, projector: Option<&Metadata>) -> Result<&'static GgufFamily> {
    let architecture = text.str(ARCHITECTURE).unwrap_or_default();
    let kind = projector.map(|projector| {
        projector
            .str(PROJECTOR_TYPE)
            .or_else(|| projector.str("clip.vision.projector_type"))
            .unwrap_or_default()
    });
    families::gguf_families()
        .find(|family| family.architecture == architecture && family.projector == kind)
        .ok_or_else(|| {
            let known: Vec<String> = families::gguf_families()
                .map(|family| told(family.architecture, family.projector))
                .collect();
            let problem = format!(
                "`{architecture}` {} is none of: {}",
                with(kind),
                known.join(", ")
            );
            fail(ARCHITECTURE, &problem)
        })
}

/// A family of GGUF files, as an error names it.
fn told(architecture: &str, projector: Option<&str>) -> String {
    match projector {
        Some(kind) => format!("{architecture} with {kind}"),
        None => format!("{architecture} alone"),
    }
}

/// What beside the text model was found.
fn with(projector: Option<&str>) -> String {
    match projector {
        Some(kind) => format!("with a projector `{kind}`"),
        None => "without a vision projector (mmproj)".into(),
    }
}

fn exchange(
    family: &GgufFamily,
    text: &mut Keys<'_>,
    projector: Option<&mut Keys<'_>>,
    config: &mut VlmConfig,
) -> Result<()> {
    let Some(projector) = projector else {
        return decoder(text, family.architecture, &mut config.text_config);
    };
    tower(projector, &mut config.vision_config)?;
    (family.tower)(projector, config)?;
    decoder(text, family.architecture, &mut config.text_config)?;
    let mut width = config.text_config.hidden_size;
    projector.number_or(
        "clip.vision.projection_dim",
        &mut width,
        config.text_config.hidden_size,
    )?;
    if width != config.text_config.hidden_size {
        return Err(fail(
            "clip.vision.projection_dim",
            &format!(
                "is {width}, but the text model is {} wide; the two files are of different models",
                config.text_config.hidden_size
            ),
        ));
    }
    if family.counts_deepstack {
        let depth = config.vision_config.variant.deepstack.len();
        let key = format!("{}.n_deepstack_layers", family.architecture);
        let mut told = depth;
        text.number_or(&key, &mut told, depth)?;
        if told != depth {
            return Err(fail(
                &key,
                &format!("is {told}, but the projector has {depth} such layers"),
            ));
        }
    }
    Ok(())
}

/// Refuses what changes the turns of positions, or what a token sees, and is not done here. A factor without a type is a linear one for
/// llama.cpp, and 0 is none.
fn check_rope(metadata: &Metadata, key: &dyn Fn(&str) -> String) -> Result<()> {
    let scaling = key("rope.scaling.type");
    if metadata.get(&scaling).is_some() && metadata.str(&scaling) != Some("none") {
        return Err(fail(&scaling, "is not supported; only `none` is"));
    }
    for (name, plain) in [
        ("rope.scaling.factor", &[0.0, 1.0][..]),
        ("rope.scale_linear", &[0.0, 1.0]),
        ("rope.scaling.attn_factor", &[1.0]),
    ] {
        let name = key(name);
        if metadata.get(&name).is_some()
            && !decimal(metadata, &name).is_some_and(|factor| plain.contains(&factor))
        {
            return Err(fail(&name, "scales positions, which is not supported"));
        }
    }
    let causal = key("attention.causal");
    if metadata
        .get(&causal)
        .is_some_and(|causal| *causal != Value::Bool(true))
    {
        return Err(fail(
            &causal,
            "must be true: a decoder sees what is behind it",
        ));
    }
    Ok(())
}

/// The keys of every decoder.
fn decoder(keys: &mut Keys<'_>, arch: &str, text: &mut TextConfig) -> Result<()> {
    let key = |name: &str| format!("{arch}.{name}");
    if let Keys::Read(metadata) = keys {
        check_rope(metadata, &key)?;
    }
    keys.number(&key("block_count"), &mut text.num_hidden_layers)?;
    keys.number(&key("context_length"), &mut text.max_position_embeddings)?;
    keys.number(&key("embedding_length"), &mut text.hidden_size)?;
    keys.number(&key("feed_forward_length"), &mut text.intermediate_size)?;
    keys.number(&key("attention.head_count"), &mut text.num_attention_heads)?;
    let heads = text.num_attention_heads;
    keys.number_or(
        &key("attention.head_count_kv"),
        &mut text.num_key_value_heads,
        heads,
    )?;
    match keys {
        Keys::Read(metadata) => {
            let width = key("attention.key_length");
            text.head_dim = match metadata.get(&width) {
                None => None,
                Some(_) => keys.optional(&width, 0)?,
            };
            let turned = key("rope.dimension_count");
            if keys
                .optional(&turned, 0)?
                .is_some_and(|turned| turned != text.head_dim())
            {
                return Err(fail(&turned, "is less than a head, which is not supported"));
            }
        }
        Keys::Write(_) => {
            let mut width = text.head_dim();
            if text.head_dim.is_some() {
                keys.number(&key("attention.key_length"), &mut width)?;
                keys.number(&key("attention.value_length"), &mut width)?;
            }
            keys.number(&key("rope.dimension_count"), &mut width)?;
        }
    }
    keys.real_or(
        &key("attention.layer_norm_rms_epsilon"),
        &mut text.rms_norm_eps,
        1e-6,
    )?;
    keys.real_or(&key("rope.freq_base"), &mut text.rope_theta, 10_000.0)?;
    if let Some(mrope) = &mut text.variant.mrope {
        // A fourth section is for a fourth axis, which photos do not have.
        let name = key("rope.dimension_sections");
        let sections = [mrope.sections.as_slice(), &[0]].concat();
        if let Some(found) = keys.numbers(&name, &sections)? {
            mrope.sections = match found[..] {
                [time, row, column] | [time, row, column, 0] => [time, row, column],
                _ => return Err(fail(&name, "must be three numbers")),
            };
        }
    }
    Ok(())
}

/// The keys of every tower.
fn tower(keys: &mut Keys<'_>, vision: &mut VisionConfig) -> Result<()> {
    keys.number("clip.vision.patch_size", &mut vision.patch_size)?;
    keys.number("clip.vision.embedding_length", &mut vision.hidden_size)?;
    keys.number(
        "clip.vision.feed_forward_length",
        &mut vision.intermediate_size,
    )?;
    keys.number("clip.vision.block_count", &mut vision.num_hidden_layers)?;
    keys.number(
        "clip.vision.attention.head_count",
        &mut vision.num_attention_heads,
    )?;
    keys.real_or(
        "clip.vision.attention.layer_norm_epsilon",
        &mut vision.layer_norm_eps,
        1e-6,
    )?;
    keys.activation(&mut vision.hidden_act)
}

/// The same error, said of GGUF metadata.
fn in_gguf(error: Error) -> Error {
    match error {
        Error::Config { key, problem, .. } => fail(&key, &problem),
        other => other,
    }
}
