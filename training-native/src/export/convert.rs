//! A model folder of any family as GGUF files that need nothing beside them, with a manifest.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_config::{from_metadata, to_metadata};
use namelens_engine::model::gguf_layout::GgufLayout;
use namelens_engine::model::{families, plan};
use namelens_engine::text::{TextSettings, Vocabulary, write_settings, write_tokenizer};
use namelens_engine::weights::{Metadata, Value, split_files};

use super::manifest;
use super::pair::{Types, Written, write_pair};
use crate::bundle;

/// Folders of a model that are kept as they are: what recognises things, and adapters, which are for the same weights in any precision.
const WHOLE: [&str; 2] = ["retriever", "adapters"];

/// What a conversion is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// Element types.
    pub types: Types,
    /// Most bytes of data in a part of the text model; one file where it is absent.
    pub split: Option<u64>,
    /// Whether files of a conversion before may be replaced.
    pub force: bool,
}

/// Converts the model in folder `from` into folder `out`. `progress` hears of parameters done, and how many there are.
///
/// # Errors
/// When the folder is incomplete, says something GGUF cannot say, or has tensors without a place; when files would be
/// overwritten or cannot be written.
pub fn convert(
    from: &Path,
    out: &Path,
    conversion: Conversion,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written> {
    let json = bundle::read_text(from, "config.json")?;
    let config = VlmConfig::from_json(&json)?;
    families::refuse_quantised(&json)?;
    let name = name_of(from);
    let mut notes = Vec::new();
    let (described, beside) = describe(from, &config, &name, &mut notes)?;
    let names = families::names(&config.model_type);
    let mut source = CheckpointSource::new(bundle::open_weights(from)?).with_names(names);
    prove(&mut source, &config)?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    if from.canonicalize()? == out.canonicalize()? {
        bail!(
            "{} is the model's own folder; choose another",
            out.display()
        );
    }
    make_room(out, conversion.force)?;
    let Conversion { types, split, .. } = conversion;
    let mut written = write_pair(&mut source, &config, described, out, types, split, progress)?;
    let mut copies: Vec<String> = vec!["model.json".into()];
    if beside {
        copies.push("tokenizer.json".into());
    }
    copies.retain(|file| from.join(file).exists());
    for folder in WHOLE {
        copies.extend(manifest::files_below(from, folder)?);
    }
    for file in copies {
        let to = out.join(&file);
        fs::create_dir_all(to.parent().unwrap_or(out))?;
        fs::copy(from.join(&file), &to).with_context(|| format!("cannot copy {file}"))?;
        written.files.push(file);
    }
    let files: Vec<&str> = written.files.iter().map(String::as_str).collect();
    manifest::write(out, &name, &files)?;
    written.notes.splice(0..0, notes);
    Ok(written)
}

/// The folder's own name.
fn name_of(from: &Path) -> String {
    let whole = from.canonicalize().unwrap_or_else(|_| from.to_owned());
    let name = whole
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "model".into())
}

/// Metadata of text model and projector (without meaning where the model reads text only), and whether the tokenizer must lie beside them.
fn describe(
    from: &Path,
    config: &VlmConfig,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<([Metadata; 2], bool)> {
    let read = |file: &str| bundle::optional_text(from, file);
    let named = || Metadata::new().with("general.name", Value::String(name.into()));
    let (mut text, mut projector) = (named(), named());
    to_metadata(config, &mut text, &mut projector)?;
    let tokenizer = bundle::read_text(from, "tokenizer.json")?;
    let vocabulary = write_tokenizer(&tokenizer, config.text_config.vocab_size, &mut text)?;
    match vocabulary {
        Vocabulary::Named(_) => {}
        Vocabulary::Whole => notes.push(
            "llama.cpp has no rule for this tokenizer: tokenizer.json is in the metadata".into(),
        ),
        Vocabulary::Beside => notes.push(
            "llama.cpp has no rule for this tokenizer: tokenizer.json lies beside the model".into(),
        ),
    }
    let settings = TextSettings::read(&read)?;
    for lost in write_settings(&settings, &mut text)? {
        notes.push(format!("not in GGUF: {lost}"));
    }
    if config.sees_photos() {
        ImageProcessor::to_gguf(&read, &mut projector)?;
    }
    agree(config, &text, &projector)?;
    Ok(([text, projector], vocabulary == Vocabulary::Beside))
}

/// Proves that what was written says what was meant.
fn agree(config: &VlmConfig, text: &Metadata, projector: &Metadata) -> Result<()> {
    let layout = GgufLayout::of(config);
    let planned = plan::parameters(config, &Device::flex())?;
    let names: Vec<String> = planned
        .iter()
        .map(|planned| layout.places(&planned.key).swap_remove(0).name)
        .collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    let rows = Some(config.text_config.vocab_size);
    let projector = config.sees_photos().then_some(projector);
    let mut read = from_metadata(text, projector, &has, rows)?;
    // Types of one family are one to GGUF.
    read.model_type.clone_from(&config.model_type);
    let (read, meant) = (in_f32(read), in_f32(config.clone()));
    if read == meant {
        return Ok(());
    }
    bail!(
        "GGUF cannot say all of config.json: {}; keep this model as a folder of safetensors",
        first_difference(&read, &meant)
    )
}

/// The same configuration, its real numbers rounded as GGUF holds them and the model computes.
fn in_f32(mut config: VlmConfig) -> VlmConfig {
    let round = |real: &mut f64| *real = f64::from(*real as f32);
    round(&mut config.vision_config.layer_norm_eps);
    round(&mut config.text_config.rms_norm_eps);
    round(&mut config.text_config.rope_theta);
    config
        .vision_config
        .variant
        .rotary
        .iter_mut()
        .for_each(round);
    config
}

/// The first value two configurations do not share.
fn first_difference(read: &VlmConfig, meant: &VlmConfig) -> String {
    let lines = |config: &VlmConfig| -> Vec<String> {
        let text = format!("{config:#?}");
        let line = |line: &str| line.trim().trim_end_matches(',').to_owned();
        text.lines().map(line).collect()
    };
    let (read, meant) = (lines(read), lines(meant));
    let found = meant.iter().zip(&read).find(|(meant, read)| meant != read);
    found.map_or_else(String::new, |(meant, read)| {
        format!("`{meant}` would read back as `{read}`")
    })
}

/// Refuses weights that are not the configuration's, before anything is written; reads no data.
fn prove(source: &mut CheckpointSource, config: &VlmConfig) -> Result<()> {
    for planned in plan::parameters(config, &Device::flex())? {
        source.claim(&planned.key, &planned.shape)?;
    }
    let left = plan::surplus(source, config.tie_word_embeddings);
    match left.first() {
        None => Ok(()),
        Some(name) => bail!(
            "{name} and {} more tensors have no place in this model; config.json and the weights are of different models",
            left.len() - 1
        ),
    }
}

/// Removes the files of a conversion before, if that is allowed.
fn make_room(out: &Path, force: bool) -> Result<()> {
    for entry in fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let part = name.starts_with("model-") && matches!(split_files(&name), Ok(Some(_)));
        if !part && !["model.gguf", "mmproj.gguf", "manifest.json"].contains(&name.as_str()) {
            continue;
        }
        if !force {
            bail!(
                "{} is there already; add --force to replace it, or choose another folder",
                entry.path().display()
            );
        }
        fs::remove_file(entry.path())
            .with_context(|| format!("cannot remove {}", entry.path().display()))?;
    }
    Ok(())
}
