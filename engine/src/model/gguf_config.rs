//! A model's configuration in the metadata of its GGUF files, under llama.cpp's keys: one list of keys, read and written.

use super::config::{Activation, TextConfig, VisionConfig, VlmConfig};
use super::families::{self, GgufFamily};
use crate::weights::{Array, Metadata, Value, Weights};
use crate::{Error, Result};

/// Says what a file holds.
pub const ARCHITECTURE: &str = "general.architecture";
/// The architecture of vision projector files.
pub const PROJECTOR: &str = "clip";
const PROJECTOR_TYPE: &str = "clip.projector_type";
/// The token texts; their number is that of the vocabulary.
const TOKENS: &str = "tokenizer.ggml.tokens";

/// Metadata of one file on its way in or out.
pub(super) enum Keys<'a> {
    /// Values come from here.
    Read(&'a Metadata),
    /// Values go here.
    Write(&'a mut Metadata),
}

impl Keys<'_> {
    /// A whole number that must be there.
    pub(super) fn number(&mut self, key: &str, value: &mut usize) -> Result<()> {
        let found = self.optional(key, *value)?;
        *value = found.ok_or_else(|| fail(key, "is missing; convert the model again"))?;
        Ok(())
    }

    /// A whole number with a default.
    pub(super) fn number_or(
        &mut self,
        key: &str,
        value: &mut usize,
        otherwise: usize,
    ) -> Result<()> {
        *value = self.optional(key, *value)?.unwrap_or(otherwise);
        Ok(())
    }

    fn optional(&mut self, key: &str, value: usize) -> Result<Option<usize>> {
        match self {
            Self::Read(metadata) => match metadata.get(key) {
                None => Ok(None),
                Some(_) => metadata
                    .u64(key)
                    .and_then(|number| usize::try_from(number).ok())
                    .map(Some)
                    .ok_or_else(|| fail(key, "must be one whole number from 0 on")),
            },
            Self::Write(metadata) => {
                let number = u32::try_from(value).map_err(|_| fail(key, "is too large"))?;
                metadata.set(key, Value::U32(number));
                Ok(Some(value))
            }
        }
    }

    /// A positive number with a default.
    pub(super) fn real_or(&mut self, key: &str, value: &mut f64, otherwise: f64) -> Result<()> {
        match self {
            Self::Read(metadata) if metadata.get(key).is_none() => *value = otherwise,
            Self::Read(metadata) => {
                let real = decimal(metadata, key).filter(|real| *real > 0.0);
                *value = real.ok_or_else(|| fail(key, "must be a positive number"))?;
            }
            Self::Write(metadata) => metadata.set(key, Value::F32(*value as f32)),
        }
        Ok(())
    }

    /// A list of whole numbers, if the key is there; written as 32-bit integers.
    pub(super) fn numbers(&mut self, key: &str, value: &[usize]) -> Result<Option<Vec<usize>>> {
        match self {
            Self::Read(metadata) => match metadata.array(key) {
                None if metadata.get(key).is_none() => Ok(None),
                found => found
                    .and_then(whole)
                    .map(Some)
                    .ok_or_else(|| fail(key, "must be a list of whole numbers")),
            },
            Self::Write(metadata) => {
                let items: Option<Vec<i32>> =
                    value.iter().map(|&n| i32::try_from(n).ok()).collect();
                let items = items.ok_or_else(|| fail(key, "is too large"))?;
                metadata.set(key, Value::Array(Array::I32(items)));
                Ok(Some(value.to_vec()))
            }
        }
    }

    /// The places at which a list of as many flags as there are layers is true.
    pub(super) fn layers(&mut self, key: &str, value: &mut Vec<usize>, depth: usize) -> Result<()> {
        match self {
            Self::Read(metadata) => {
                let flags = match (metadata.get(key), metadata.array(key)) {
                    (None, _) => &Vec::new(),
                    (_, Some(Array::Bool(flags))) if flags.len() <= depth => flags,
                    _ => return Err(fail(key, "must be true or false for each layer")),
                };
                let set = flags.iter().enumerate().filter(|(_, flag)| **flag);
                *value = set.map(|(at, _)| at).collect();
            }
            Self::Write(metadata) => {
                let flags = (0..depth).map(|at| value.contains(&at)).collect();
                metadata.set(key, Value::Array(Array::Bool(flags)));
            }
        }
        Ok(())
    }

    /// The activation of the tower, one of two flags; exact GELU, for which there is none, by a key of ours beside the
    /// flag nearest to it.
    pub(super) fn activation(&mut self, act: &mut Activation) -> Result<()> {
        const OURS: &str = "namelens.exact_gelu";
        const FLAGS: [(&str, Activation); 2] = [
            ("clip.use_gelu", Activation::GeluPytorchTanh),
            ("clip.use_silu", Activation::Silu),
        ];
        match self {
            Self::Read(metadata) if metadata.bool(OURS) == Some(true) => *act = Activation::Gelu,
            Self::Read(metadata) => {
                let is_set = |(key, _): &&(&str, Activation)| metadata.bool(key) == Some(true);
                // Without either the files mean quick GELU.
                let set = FLAGS.iter().find(is_set);
                let (_, found) =
                    set.ok_or_else(|| fail(FLAGS[0].0, "or clip.use_silu must be true"))?;
                *act = *found;
            }
            Self::Write(metadata) => {
                let [gelu, silu] = FLAGS.map(|(key, _)| key);
                let key = if *act == Activation::Silu { silu } else { gelu };
                metadata.set(key, Value::Bool(true));
                if *act == Activation::Gelu {
                    metadata.set(OURS, Value::Bool(true));
                }
            }
        }
        Ok(())
    }
}

