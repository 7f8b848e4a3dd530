//! The library: named things, added, changed and found by name, visible to the very next caption.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::index::FlatIndex;
use super::record::{Concept, ConceptPatch, NewConcept, check_id, shown, slug};
use super::spelling;
use crate::{Error, Result};

/// All concepts, in the order they were added.
///
/// Every change is checked first and applied whole or not at all. The embedding index is kept up
/// to date with each change.
#[derive(Debug, Clone, PartialEq)]
pub struct Library {
    concepts: IndexMap<String, Concept>,
    /// Name and alias keys (see [`spelling::key`]) to concept ids.
    keys: HashMap<String, String>,
    /// One for each encoder; there is always one.
    pub(super) indexes: Vec<FlatIndex>,
    pub(super) revision: u64,
}

impl Library {
    /// An empty library whose index holds the embeddings of the encoder with this digest.
    pub fn new(encoder: impl Into<String>) -> Self {
        Self {
            indexes: vec![FlatIndex::new(encoder)],
            concepts: IndexMap::new(),
            keys: HashMap::new(),
            revision: 0,
        }
    }

    /// An empty library with an index for each of several encoders, as [`FlatIndex::new`] and [`FlatIndex::of_first`] make them.
    pub fn of_indexes(indexes: Vec<FlatIndex>) -> Self {
        let mut library = Self::new("");
        if !indexes.is_empty() {
            library.indexes = indexes;
        }
        library
    }

    /// Grows with every change; equal revisions of one library mean equal contents.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many concepts there are.
    pub fn len(&self) -> usize {
        self.concepts.len()
    }

    /// Whether there are no concepts.
    pub fn is_empty(&self) -> bool {
        self.concepts.is_empty()
    }

    /// The concepts in the order they were added.
    pub fn list(&self) -> impl DoubleEndedIterator<Item = &Concept> + ExactSizeIterator {
        self.concepts.values()
    }

    /// The concept with this id.
    pub fn get(&self, id: &str) -> Option<&Concept> {
        self.concepts.get(id)
    }

    /// The concept a name or alias stands for, whatever its case and with or without `<>`.
    pub fn find_by_name_or_alias(&self, name: &str) -> Option<&Concept> {
        self.keys
            .get(&spelling::key(name))
            .and_then(|id| self.concepts.get(id))
    }

    /// The embeddings of the current encoder, the first of several.
    pub fn index(&self) -> &FlatIndex {
        // There is always one.
        &self.indexes[0]
    }

    /// The embeddings of the encoder with this digest, if it is one of the current ones.
    pub fn index_of(&self, encoder: &str) -> Option<&FlatIndex> {
        let mut indexes = self.indexes.iter();
        indexes.find(|index| index.encoder() == encoder)
    }

