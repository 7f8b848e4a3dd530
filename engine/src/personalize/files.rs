//! The files of a model folder: small ones as text, weights as byte sources in whatever pieces they come.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::encoder_files::{FIRST, RETRIEVER};
use super::file_choice::Choice;
use super::file_plan::{FilePlan, Step};
use crate::model::checkpoint::CheckpointSource;
use crate::model::config::VlmConfig;
use crate::model::families;
use crate::model::gguf_config::{ARCHITECTURE, PROJECTOR};
use crate::model::gguf_layout::GgufLayout;
use crate::model::lora::Adapter;
use crate::model::names::Names;
use crate::model::plan::surplus;
use crate::weights::{ByteSource, ShardIndex, WeightFile, Weights, open_split, split_files};
use crate::{Error, Result, foreign};

/// A Hugging Face folder, or what of it a model needs.
///
/// `config.json`, `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`, the image processor's file and
/// `model.safetensors` (or its shards with their index) are the captioner; below `retriever/` the encoder that searches photos has
/// `config.json`, `model.safetensors`, `retrieval.json` (what similarities mean) and, unless it sees photos as the captioner does,
/// its image processor's file; further encoders have folders in there. In place of the captioner's `model.safetensors` there may be
/// two GGUF files of any name, or of more where the text model is split: their blocks stay
/// packed in memory. Without `config.json` the GGUF files describe the model themselves. LoRA adapters lie below
/// `adapters/<name>/`, as PEFT writes them.
#[derive(Default)]
pub struct ModelFiles {
    files: HashMap<String, Box<dyn ByteSource>>,
}

impl std::fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// Largest JSON or template file read into memory.
const MAX_TEXT: u64 = 64 << 20;
/// The card of a model in our own bundles, and the word by which it knows the Playroom.
const CARD: &str = "model.json";
const PLAYROOM: &str = "playroom";
/// Says which shard holds which tensor.
const SHARD_INDEX: &str = "model.safetensors.index.json";
/// Where adapters lie, and what each of them must have.
const ADAPTERS: &str = "adapters/";
const ADAPTER_CONFIG: &str = "/adapter_config.json";

impl ModelFiles {
    /// Adds a file under its name in the folder.
    pub fn insert(&mut self, name: impl Into<String>, source: Box<dyn ByteSource>) {
        self.files.insert(name.into(), source);
    }

    /// Takes the retriever of another model in place of its own.
    ///
    /// # Errors
    /// [`Error::Config`] when the other one has none, or when one of the two knows the Playroom and the other one does not: a
    /// captioner of drawn toys would talk nonsense of a photograph.
    pub fn use_retriever_of(&mut self, other: Self) -> Result<()> {
        if !other.contains(FIRST) {
            return Err(missing_text(FIRST));
        }
        self.check_worlds(&other)?;
        self.files.retain(|name, _| !name.starts_with(RETRIEVER));
        let taken = other.files.into_iter();
        self.files
            .extend(taken.filter(|(name, _)| name.starts_with(RETRIEVER)));
        Ok(())
    }

    /// Takes the encoders of another model's retriever beside its own, each in a folder of its own.
    ///
    /// # Errors
    /// As [`Self::use_retriever_of`], which is what is done where it has none.
    pub fn add_retriever_of(&mut self, other: Self) -> Result<()> {
        if !self.contains(FIRST) {
            return self.use_retriever_of(other);
        }
        self.check_worlds(&other)?;
        if !other.contains(FIRST) {
            return Err(missing_text(FIRST));
        }
        // Of numbered folders the first that is free; what lies deeper keeps its name behind it.
        let taken = |number: usize| {
            let folder = format!("{RETRIEVER}{number}");
            self.files.keys().any(|name| name.starts_with(&folder))
        };
        let number = (2..).find(|&number| !taken(number));
        // There are more numbers than files.
        let number = number.unwrap_or_default();
        for (name, source) in other.files {
            let Some(rest) = name.strip_prefix(RETRIEVER) else {
                continue;
            };
            let own = match rest.split_once('/') {
                Some((folder, file)) => format!("{RETRIEVER}{number}-{folder}/{file}"),
                None => format!("{RETRIEVER}{number}/{rest}"),
            };
            self.files.insert(own, source);
        }
        Ok(())
    }

