//! The photos of concepts and what encoders made of them.

use super::index::FlatIndex;
use super::library::{Library, missing};
use super::record::{Concept, Embedded, Reference, check_embedded};
use crate::Result;

impl Library {
    /// Changes the encoder: there is one index, built anew from the references this encoder has seen.
    pub fn use_encoder(&mut self, encoder: impl Into<String>) {
        let searched = self.index().searched();
        self.indexes = vec![FlatIndex::build(encoder, searched, self.list())];
        self.revision += 1;
    }

    /// Whether each of the current encoders has seen a photo.
    pub fn has_seen(&self, photo: &Reference) -> bool {
        let mut indexes = self.indexes.iter();
        indexes.all(|index| photo.embeddings_of(index.encoder()).is_some())
    }

    /// The references (concept id, position) that not all of the current encoders have seen yet.
    pub fn unseen_references(&self) -> Vec<(String, usize)> {
        let unseen = |r: &Reference| !self.has_seen(r);
        self.list()
            .flat_map(|c| {
                c.references
                    .iter()
                    .enumerate()
                    .filter(|(_, r)| unseen(r))
                    .map(|(i, _)| (c.id.clone(), i))
            })
            .collect()
    }

    /// Adds a photo after the others.
    ///
    /// # Errors
    /// [`crate::Error::Concept`] if there is no such concept or it holds too many photos.
    pub fn add_reference(&mut self, id: &str, reference: Reference, now_ms: u64) -> Result<()> {
        self.change(id, now_ms, |concept| {
            concept.references.push(reference);
            Ok(())
        })
    }

    /// Removes the photo at `position` and returns it.
    ///
    /// # Errors
    /// [`crate::Error::Concept`] if there is no such concept or photo.
    pub fn remove_reference(
        &mut self,
        id: &str,
        position: usize,
        now_ms: u64,
    ) -> Result<Reference> {
        let mut removed = None;
        self.change(id, now_ms, |concept| {
            find_photo(concept, position)?;
            removed = Some(concept.references.remove(position));
            Ok(())
        })?;
        removed.ok_or_else(|| missing(id))
    }

    /// Records what encoders made of a photo, in the place of all that was known. The concept's times do not change.
    ///
    /// # Errors
    /// [`crate::Error::Concept`] if there is no such photo or an embedding is not usable.
    pub fn set_embeddings(
        &mut self,
        id: &str,
        position: usize,
        embedded: Vec<Embedded>,
    ) -> Result<()> {
        let updated_ms = self.get(id).ok_or_else(|| missing(id))?.updated_ms;
        self.change(id, updated_ms, |concept| {
            let reference = find_photo(concept, position)?;
            check_embedded(&embedded)?;
            reference.embedded = embedded;
            Ok(())
        })
    }
}

fn find_photo(concept: &mut Concept, position: usize) -> Result<&mut Reference, String> {
    let count = concept.references.len();
    concept
        .references
        .get_mut(position)
        .ok_or_else(|| format!("there is no photo {position}; it has {count}, counted from 0"))
}
