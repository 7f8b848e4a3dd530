//! Changes of the library, each whole or not at all: the records are edited on a copy, their new photos are embedded, and
//! only then does the copy take the place of the library.

use std::sync::Arc;

use super::engine::Engine;
use super::retriever::Retriever;
use crate::concepts::{Concept, ConceptFile, GivenPhoto, Library, OnCollision, Reference};
use crate::host::Host;
use crate::image::decode;
use crate::{Error, Result};

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// Ids of the new concepts, in the order of the file.
    pub added: Vec<String>,
    /// Names that were taken: in the file, in the library.
    pub renamed: Vec<(String, String)>,
    /// What was left out of the file, an error an entry.
    pub problems: Vec<Error>,
}

/// What of a stored library could be put back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Restored {
    /// Concepts that are there again.
    pub count: usize,
    /// Why the others are not, or are there but cannot be recognised yet.
    pub problems: Vec<Error>,
}

impl Engine {
    /// Changes the library by `edit` and embeds the photos that came with it, or changes nothing.
    ///
    /// # Errors
    /// That of `edit`, or of a new photo that cannot be read or embedded; the library is then as it was.
    pub async fn edit_library<T>(
        &mut self,
        host: &dyn Host,
        edit: impl FnOnce(&mut Library) -> Result<T>,
    ) -> Result<T> {
        // A copy shares the photos, so this costs texts and embeddings only.
        let mut next = self.library.clone();
        let out = edit(&mut next)?;
        for id in changed(&self.library, &next) {
            let known = self.library.get(&id);
            embed_new(self.retriever.as_ref(), &mut next, &id, known, host).await?;
        }
        self.library = next;
        Ok(out)
    }

    /// Adds the concepts of a file with those of the `given` photos that are theirs; names that are taken get a number.
    /// `path` is the file's own among the photos', where it is known.
    ///
    /// # Errors
    /// When nothing of the file can be imported, or a photo cannot be embedded; the library is then as it was.
    pub async fn import_file(
        &mut self,
        file: ConceptFile,
        given: &[GivenPhoto],
        path: Option<&str>,
        now_ms: u64,
        host: &dyn Host,
    ) -> Result<Imported> {
        let separate = matches!(file, ConceptFile::Database(_));
        let mut contents = file.contents(given, path, now_ms)?;
        if separate {
            let had = !contents.concepts.is_empty();
            let problems = &mut contents.problems;
            contents
                .concepts
                .retain_mut(|concept| readable(concept, problems));
            if had && contents.concepts.is_empty() {
                // Every concept that is left out left a problem.
                return Err(contents.problems.swap_remove(0));
            }
        }
        let concepts = contents.concepts;
        let import = |library: &mut Library| library.import(concepts, OnCollision::Rename);
        let report = self.edit_library(host, import).await?;
        Ok(Imported {
            added: report.added,
            renamed: report.renamed,
            problems: contents.problems,
        })
    }

    /// Puts stored concepts back, each whole or not at all. Where the device fails, those that are left cannot be
    /// recognised until [`Engine::embed_references`] succeeds, but keep their names.
    pub async fn restore(&mut self, stored: Vec<Concept>, host: &dyn Host) -> Restored {
        let mut next = self.library.clone();
        let mut restored = Restored::default();
        let mut retriever = self.retriever.as_ref();
        for concept in stored {
            let id = concept.id.clone();
            if let Err(error) = next.restore(concept) {
                restored.problems.push(error);
                continue;
            }
            let unread = match retriever {
                Some(_) => embed_new(retriever, &mut next, &id, None, host).await.err(),
                None => None,
            };
            match unread {
                Some(error @ (Error::Image { .. } | Error::Concept { .. })) => {
                    restored.problems.push(of_concept(&next, &id, &error));
                    // It was added a moment ago, so it is there to delete.
                    let _ = next.delete(&id);
                    continue;
                }
                Some(error) => {
                    retriever = None;
                    restored.problems.push(error);
                }
                None => {}
            }
            restored.count += 1;
        }
        self.library = next;
        restored
    }

    /// Embeds every reference photo that not all of the current encoders have seen.
    ///
    /// # Errors
    /// When a photo cannot be read; those before it keep their embeddings.
    pub async fn embed_references(&mut self, host: &dyn Host) -> Result<()> {
        let Some(retriever) = &self.retriever else {
            return Ok(());
        };
        for (id, position) in self.library.unseen_references() {
            let photo = photo_of(&self.library, &id, position);
            let Some(photo) = photo.filter(|photo| !photo.is_empty()) else {
                continue;
            };
            let box_ = box_of(&self.library, &id, position);
            let embedded = retriever
                .embed_reference(&decode(&photo)?, box_, host)
                .await?;
            self.library.set_embeddings(&id, position, embedded)?;
        }
        Ok(())
    }
}

/// Ids of the concepts of `next` that have photos they do not have in `before`.
fn changed(before: &Library, next: &Library) -> Vec<String> {
    next.list()
        .filter(|concept| {
            let known = before.get(&concept.id);
            concept.references.iter().any(|photo| is_new(photo, known))
        })
        .map(|concept| concept.id.clone())
        .collect()
}

fn is_new(photo: &Reference, known: Option<&Concept>) -> bool {
    let mut old = known.into_iter().flat_map(|concept| &concept.references);
    !old.any(|old| Arc::ptr_eq(&old.photo, &photo.photo))
}

/// Reads the photos of a concept that `known` does not have, and embeds those that were not.
async fn embed_new(
    retriever: Option<&Retriever>,
    library: &mut Library,
    id: &str,
    known: Option<&Concept>,
    host: &dyn Host,
) -> Result<()> {
    let Some(concept) = library.get(id) else {
        return Ok(());
    };
    let seen = |photo: &Reference| library.has_seen(photo);
    let photos: Vec<usize> = (0..concept.references.len())
        .filter(|&at| is_new(&concept.references[at], known) && !seen(&concept.references[at]))
        .collect();
    for position in photos {
        let Some(photo) = photo_of(library, id, position) else {
            continue;
        };
        let photo = decode(&photo)?;
        if let Some(retriever) = retriever {
            let box_ = box_of(library, id, position);
            let embedded = retriever.embed_reference(&photo, box_, host).await?;
            library.set_embeddings(id, position, embedded)?;
        }
    }
    Ok(())
}

fn photo_of(library: &Library, id: &str, position: usize) -> Option<Arc<[u8]>> {
    let reference = library.get(id)?.references.get(position)?;
    Some(Arc::clone(&reference.photo))
}

fn box_of(library: &Library, id: &str, position: usize) -> Option<[f32; 4]> {
    library.get(id)?.references.get(position)?.box_
}

/// Lets go of the photos of a concept that cannot be read; false when none is left of those it had.
fn readable(concept: &mut Concept, problems: &mut Vec<Error>) -> bool {
    let had = concept.references.len();
    let name = concept.name.clone();
    concept
        .references
        .retain(|photo| match decode(&photo.photo) {
            Ok(_) => true,
            Err(error) => {
                let problem = format!("a photo of it was left out: {error}");
                let concept = name.clone();
                problems.push(Error::Concept { concept, problem });
                false
            }
        });
    had == 0 || !concept.references.is_empty()
}

/// An error of one photo, as one of the concept it is of.
fn of_concept(library: &Library, id: &str, error: &Error) -> Error {
    let name = library.get(id).map_or(id, |concept| concept.name.as_str());
    Error::Concept {
        concept: name.to_owned(),
        problem: format!("is left out: {error}; remove it or import it again"),
    }
}