/// A float as the decimal it was written from: 0.003 is kept as an f32 that is not quite that.
fn decimal(metadata: &Metadata, key: &str) -> Option<f64> {
    match *metadata.get(key)? {
        Value::F32(real) => real.to_string().parse().ok(),
        Value::F64(real) => Some(real),
        _ => None,
    }
    .filter(|real: &f64| real.is_finite())
}

fn whole(array: &Array) -> Option<Vec<usize>> {
    match array {
        Array::I32(items) if items.len() <= 4096 => items
            .iter()
            .map(|&item| usize::try_from(item).ok())
            .collect(),
        Array::U32(items) if items.len() <= 4096 => items
            .iter()
            .map(|&item| usize::try_from(item).ok())
            .collect(),
        _ => None,
    }
}

/// Says of a tensor whether it is there, by GGUF's name.
pub type Has<'a> = dyn Fn(&str) -> bool + 'a;

impl VlmConfig {
    /// Reads the configuration of a text model and its vision projector out of the files' metadata.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key that is missing or cannot be; [`Error::Weights`] when one of the two is missing.
    pub fn from_gguf(weights: &Weights) -> Result<Self> {
        let (text, projector) = pair(weights)?;
        let has = |name: &str| weights.contains(name);
        let rows = weights
            .find("token_embd.weight")
            .and_then(|(_, tensor)| tensor.shape.first().copied());
        from_metadata(text, projector, &has, rows)
    }
}

/// The metadata of the text model and of the vision projector.
///
/// # Errors
/// [`Error::Weights`] when one of them is not there.
pub fn pair(weights: &Weights) -> Result<(&Metadata, &Metadata)> {
    let of = |projector: bool| {
        let metadata = weights.files().iter().map(|file| file.metadata());
        let mut described = metadata.filter(|metadata| metadata.str(ARCHITECTURE).is_some());
        described.find(|metadata| (metadata.str(ARCHITECTURE) == Some(PROJECTOR)) == projector)
    };
    let missing = |what: &str| Error::Weights {
        file: "GGUF".into(),
        place: ARCHITECTURE.into(),
        problem: format!(
            "no file with the {what} is there; a model is a text model and its mmproj file"
        ),
    };
    Ok((
        of(false).ok_or_else(|| missing("text model"))?,
        of(true).ok_or_else(|| missing("vision projector"))?,
    ))
}