    /// The same files, those of a photo encoder's own folder as a retriever's: its authors have them at the top (DINOv2). All others
    /// stay as they are.
    ///
    /// # Errors
    /// When `config.json` cannot be read.
    pub fn with_encoder_as_retriever(mut self) -> Result<Self> {
        let config = match self.contains(FIRST) {
            true => None,
            false => self.optional_text("config.json")?,
        };
        // A file that names no family is for whoever reads it as a captioner's to complain about.
        if config.is_some_and(|json| families::makes_features(&json).unwrap_or(false)) {
            self.move_below(RETRIEVER);
        }
        Ok(self)
    }

    /// Puts all files into a folder, whose name has a slash behind it.
    fn move_below(&mut self, folder: &str) {
        let files = std::mem::take(&mut self.files).into_iter();
        self.files = files
            .map(|(name, source)| (format!("{folder}{name}"), source))
            .collect();
    }

    /// Refuses a model of the other world.
    fn check_worlds(&self, other: &Self) -> Result<()> {
        let worlds = [self.world()?, other.world()?];
        let playroom = |world: &str| world.to_lowercase().contains(PLAYROOM);
        if playroom(&worlds[0]) != playroom(&worlds[1]) {
            return Err(Error::Config {
                file: CARD.into(),
                key: "knows".into(),
                problem: "one of the two models knows the Playroom's drawn toys and the other one does not; take a captioner that knows photographs".into(),
            });
        }
        Ok(())
    }

    /// What its card says the model knows; empty where it has none.
    fn world(&self) -> Result<String> {
        let card = self.optional_text(CARD)?.unwrap_or_default();
        let card: serde_json::Value = serde_json::from_str(&card).unwrap_or_default();
        Ok(card["knows"].as_str().unwrap_or_default().to_owned())
    }

    /// Names and sizes of all files, bytes.
    pub(super) fn sizes(&self) -> BTreeMap<String, u64> {
        let sizes = self.files.iter();
        sizes
            .map(|(name, file)| (name.clone(), file.len()))
            .collect()
    }

    /// Lets go of all files that are none of the model's; see [`FilePlan`].
    ///
    /// # Errors
    /// When a file is missing, or several models are possible and `choice` does not say which.
    pub fn select(&mut self, choice: &Choice) -> Result<()> {
        let listing = self.files.keys().cloned().collect();
        let mut plan = FilePlan::new(Some(listing), choice.clone());
        let (names, below) = loop {
            match plan.next()? {
                Step::Find { names } => names.iter().for_each(|name| plan.told(name, false)),
                Step::Read { name } => plan.read(&name, self.text(&name)?.as_bytes())?,
                Step::Take {
                    texts,
                    weights,
                    below,
                } => break ([texts, weights].concat(), below),
            }
        };
        self.files.retain(|name, _| names.contains(name));
        self.move_below(&below);
        Ok(())
    }

    /// Whether the folder has a file.
    pub fn contains(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A text file the folder must have.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        self.optional_text(name)?.ok_or_else(|| missing_text(name))
    }

