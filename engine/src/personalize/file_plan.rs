//! Which files of a repository are a model: said step by step, as what is there and what it says becomes known.
//!
//! A [`FilePlan`] reads and fetches nothing. Whoever has the files (a folder, a server, a bundle) asks for the [`next`]
//! step, does it, tells the plan, and asks again until the step is [`Step::Take`]:
//!
//! ```
//! use namelens_engine::personalize::{Choice, FilePlan, Step};
//!
//! // What a server without a list of its files has.
//! let has = ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"];
//! let mut plan = FilePlan::new(None, Choice::default());
//! let taken = loop {
//!     match plan.next()? {
//!         Step::Find { names } => {
//!             for name in names {
//!                 plan.told(&name, has.contains(&name.as_str()));
//!             }
//!         }
//!         Step::Read { name } => unreachable!("there is no index: {name}"),
//!         Step::Take { texts, weights, below } => {
//!             assert_eq!(below, "");
//!             break [texts, weights].concat();
//!         }
//!     }
//! };
//! assert_eq!(taken.len(), 4);
//! # Ok::<(), namelens_engine::Error>(())
//! ```
//!
//! [`next`]: FilePlan::next

mod weights;

use std::collections::BTreeMap;

use serde::Serialize;

use super::encoder_files::{self, FIRST, RETRIEVER};
use super::file_choice::{Choice, Part, missing, option};
use crate::Result;
use crate::image::ImageProcessor;
use crate::model::families;
use crate::text::TextSettings;
use crate::weights::shard_files;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum Step {
    /// Say of each whether it is there ([`FilePlan::told`]).
    Find {
        /// Names in the model's folder.
        names: Vec<String>,
    },
    /// Hand over the bytes of this file ([`FilePlan::read`]); what it says decides what else is needed.
    Read {
        /// Its name.
        name: String,
    },
    /// These files are the model.
    Take {
        /// Small ones, read whole.
        texts: Vec<String>,
        /// Large ones, read by ranges.
        weights: Vec<String>,
        /// What their names in the model begin with: a photo encoder's own folder has them at the top, and as a model it is a
        /// retriever (`retriever/`). Empty for all others.
        below: String,
    },
}

/// The card of a model in our own bundles.
const CARD: &str = "model.json";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const ADAPTERS: &str = "adapters/";
/// What PEFT writes of an adapter.
const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// The files of one model, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct FilePlan {
    choice: Choice,
    /// Whether `there` has every file of the repository, so that what is not in it does not exist.
    listed: bool,
    there: BTreeMap<String, bool>,
    /// The shards that the index names, once it was read.
    shards: Option<Vec<String>>,
    /// Whether `config.json` is that of a photo encoder, once it was read.
    encoder: Option<bool>,
    /// Whether the configuration is of a model that reads text only, once it was read.
    text_only: Option<bool>,
}

/// Files found to be needed, or names of which it must first be known whether they are there.
enum Known<T> {
    Yes(T),
    Ask(Vec<String>),
}

impl FilePlan {
    /// A plan for a repository; `listing` are the paths of all its files, where whoever has it can tell.
    pub fn new(listing: Option<Vec<String>>, choice: Choice) -> Self {
        Self {
            choice,
            listed: listing.is_some(),
            there: listing
                .into_iter()
                .flatten()
                .map(|name| (name, true))
                .collect(),
            shards: None,
            encoder: None,
            text_only: None,
        }
    }

    /// Learns whether a file is there.
    pub fn told(&mut self, name: &str, there: bool) {
        self.there.insert(name.to_owned(), there);
    }

