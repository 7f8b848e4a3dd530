//! Which GGUF files of a repository are the text model and, if there is one, its vision projector, told by their names and a
//! caller's choice.

use std::collections::BTreeMap;

use super::file_choice::{Choice, missing, option};
use crate::Result;
use crate::weights::split_files;

/// What names of projectors have in them, by llama.cpp's custom.
const PROJECTOR: &str = "mmproj";
/// Element types that projectors are published in.
const TYPES: [&str; 8] = ["f16", "F16", "bf16", "BF16", "f32", "F32", "Q8_0", "q8_0"];

/// The GGUF files of a folder, each with all its parts, by the name of its first part.
pub(super) struct Groups(BTreeMap<String, Vec<String>>);

impl Groups {
    /// Those among `names` that lie in the folder itself.
    ///
    /// # Errors
    /// When a name is that of an impossible part.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut groups = BTreeMap::new();
        for name in names.filter(|name| name.ends_with(".gguf") && !name.contains('/')) {
            let parts = split_files(name)?.unwrap_or_else(|| vec![name.to_owned()]);
            groups.insert(parts[0].clone(), parts);
        }
        Ok(Self(groups))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts of the text model, and those of its projector; without one the model reads text only.
    ///
    /// # Errors
    /// [`crate::Error::Option`] where several are possible, with all their names; [`crate::Error::Missing`] where there is none.
    pub(super) fn choose(self, choice: &Choice) -> Result<Vec<Vec<String>>> {
        let names = || self.0.keys().cloned().collect::<Vec<_>>();
        // Two files whose names say nothing: what they say inside tells the engine which is which.
        if let ([one, other], None, None) = (&*names(), &choice.weights, &choice.mmproj)
            && !is_projector(one)
            && !is_projector(other)
            && stem(one) != stem(other)
        {
            return Ok(vec![self.0[one].clone(), self.0[other].clone()]);
        }
        let weights = self.chosen("weights", choice.weights.as_deref())?;
        let mmproj = self.chosen(PROJECTOR, choice.mmproj.as_deref())?;
        if weights.is_some() && weights == mmproj {
            return Err(option(PROJECTOR, "is the same file as the weights".into()));
        }
        let others = |taken: &Option<String>| -> Vec<String> {
            let rest = names().into_iter();
            rest.filter(|name| Some(name) != taken.as_ref()).collect()
        };
        let weights = match weights {
            Some(name) => name,
            None => {
                let mut found = others(&mmproj);
                found.retain(|name| !is_projector(name));
                only(
                    "weights",
                    found,
                    "the file of the text model's weights (.gguf)",
                )?
            }
        };
        let mmproj = match mmproj {
            Some(name) => Some(name),
            None => {
                let rest = others(&Some(weights.clone()));
                let named = rest.iter().filter(|name| is_projector(name));
                let mut found: Vec<String> = named.cloned().collect();
                if let ([other], [], true) = (&*rest, &*found, choice.weights.is_some())
                    && stem(other) != stem(&weights)
                {
                    found.push(other.clone());
                }
                match found.is_empty() {
                    true => None,
                    false => Some(only(PROJECTOR, found, "the vision projector")?),
                }
            }
        };
        let chosen = std::iter::once(&weights).chain(&mmproj);
        Ok(chosen.map(|name| self.0[name].clone()).collect())
    }

    /// The name of the group that has the chosen file.
    fn chosen(&self, what: &str, name: Option<&str>) -> Result<Option<String>> {
        let Some(name) = name else { return Ok(None) };
        let has = |parts: &Vec<String>| parts.iter().any(|part| part == name);
        match self.0.iter().find(|(_, parts)| has(parts)) {
            Some((first, _)) => Ok(Some(first.clone())),
            None => {
                let there: Vec<&str> = self.0.keys().map(String::as_str).collect();
                let there = there.join(", ");
                Err(option(
                    what,
                    format!("`{name}` is not in the folder; there are: {there}"),
                ))
            }
        }
    }
}

/// The one candidate for the option `what`.
fn only(what: &str, mut found: Vec<String>, called: &str) -> Result<String> {
    match (found.pop(), found.len()) {
        (Some(name), 0) => Ok(name),
        (Some(last), _) => {
            found.push(last);
            let names = found.join(", ");
            Err(option(what, format!("choose one of {names}")))
        }
        (None, _) => Err(missing(called, "only a vision projector is there")),
    }
}

fn is_projector(name: &str) -> bool {
    name.to_ascii_lowercase().contains(PROJECTOR)
}

/// The names to try where nobody can list the files: those chosen, and what projectors beside them are called by custom.
///
/// # Errors
/// When the chosen name is that of an impossible part.
pub(super) fn guesses(choice: &Choice) -> Result<Vec<String>> {
    let weights = choice
        .weights
        .as_deref()
        .filter(|name| name.ends_with(".gguf"));
    let weights = weights.unwrap_or("model.gguf");
    let mut names = split_files(weights)?.unwrap_or_else(|| vec![weights.to_owned()]);
    match &choice.mmproj {
        Some(chosen) => names.extend(split_files(chosen)?.unwrap_or_else(|| vec![chosen.clone()])),
        None => names.extend(projectors_of(&names[0])),
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn projectors_of(weights: &str) -> Vec<String> {
    let whole = weights.strip_suffix(".gguf").unwrap_or(weights);
    let whole = match whole
        .rsplit_once("-of-")
        .and_then(|(rest, _)| rest.rsplit_once('-'))
    {
        Some((stem, _)) if split_files(weights).is_ok_and(|parts| parts.is_some()) => stem,
        _ => whole,
    };
    let (stem, own) = match whole.rsplit_once(['-', '.']) {
        Some((stem, kind)) if is_type(kind) => (stem, Some(kind)),
        _ => (whole, None),
    };
    let types = TYPES.into_iter().chain(own);
    let mut names = vec!["mmproj.gguf".to_owned(), format!("mmproj-{whole}.gguf")];
    for kind in types {
        names.push(format!("mmproj-{stem}-{kind}.gguf"));
        names.push(format!("mmproj-{kind}.gguf"));
        names.push(format!("mmproj-model-{kind}.gguf"));
    }
    names.push(format!("mmproj-{stem}.gguf"));
    names
}

/// A name without what says how its weights are stored.
fn stem(name: &str) -> &str {
    let whole = name.strip_suffix(".gguf").unwrap_or(name);
    match whole.rsplit_once(['-', '.']) {
        Some((stem, kind)) if is_type(kind) => stem,
        _ => whole,
    }
}

/// Whether the last part of a name says how weights are stored: `Q4_K_M`, `IQ2_XS`, `f16`, `BF16`.
fn is_type(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let rest = ["iq", "tq", "q", "bf", "f", "mxfp"]
        .iter()
        .find_map(|kind| lower.strip_prefix(kind));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