    /// A text file the folder may have.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>> {
        let refuse = |problem: String| Error::Config {
            file: name.into(),
            key: "(whole file)".into(),
            problem,
        };
        let Some(source) = self.files.get(name) else {
            return Ok(None);
        };
        if source.len() > MAX_TEXT {
            return Err(refuse(format!("{} bytes are too many", source.len())));
        }
        let mut bytes = vec![0; source.len() as usize];
        source.read_at(0, &mut bytes)?;
        if let Some(problem) = foreign::text(&bytes) {
            return Err(refuse(problem));
        }
        let text = String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8 text".into()))?;
        Ok(Some(text))
    }

    /// The names of all files.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether weights are there in the form that `config.json` describes, in one file or in shards.
    pub(super) fn has_safetensors(&self) -> bool {
        self.contains("model.safetensors") || self.contains(SHARD_INDEX)
    }

    /// The weights of one file.
    pub(super) fn weights(&mut self, name: &str) -> Result<Weights> {
        let source = self.files.remove(name).ok_or_else(|| missing(name))?;
        let mut weights = Weights::new();
        weights.push(WeightFile::open(name, source)?)?;
        Ok(weights)
    }

    /// The weights of one file, and a digest of it.
    pub(super) fn digested(&mut self, name: &str) -> Result<(Weights, String)> {
        let digest = self
            .files
            .get(name)
            .map(|source| header_digest(source.as_ref()));
        let digest = digest.transpose()?.unwrap_or_default();
        Ok((self.weights(name)?, digest))
    }

    /// Names of the adapters, sorted.
    pub(super) fn adapters(&self) -> Vec<String> {
        let name = |file: &String| {
            let name = file.strip_prefix(ADAPTERS)?.strip_suffix(ADAPTER_CONFIG)?;
            (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
        };
        let mut names: Vec<String> = self.files.keys().filter_map(name).collect();
        names.sort();
        names
    }

    /// An adapter for models of a family with these names.
    pub(super) fn adapter(&mut self, name: &str, names: Names) -> Result<Adapter> {
        let folder = format!("{ADAPTERS}{name}");
        let config = self.text(&format!("{folder}{ADAPTER_CONFIG}"))?;
        let file = format!("{folder}/adapter_model.safetensors");
        let weights = self.files.remove(&file).ok_or_else(|| missing(&file))?;
        Adapter::open(&folder, &config, weights, names)
    }

    /// Where the captioner's parameters come from.
    pub(super) fn captioner(
        &mut self,
        config: &VlmConfig,
        device: &Device,
    ) -> Result<CheckpointSource> {
        let names = families::names(&config.model_type);
        if self.contains("model.safetensors") {
            let weights = self.weights("model.safetensors")?;
            return Ok(CheckpointSource::new(weights).with_names(names));
        }
        if let Some(index) = self.optional_text(SHARD_INDEX)? {
            let index = ShardIndex::parse(index.as_bytes())?;
            let weights = index.open(&mut self.files)?;
            return Ok(CheckpointSource::new(weights).with_names(names));
        }
        match self.gguf()? {
            Some(weights) => Ok(CheckpointSource::new(weights)
                .with_layout(GgufLayout::of(config))
                .keep_blocks(device)),
            // Says that the usual file is missing.
            None => self.weights("model.safetensors").map(CheckpointSource::new),
        }
    }

    /// Takes the GGUF files: a text model in all its parts, and a vision projector. `None` when there are none.
    pub(super) fn gguf(&mut self) -> Result<Option<Weights>> {
        let mut names: Vec<String> = self.files.keys().cloned().collect();
        names.retain(|name| name.ends_with(".gguf") && !name.contains('/'));
        names.sort_unstable();
        let mut found: [Option<Weights>; 2] = [None, None];
        for name in names {
            // A part of a model that was opened with its first part.
            if !self.contains(&name) {
                continue;
            }
            let weights = match split_files(&name)? {
                Some(_) => open_split(&name, &mut self.files)?,
                None => self.weights(&name)?,
            };
            let metadata = weights.files().first().map(WeightFile::metadata);
            let kind = metadata.and_then(|metadata| metadata.str(ARCHITECTURE));
            let slot = &mut found[usize::from(kind == Some(PROJECTOR))];
            if let Some(other) = slot {
                let other = other.files().first().map_or("", WeightFile::file);
                return Err(Error::Weights {
                    file: name,
                    place: ARCHITECTURE.into(),
                    problem: format!(
                        "`{other}` is another model of this kind; leave one of them out"
                    ),
                });
            }
            *slot = Some(weights);
        }
        let [Some(mut text), projector] = found else {
            let [_, projector] = found;
            return Ok(projector);
        };
        if let Some(projector) = projector {
            text.append(projector)?;
        }
        Ok(Some(text))
    }
}

fn missing_text(file: &str) -> Error {
    Error::Config {
        file: file.into(),
        key: "(whole file)".into(),
        problem: "is missing from the model; take the folder whole".into(),
    }
}

fn missing(file: &str) -> Error {
    Error::Weights {
        file: file.into(),
        place: "file".into(),
        problem: "is missing from the model; take the folder whole".into(),
    }
}

/// Refuses weights of which the model took only a part: they are of another model, or the configuration lies.
///
/// # Errors
/// [`Error::Weights`] naming one tensor that is left over.
pub(super) fn all_taken(source: &CheckpointSource, tied: bool) -> Result<()> {
    let left = surplus(source, tied);
    match left.first() {
        None => Ok(()),
        Some(name) => Err(Error::Weights {
            file: source.file_of(name),
            place: (*name).to_owned(),
            problem: format!(
                "and {} more tensors have no place in this model; its description and the weights are of different models",
                left.len() - 1
            ),
        }),
    }
}

/// Sixteen hex digits that name a weight file by its first and last bytes and its length.
fn header_digest(source: &dyn ByteSource) -> Result<String> {
    let part = source.len().min(1 << 16);
    let mut bytes = vec![0; part as usize];
    let mut hash = Sha256::new();
    hash.update(source.len().to_le_bytes());
    for offset in [0, source.len() - part] {
        source.read_at(offset, &mut bytes)?;
        hash.update(&bytes);
    }
    Ok(hash.finalize()[..8]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}