/// Reads a configuration. `rows` is the number of rows of the embedding matrix, where it is known.
///
/// # Errors
/// As [`VlmConfig::from_gguf`].
pub fn from_metadata(
    text: &Metadata,
    projector: &Metadata,
    has: &Has<'_>,
    rows: Option<usize>,
) -> Result<VlmConfig> {
    let family = family(text, projector)?;
    let mut config = (family.blank)();
    exchange(
        family,
        &mut Keys::Read(text),
        &mut Keys::Read(projector),
        &mut config,
    )?;
    let tokens = text.strings(TOKENS).unwrap_or_default();
    let told = text.u64(&format!("{}.vocab_size", family.architecture));
    config.text_config.vocab_size = rows
        .or_else(|| told.and_then(|told| usize::try_from(told).ok()))
        .unwrap_or(tokens.len());
    let image = tokens.iter().position(|token| token == family.image_token);
    config.image_token_id = image
        .and_then(|id| u32::try_from(id).ok())
        .ok_or_else(|| fail(TOKENS, &format!("has no `{}`", family.image_token)))?;
    config.tie_word_embeddings = !has("output.weight");
    config.text_config.variant.qkv_bias = has("blk.0.attn_q.bias");
    config.text_config.variant.output_bias = has("blk.0.attn_output.bias");
    config.check().map_err(in_gguf)?;
    Ok(config)
}

/// Writes a configuration into the metadata of the two files.
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
    projector.set(ARCHITECTURE, Value::String(PROJECTOR.into()));
    projector.set("general.type", Value::String("mmproj".into()));
    projector.set("clip.has_vision_encoder", Value::Bool(true));
    projector.set(PROJECTOR_TYPE, Value::String(family.projector.into()));
    let mut config = config.clone();
    exchange(
        family,
        &mut Keys::Write(&mut *text),
        &mut Keys::Write(projector),
        &mut config,
    )?;
    let key = format!("{}.vocab_size", family.architecture);
    Keys::Write(text).number(&key, &mut config.text_config.vocab_size)
}

fn family(text: &Metadata, projector: &Metadata) -> Result<&'static GgufFamily> {
    let architecture = text.str(ARCHITECTURE).unwrap_or_default();
    let kind = projector
        .str(PROJECTOR_TYPE)
        .or_else(|| projector.str("clip.vision.projector_type"))
        .unwrap_or_default();
    families::gguf_families()
        .find(|family| family.architecture == architecture && family.projector == kind)
        .ok_or_else(|| {
            let known: Vec<String> = families::gguf_families()
                .map(|family| format!("{} with {}", family.architecture, family.projector))
                .collect();
            let problem = format!(
                "`{architecture}` with a projector `{kind}` is none of: {}",
                known.join(", ")
            );
            fail(ARCHITECTURE, &problem)
        })
}

fn exchange(
    family: &GgufFamily,
    text: &mut Keys<'_>,
    projector: &mut Keys<'_>,
    config: &mut VlmConfig,
) -> Result<()> {
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

/// The keys of every decoder.
fn decoder(keys: &mut Keys<'_>, arch: &str, text: &mut TextConfig) -> Result<()> {
    let key = |name: &str| format!("{arch}.{name}");
    let scaling = key("rope.scaling.type");
    if let Keys::Read(metadata) = keys
        && metadata.str(&scaling).is_some_and(|kind| kind != "none")
    {
        return Err(fail(&scaling, "is not supported; only `none` is"));
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

pub(super) fn fail(key: &str, problem: &str) -> Error {
    Error::Config {
        file: "GGUF metadata".into(),
        key: key.into(),
        problem: problem.into(),
    }
}