    /// Learns what the file that [`Step::Read`] asked for says.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn read(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        match name {
            INDEX => self.shards = Some(shard_files(bytes)?),
            CONFIG => {
                // A file that names no family is for whoever reads it as a captioner's to complain about.
                let json = String::from_utf8_lossy(bytes);
                self.encoder = Some(families::makes_features(&json).unwrap_or(false));
                self.text_only = Some(families::reads_text_only(&json).unwrap_or(false));
            }
            _ => {}
        }
        Ok(())
    }

    /// The next step.
    ///
    /// # Errors
    /// [`crate::Error::Missing`] for a file the model needs, [`crate::Error::Option`] when a choice must be made or cannot be followed.
    pub fn next(&self) -> Result<Step> {
        self.check_adapters()?;
        let unknown = self.unknown(self.first());
        if !unknown.is_empty() {
            return Ok(Step::Find { names: unknown });
        }
        if let Some(step) = self.encoder_alone()? {
            return Ok(step);
        }
        let names = match self.weights()? {
            Known::Yes(names) => names,
            Known::Ask(names) if names == [INDEX] => {
                return Ok(Step::Read { name: INDEX.into() });
            }
            Known::Ask(names) => return Ok(Step::Find { names }),
        };
        // Without a word on photos the model must be one that reads none.
        if is_safetensors(&names)
            && !names.is_empty()
            && self.has(CONFIG)
            && self.text_only.is_none()
            && !self.has_processor()
        {
            return Ok(Step::Read {
                name: CONFIG.into(),
            });
        }
        let mut texts = self.description(&names)?;
        let mut weights = names;
        if !weights.is_empty() && weights != [WHOLE] && is_safetensors(&weights) {
            texts.push(INDEX.into());
        }
        self.retriever(&mut texts, &mut weights)?;
        for name in self.adapters() {
            let [config, tensors] = adapter_files(&name);
            self.need(&config, "the adapter was asked for by name")?;
            self.need(
                &tensors,
                "an adapter is this file and its adapter_config.json",
            )?;
            texts.push(config);
            weights.push(tensors);
        }
        let below = String::new();
        Ok(Step::Take {
            texts,
            weights,
            below,
        })
    }

    /// What must be known before anything can be said.
    fn first(&self) -> Vec<String> {
        let captioner = texts().chain([WHOLE, INDEX]).map(str::to_owned);
        let adapters = self.adapters();
        let adapters = adapters.iter().flat_map(|name| adapter_files(name));
        let retriever = encoder_files::all(RETRIEVER);
        match self.choice.part {
            Part::Whole => captioner.chain(retriever).chain(adapters).collect(),
            Part::Captioner => captioner.chain(adapters).collect(),
            // Whether a photo encoder lies at the top.
            Part::Retriever => {
                let alone = [CONFIG, TOKENIZER].map(str::to_owned);
                retriever.chain(alone).collect()
            }
        }
    }

    /// Whether a file is there that may belong to the wanted part.
    fn has(&self, name: &str) -> bool {
        let may_belong = match self.choice.part {
            Part::Whole => true,
            Part::Captioner => !name.starts_with(RETRIEVER),
            Part::Retriever => name.starts_with(RETRIEVER),
        };
        may_belong && self.is_there(name)
    }

    fn is_there(&self, name: &str) -> bool {
        self.there.get(name) == Some(&true)
    }

    /// The step for a photo encoder as its authors publish it, with nothing around it; `None` where there is something else.
    fn encoder_alone(&self) -> Result<Option<Step>> {
        // A captioner has words, a model of ours its retriever in a folder.
        let may_be = self.is_there(CONFIG) && !self.is_there(TOKENIZER) && !self.is_there(FIRST);
        if !may_be || self.choice.weights.is_some() {
            return Ok(None);
        }
        match self.encoder {
            None => {
                return Ok(Some(Step::Read {
                    name: CONFIG.into(),
                }));
            }
            Some(false) => return Ok(None),
            Some(true) => {}
        }
        if self.choice.part == Part::Captioner {
            let why = "config.json is that of a photo encoder, which recognises things and writes no captions; give it as the model";
            return Err(missing(TOKENIZER, why));
        }
        let unknown = self.unknown(encoder_files::all(""));
        if !unknown.is_empty() {
            return Ok(Some(Step::Find { names: unknown }));
        }
        let (texts, weights) = encoder_files::taken("", |name| self.is_there(name))?;
        Ok(Some(Step::Take {
            texts,
            weights: vec![weights],
            below: RETRIEVER.to_owned(),
        }))
    }

    /// Whether a file says how photos are prepared.
    fn has_processor(&self) -> bool {
        ImageProcessor::FILES.iter().any(|name| self.has(name))
    }

    /// Those of `names` of which nobody said whether they are there.
    fn unknown(&self, names: impl IntoIterator<Item = String>) -> Vec<String> {
        if self.listed {
            return Vec::new();
        }
        let names = names.into_iter();
        names
            .filter(|name| !self.there.contains_key(name))
            .collect()
    }

    fn need(&self, name: &str, why: &str) -> Result<()> {
        match self.has(name) {
            true => Ok(()),
            false => Err(missing(name, why)),
        }
    }

    /// Names of the files that are there and may belong to the wanted part.
    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.there
            .keys()
            .map(String::as_str)
            .filter(|name| self.has(name))
    }

    /// The small files that describe the captioner whose weights are `names`.
    fn description(&self, names: &[String]) -> Result<Vec<String>> {
        if names.is_empty() {
            let card = [CARD].into_iter().filter(|name| self.has(name));
            return Ok(card.map(str::to_owned).collect());
        }
        let processor = self.has_processor() || self.text_only == Some(true);
        let complete = self.has(CONFIG) && self.has(TOKENIZER) && processor;
        if is_safetensors(names) {
            self.need(CONFIG, "this is not the folder of a model")?;
            self.need(TOKENIZER, "the model has no words without it")?;
            if !processor {
                let [newer, older] = ImageProcessor::FILES;
                let why = format!("it (or {newer}) says how photos are prepared");
                return Err(missing(older, &why));
            }
        }
        if let [_] = names
            && !is_safetensors(names)
            && self.has_processor()
        {
            let why = "the description of how photos are prepared is that of a model that sees, whose vision projector is a file of its own";
            return Err(missing("mmproj", why));
        }
        // GGUF files describe the model themselves; half a description beside them would stand in their way.
        let useful =
            |name: &&str| complete || (*name != CONFIG && !ImageProcessor::FILES.contains(name));
        Ok(texts()
            .filter(|name| self.has(name))
            .filter(|name| is_safetensors(names) || useful(name))
            .map(str::to_owned)
            .collect())
    }

    /// Encoders in folders of the retriever are known where somebody can list them.
    fn retriever(&self, texts: &mut Vec<String>, weights: &mut Vec<String>) -> Result<()> {
        for folder in encoder_files::folders(self.names()) {
            let (its_texts, tensors) = encoder_files::taken(&folder, |name| self.has(name))?;
            texts.extend(its_texts);
            weights.push(tensors);
        }
        Ok(())
    }

    /// Names of folders are asked for on servers, so they must be nothing else.
    fn check_adapters(&self) -> Result<()> {
        for name in self.choice.adapters.iter().flatten() {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '?', '#']) {
                let problem = format!("`{name}` is not the name of a folder below adapters/");
                return Err(option("adapters", problem));
            }
        }
        Ok(())
    }

    /// Names of the adapters to take.
    fn adapters(&self) -> Vec<String> {
        if let Some(names) = &self.choice.adapters {
            return names.clone();
        }
        self.names()
            .filter_map(|path| {
                let (name, file) = path.strip_prefix(ADAPTERS)?.split_once('/')?;
                (file == ADAPTER[0] && self.has(&adapter_files(name)[1])).then(|| name.to_owned())
            })
            .collect()
    }
}

/// The small files a captioner may have.
fn texts() -> impl Iterator<Item = &'static str> {
    let processors = ImageProcessor::FILES.into_iter();
    let more = processors.filter(|name| !TextSettings::FILES.contains(name));
    [CARD, CONFIG, TOKENIZER]
        .into_iter()
        .chain(TextSettings::FILES)
        .chain(more)
}

fn adapter_files(name: &str) -> [String; 2] {
    ADAPTER.map(|file| format!("{ADAPTERS}{name}/{file}"))
}

fn is_safetensors(names: &[String]) -> bool {
    names.iter().all(|name| name.ends_with(".safetensors"))
}

#[cfg(test)]
#[path = "file_plan_tests.rs"]
mod tests;
