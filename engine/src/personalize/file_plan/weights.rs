//! Which files hold a captioner's weights: one, an index and its shards, or those of GGUF.

use super::{CONFIG, FilePlan, INDEX, Known, WHOLE};
use crate::personalize::encoder_files::FIRST;
use crate::personalize::file_choice::{Part, missing, option};
use crate::personalize::gguf_choice::{self, Groups};
use crate::{Error, Result};

impl FilePlan {
    /// The captioner's weight files.
    pub(super) fn weights(&self) -> Result<Known<Vec<String>>> {
        let chosen = self.choice.weights.as_deref();
        match chosen {
            Some(WHOLE | INDEX) => {}
            Some(name) if name.ends_with(".gguf") => return self.gguf(),
            Some(name) => {
                let problem = format!("`{name}` is neither {WHOLE} nor {INDEX} nor a .gguf file");
                return Err(option("weights", problem));
            }
            // Tensors without a description are nothing that can be loaded.
            None if !self.has(CONFIG) => return self.gguf(),
            None => {}
        }
        if self.has(WHOLE) && chosen != Some(INDEX) {
            return Ok(Known::Yes(vec![WHOLE.into()]));
        }
        if !self.has(INDEX) || chosen == Some(WHOLE) {
            return self.gguf();
        }
        let Some(shards) = &self.shards else {
            return Ok(Known::Ask(vec![INDEX.into()]));
        };
        self.all_parts(shards)
    }

    /// A model in parts, once all are known to be there.
    fn all_parts(&self, parts: &[String]) -> Result<Known<Vec<String>>> {
        let unknown = self.unknown(parts.iter().cloned());
        if !unknown.is_empty() {
            return Ok(Known::Ask(unknown));
        }
        let gone: Vec<&String> = parts.iter().filter(|name| !self.has(name)).collect();
        let Some(first) = gone.first() else {
            return Ok(Known::Yes(parts.to_vec()));
        };
        let others = match gone.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let why = format!(
            "the model is in {} files and all must be in its folder{others}",
            parts.len()
        );
        Err(missing(first, &why))
    }

    /// The GGUF files of a text model and, where there is one, of its vision projector.
    fn gguf(&self) -> Result<Known<Vec<String>>> {
        if !self.listed {
            let guesses = gguf_choice::guesses(&self.choice)?;
            let unknown = self.unknown(guesses);
            if !unknown.is_empty() {
                return Ok(Known::Ask(unknown));
            }
        }
        let groups = Groups::of(self.names())?;
        if groups.is_empty() {
            // A retriever alone is a model as well: it recognises and writes nothing.
            let alone = self.has(FIRST) && !self.has(CONFIG);
            return match alone && self.choice.weights.is_none() {
                true => Ok(Known::Yes(Vec::new())),
                false => Err(self.nothing()),
            };
        }
        let mut all = Vec::new();
        for parts in groups.choose(&self.choice)? {
            match self.all_parts(&parts)? {
                Known::Yes(names) => all.extend(names),
                ask => return Ok(ask),
            }
        }
        Ok(Known::Yes(all))
    }

    /// The error of a repository without weights.
    fn nothing(&self) -> Error {
        if self.choice.part == Part::Retriever {
            let why = "this model has nothing that searches photos for known things";
            return missing(FIRST, why);
        }
        let also = match self.listed {
            true => "a GGUF file",
            false => {
                "model.gguf (of a GGUF file with another name give the address of the file itself)"
            }
        };
        match (self.has(CONFIG), self.choice.weights.as_deref()) {
            (_, Some(chosen)) => missing(chosen, "it was chosen as the weights of the model"),
            (true, None) => missing(
                "the file of weights",
                &format!("neither {WHOLE} nor {INDEX} nor {also} is there"),
            ),
            (false, None) => missing(
                CONFIG,
                &format!("this is not the folder of a model; neither is {also} there"),
            ),
        }
    }
}