    /// Adds a concept at time `now_ms` and returns its id.
    ///
    /// # Errors
    /// [`Error::Concept`] if a field is over its limit, or the id, name or an alias is taken.
    pub fn add(&mut self, new: NewConcept, now_ms: u64) -> Result<String> {
        let id = match new.id {
            Some(id) => id,
            None => self.free_id(&new.name),
        };
        let concept = Concept {
            id: id.clone(),
            name: new.name,
            aliases: new.aliases,
            category: new.category,
            info: new.info,
            references: new.references,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        self.restore(concept)?;
        Ok(id)
    }

    /// Adds a complete record as it was stored, with its id and times.
    ///
    /// # Errors
    /// As [`Library::add`].
    pub fn restore(&mut self, mut concept: Concept) -> Result<()> {
        check_id(&concept.id)?;
        if self.concepts.contains_key(&concept.id) {
            let problem = format!(
                "the id `{}` is taken; leave it out to get a free one",
                concept.id
            );
            return Err(Error::Concept {
                concept: shown(&concept.name, &concept.id),
                problem,
            });
        }
        concept.normalise()?;
        self.check_free(&concept)?;
        self.check_dim(&concept)?;
        self.put(concept);
        Ok(())
    }

    /// Gives a concept another name; the old one is forgotten.
    ///
    /// # Errors
    /// As [`Library::edit`].
    pub fn rename(&mut self, id: &str, name: impl Into<String>, now_ms: u64) -> Result<()> {
        self.edit(
            id,
            ConceptPatch {
                name: Some(name.into()),
                ..ConceptPatch::default()
            },
            now_ms,
        )
    }

    /// Changes the texts of a concept.
    ///
    /// # Errors
    /// [`Error::Concept`] if there is no such concept, a limit is passed or a name is taken.
    pub fn edit(&mut self, id: &str, patch: ConceptPatch, now_ms: u64) -> Result<()> {
        self.change(id, now_ms, |concept| {
            let ConceptPatch {
                name,
                aliases,
                category,
                info,
            } = patch;
            concept.name = name.unwrap_or_else(|| std::mem::take(&mut concept.name));
            concept.aliases = aliases.unwrap_or_else(|| std::mem::take(&mut concept.aliases));
            concept.category = category.unwrap_or_else(|| std::mem::take(&mut concept.category));
            concept.info = info.unwrap_or_else(|| std::mem::take(&mut concept.info));
            Ok(())
        })
    }

    /// Removes a concept and returns it.
    ///
    /// # Errors
    /// [`Error::Concept`] if there is no such concept.
    pub fn delete(&mut self, id: &str) -> Result<Concept> {
        let concept = self.concepts.shift_remove(id).ok_or_else(|| missing(id))?;
        self.forget_names(&concept);
        for index in &mut self.indexes {
            index.take(id);
        }
        self.revision += 1;
        Ok(concept)
    }

    /// Stores `concept` in the place of the one with its id.
    pub(super) fn swap(&mut self, concept: Concept) -> Result<()> {
        let (id, updated_ms) = (concept.id.clone(), concept.updated_ms);
        self.change(&id, updated_ms, |old| {
            *old = concept;
            Ok(())
        })
    }

    /// An id for `name` that no concept has.
    pub(super) fn free_id(&self, name: &str) -> String {
        let slug = slug(name);
        if !self.concepts.contains_key(&slug) {
            return slug;
        }
        let number = free_number(|n| self.concepts.contains_key(&format!("{slug}-{n}")));
        format!("{slug}-{number}")
    }

    /// Applies `change` to a copy, checks it, and only then stores it.
    pub(super) fn change(
        &mut self,
        id: &str,
        now_ms: u64,
        change: impl FnOnce(&mut Concept) -> Result<(), String>,
    ) -> Result<()> {
        let mut concept = self.concepts.get(id).ok_or_else(|| missing(id))?.clone();
        change(&mut concept).map_err(|problem| Error::Concept {
            concept: shown(&concept.name, id),
            problem,
        })?;
        concept.normalise()?;
        concept.updated_ms = now_ms;
        self.check_free(&concept)?;
        self.check_dim(&concept)?;
        self.put(concept);
        Ok(())
    }

    /// Stores a checked record, new or in the place of the old one, and brings keys and index along.
    fn put(&mut self, concept: Concept) {
        let id = concept.id.clone();
        let (at, old) = self.concepts.insert_full(id.clone(), concept);
        if let Some(old) = old {
            self.forget_names(&old);
        }
        let concept = &self.concepts[at];
        for name in concept.names() {
            self.keys.insert(spelling::key(name), id.clone());
        }
        for index in &mut self.indexes {
            index.put(concept);
        }
        self.revision += 1;
    }

    fn forget_names(&mut self, concept: &Concept) {
        for name in concept.names() {
            let key = spelling::key(name);
            if self.keys.get(&key) == Some(&concept.id) {
                self.keys.remove(&key);
            }
        }
    }

    fn check_free(&self, concept: &Concept) -> Result<()> {
        for name in concept.names() {
            let owner = self
                .keys
                .get(&spelling::key(name))
                .filter(|owner| **owner != concept.id);
            if let Some(owner) = owner.and_then(|id| self.concepts.get(id)) {
                let problem = format!(
                    "`{}` is already a name or alias of `{}`; choose another or change that concept",
                    shown(name, ""),
                    shown(&owner.name, &owner.id)
                );
                return Err(Error::Concept {
                    concept: shown(&concept.name, &concept.id),
                    problem,
                });
            }
        }
        Ok(())
    }

    /// One encoder makes embeddings of one size: within the concept and across the library.
    fn check_dim(&self, concept: &Concept) -> Result<()> {
        for index in &self.indexes {
            let alone = index.rows_of(&concept.id).len() == index.len();
            let mut want = if alone {
                index.own_width()
            } else {
                Some(index.dim())
            };
            let references = concept.references.iter();
            let own = references.filter_map(|r| r.embeddings_of(index.encoder()));
            for e in own.flatten() {
                let want = *want.get_or_insert(e.len());
                if e.len() != want {
                    let problem = format!(
                        "an embedding has {} numbers, others of its encoder have {want}",
                        e.len()
                    );
                    return Err(Error::Concept {
                        concept: shown(&concept.name, &concept.id),
                        problem,
                    });
                }
            }
        }
        Ok(())
    }
}

/// A number from 2 up that is not taken: the lowest, where the taken ones have no gap.
///
/// Doubling, then halving: a file of ten thousand equal names must not take ten thousand looks each.
pub(super) fn free_number(taken: impl Fn(u64) -> bool) -> u64 {
    let mut free = 2;
    while taken(free) {
        free *= 2;
    }
    let mut used = free / 2;
    while free - used > 1 {
        let middle = used + (free - used) / 2;
        if taken(middle) {
            used = middle
        } else {
            free = middle
        }
    }
    free
}

pub(super) fn missing(id: &str) -> Error {
    Error::Concept {
        concept: shown(id, id),
        problem: "there is no such concept; list them for their ids".into(),
    }
}

impl Default for Library {
    fn default() -> Self {
        Self::new("")
    }
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
