//! Stage 3: the concepts that go into the prompt, in its order, and what the captioner is told of each.

use std::sync::Arc;

use crate::concepts::{Concept, Retrieved};
use crate::personalize::engine::Engine;
use crate::personalize::hint::{Hint, reading_order};

/// A concept of the prompt.
pub(super) struct Chosen {
    /// What the library has of it.
    pub(super) concept: Concept,
    /// The reference photo that the model compares with.
    pub(super) photo: Arc<[u8]>,
    /// What retrieval found of it.
    pub(super) retrieved: Retrieved,
    /// What the captioner is told of where it is.
    pub(super) hint: Hint,
}

/// The retrieved concepts that have a reference photo, in [`reading_order`].
///
/// Without `hints`, or where nothing searched the photo, the captioner is told nothing, and the order is that of retrieval.
pub(super) fn choose(engine: &Engine, retrieved: &[Retrieved], hints: bool) -> Vec<Chosen> {
    let hints = hints && engine.retriever.is_some();
    let all: Vec<Hint> = retrieved
        .iter()
        .map(|found| match hints {
            true => Hint::from(found),
            false => Hint::None,
        })
        .collect();
    reading_order(&all)
        .into_iter()
        .filter_map(|at| {
            let concept = engine.library.get(&retrieved[at].id)?;
            let photo = concept.references.first()?.photo.clone();
            Some(Chosen {
                photo,
                concept: concept.clone(),
                retrieved: retrieved[at].clone(),
                hint: all[at],
            })
        })
        .collect()
}
