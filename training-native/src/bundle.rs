//! Model folders on disk: opening weight files, and writing folders that Hugging Face tools read too.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use namelens_engine::image::{ImageMarkup, ImageProcessor};
use namelens_engine::model::params::NamedValues;
use namelens_engine::text::{ChatEncoder, ChatTemplate, Specials, Tokenizer};
use namelens_engine::weights::{ByteSource, Dtype, TensorData, WeightFile, Weights, encode};
use namelens_engine::{Error, foreign};
use serde_json::json;

use crate::presets::IMAGE_SIDE;
use crate::tokenizer;

/// A weight file on disk, read range by range.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: Mutex<File>,
    len: u64,
}

impl FileSource {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let len = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            len,
        })
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> namelens_engine::Result<()> {
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(out))
            .map_err(|error| Error::Weights {
                file: self.path.display().to_string(),
                place: format!("byte {offset}"),
                problem: error.to_string(),
            })
    }
}

/// The weights of a folder: `model.safetensors`, or the shards its index names.
///
/// # Errors
/// When one is missing or damaged.
pub fn open_weights(dir: &Path) -> Result<Weights> {
    let mut names = vec!["model.safetensors".to_owned()];
    if !dir.join(&names[0]).exists() && dir.join(SHARD_INDEX).exists() {
        let index: serde_json::Value = serde_json::from_str(&read_text(dir, SHARD_INDEX)?)?;
        let map = index["weight_map"].as_object();
        let map = map.with_context(|| format!("{SHARD_INDEX} has no weight_map"))?;
        let files = map
            .values()
            .filter_map(|file| file.as_str().map(str::to_owned));
        names = files
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
    }
    let mut weights = Weights::new();
    for name in names {
        let path = dir.join(name);
        let name = path.display().to_string();
        weights.push(WeightFile::open(&name, Box::new(FileSource::open(&path)?))?)?;
    }
    Ok(weights)
}

/// Says which shard holds which tensor.
const SHARD_INDEX: &str = "model.safetensors.index.json";

/// Reads a text file of a model folder.
///
/// # Errors
/// When it is missing, or no text.
pub fn read_text(dir: &Path, name: &str) -> Result<String> {
    let text = optional_text(dir, name)?;
    let path = dir.join(name);
    text.with_context(|| format!("cannot read {}; a model folder needs it", path.display()))
}

/// Reads a text file that a model folder may have.
///
/// # Errors
/// [`Error::Config`] when it cannot be read, or is something else than its name says.
pub fn optional_text(dir: &Path, name: &str) -> namelens_engine::Result<Option<String>> {
    let path = dir.join(name);
    let refuse = |problem: String| Error::Config {
        file: path.display().to_string(),
        key: "(whole file)".into(),
        problem,
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.to_string())),
    };
    if let Some(problem) = foreign::text(&bytes) {
        return Err(refuse(problem));
    }
    let text = String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8 text".into()))?;
    Ok(Some(text))
}

/// Writes parameters as `model.safetensors` in f32.
///
/// # Errors
/// When the file cannot be written.
pub fn write_safetensors(path: &Path, params: &[NamedValues]) -> Result<()> {
    let encoded = params
        .iter()
        .map(|param| encode(Dtype::F32, &param.values))
        .collect::<namelens_engine::Result<Vec<_>>>()?;
    let tensors: Vec<TensorData<'_>> = params
        .iter()
        .zip(&encoded)
        .map(|(param, bytes)| TensorData {
            name: &param.name,
            shape: &param.shape,
            dtype: Dtype::F32,
            bytes,
        })
        .collect();
    let mut out = BufWriter::new(
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
    );
    namelens_engine::weights::write_safetensors(&mut out, &[("format", "pt")], &tensors)?;
    Ok(())
}

/// `preprocessor_config.json` of the models trained here: the whole photo squashed to one frame.
pub fn processor_config() -> serde_json::Value {
    json!({
        "image_processor_type": "Idefics3ImageProcessor",
        "do_resize": true,
        "size": { "longest_edge": IMAGE_SIDE },
        "max_image_size": { "longest_edge": IMAGE_SIDE },
        "do_image_splitting": false,
        "do_rescale": true,
        "do_normalize": true,
        "do_pad": true,
        "resample": 1,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5]
    })
}

/// The processor of the models trained here.
///
/// # Errors
/// Never in practice; the configuration is our own.
pub fn processor() -> Result<ImageProcessor> {
    Ok(ImageProcessor::from_json(
        "preprocessor_config.json",
        &processor_config().to_string(),
    )?)
}

/// The special tokens of the models trained here.
pub fn specials() -> Specials {
    Specials {
        bos: tokenizer::SPECIALS[1].into(),
        eos: tokenizer::SPECIALS[2].into(),
        pad: tokenizer::SPECIALS[0].into(),
        image: tokenizer::SPECIALS[5].into(),
    }
}

/// The chat encoder of the models trained here, around the tokenizer in `dir`.
///
/// # Errors
/// When the folder has no usable tokenizer.
pub fn chat(dir: &Path, image_seq_len: usize) -> Result<ChatEncoder> {
    let tokenizer = Tokenizer::from_json(read_text(dir, "tokenizer.json")?.as_bytes())?;
    let template = ChatTemplate::new(tokenizer::CHAT_TEMPLATE)?;
    Ok(ChatEncoder::new(
        tokenizer,
        template,
        specials(),
        ImageMarkup::smolvlm(image_seq_len),
    )?)
}
