//! The photos of concepts and what the encoder made of them.

use super::index::FlatIndex;
use super::library::{Library, missing};
use super::record::{Concept, Reference, check_embeddings};
use crate::Result;

impl Library {
    /// Changes the encoder: the index is built anew from the references this encoder has seen.
    pub fn use_encoder(&mut self, encoder: impl Into<String>) {
        self.index = FlatIndex::build(encoder, self.index.searched(), self.list());
        self.revision += 1;
    }

    /// The references (concept id, position) the current encoder has not seen yet.
    pub fn unseen_references(&self) -> Vec<(String, usize)> {
        let unseen = |r: &Reference| r.encoder != self.index.encoder() || r.embeddings.is_empty();
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

    /// Records what an encoder made of a photo. The concept's times do not change.
    ///
    /// # Errors
    /// [`crate::Error::Concept`] if there is no such photo or an embedding is not usable.
    pub fn set_embeddings(
        &mut self,
        id: &str,
        position: usize,
        encoder: &str,
        embeddings: Vec<Vec<f32>>,
    ) -> Result<()> {
        let updated_ms = self.get(id).ok_or_else(|| missing(id))?.updated_ms;
        self.change(id, updated_ms, |concept| {
            let reference = find_photo(concept, position)?;
            check_embeddings(encoder, &embeddings)?;
            reference.encoder = if embeddings.is_empty() {
                String::new()
            } else {
                encoder.to_owned()
            };
            reference.embeddings = embeddings;
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
