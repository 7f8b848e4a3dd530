//! The flat embedding index: every embedding of the library in one block of memory.
//!
//! Rows follow the order of the library (concept, photo, embedding), so that an index kept up to
//! date change by change is equal, bit for bit, to one built from nothing.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;

use super::record::Concept;

/// Where a row of the index comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Id of the concept.
    pub concept: String,
    /// Which of its references.
    pub reference: usize,
    /// Which of the reference's embeddings.
    pub embedding: usize,
}

/// All embeddings made by one encoder, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FlatIndex {
    encoder: String,
    /// Only so many embeddings of a reference are searched, if not all: an encoder may keep others for a closer look.
    searched: Option<usize>,
    /// Numbers in each of the encoder's embeddings, where that is known before there is one.
    width: Option<usize>,
    dim: usize,
    /// The rows of each concept, in the order of the library; empty for one that was not embedded.
    spans: IndexMap<String, Range<usize>>,
    rows: Vec<Row>,
    /// Shared with copies, so that a copy of a library is cheap and a device's copy can be told to be of this.
    vectors: Arc<Vec<f32>>,
}

impl FlatIndex {
    /// An empty index for the encoder with this digest.
    pub fn new(encoder: impl Into<String>) -> Self {
        Self {
            encoder: encoder.into(),
            ..Self::default()
        }
    }

    /// The same index, of the first `searched` embeddings of each reference.
    #[must_use]
    pub fn of_first(mut self, searched: Option<usize>) -> Self {
        self.searched = searched;
        self
    }

    /// The same index, of embeddings of `width` numbers.
    #[must_use]
    pub fn of_width(mut self, width: Option<usize>) -> Self {
        self.width = width;
        self
    }

    /// How many numbers its encoder's embeddings have, where that is known before there is one.
    pub(super) fn own_width(&self) -> Option<usize> {
        self.width
    }

    /// An index of `concepts`, built from nothing.
    pub fn build<'a>(
        encoder: impl Into<String>,
        searched: Option<usize>,
        concepts: impl IntoIterator<Item = &'a Concept>,
    ) -> Self {
        let mut index = Self::new(encoder).of_first(searched);
        for concept in concepts {
            index.put(concept);
        }
        index
    }

    /// How many embeddings of each reference are searched, if not all.
    pub fn searched(&self) -> Option<usize> {
        self.searched
    }

    /// Digest of the encoder whose embeddings are indexed.
    pub fn encoder(&self) -> &str {
        &self.encoder
    }

    /// Numbers in a row; 0 while the index is empty.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Where each row comes from.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The embeddings, `[rows, dim]`, row-major, unit length. The same pointer means the same numbers.
    pub fn vectors(&self) -> &Arc<Vec<f32>> {
        &self.vectors
    }

    /// The rows of one concept.
    pub fn rows_of(&self, concept: &str) -> Range<usize> {
        let span = self.spans.get(concept).cloned();
        span.unwrap_or(self.rows.len()..self.rows.len())
    }

    /// Puts the rows of `concept` in the place of those it has, or after all others.
    pub(super) fn put(&mut self, concept: &Concept) {
        let (rows, vectors): (Vec<Row>, Vec<&[f32]>) = self
            .embeddings(concept)
            .map(|(reference, embedding, vector)| {
                (
                    Row {
                        concept: concept.id.clone(),
                        reference,
                        embedding,
                    },
                    vector,
                )
            })
            .unzip();
        self.splice(&concept.id, rows, &vectors);
    }

    /// Forgets a concept.
    pub(super) fn take(&mut self, concept: &str) {
        self.splice(concept, Vec::new(), &[]);
        self.spans.shift_remove(concept);
    }

    /// Replaces the rows of `concept` and moves those behind them.
    fn splice(&mut self, concept: &str, rows: Vec<Row>, vectors: &[&[f32]]) {
        let old = self.rows_of(concept);
        if old.is_empty() && rows.is_empty() {
            self.spans.entry(concept.to_owned()).or_insert(old);
            return;
        }
        // The only rows there are may be of another width than the new ones.
        let dim = match vectors.first() {
            Some(first) if old.len() == self.rows.len() => first.len(),
            _ => self.dim,
        };
        let numbers = old.start * self.dim..old.end * self.dim;
        Arc::make_mut(&mut self.vectors).splice(numbers, vectors.concat());
        self.dim = dim;
        let new = old.start..old.start + rows.len();
        self.rows.splice(old.clone(), rows);
        if self.rows.is_empty() {
            self.dim = 0;
        }
        let end = new.end;
        let (at, _) = self.spans.insert_full(concept.to_owned(), new);
        if end != old.end {
            for (_, span) in self.spans.iter_mut().skip(at + 1) {
                let length = span.len();
                span.start = span.start + end - old.end;
                span.end = span.start + length;
            }
        }
    }

    fn embeddings<'a>(
        &self,
        concept: &'a Concept,
    ) -> impl Iterator<Item = (usize, usize, &'a [f32])> + use<'a> {
        let encoder = self.encoder.clone();
        let searched = self.searched.unwrap_or(usize::MAX);
        concept
            .references
            .iter()
            .enumerate()
            .flat_map(move |(r, reference)| {
                let own = reference.embeddings_of(&encoder).unwrap_or_default();
                own.iter()
                    .take(searched)
                    .enumerate()
                    .map(move |(e, v)| (r, e, v.as_slice()))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::concepts::{Embedded, Reference};

    fn concept(id: usize, rows: usize) -> Concept {
        let reference = |row: usize| Reference {
            photo: vec![1].into(),
            box_: None,
            embedded: vec![Embedded {
                encoder: "e".into(),
                embeddings: vec![vec![id as f32, row as f32]],
            }],
        };
        Concept {
            id: id.to_string(),
            name: id.to_string(),
            aliases: vec![],
            category: String::new(),
            info: String::new(),
            references: (0..rows).map(reference).collect(),
            created_ms: 0,
            updated_ms: 0,
        }
    }

    #[test]
    fn ten_thousand_concepts_find_their_rows_after_every_kind_of_change() {
        let mut index = FlatIndex::new("e");
        for id in 0..10_000 {
            index.put(&concept(id, id % 3));
        }
        // One grows, one shrinks to nothing, one goes, one that had none gets some.
        index.put(&concept(4, 5));
        index.put(&concept(5, 0));
        index.take("7");
        index.put(&concept(9_000, 2));
        assert_eq!(index.len(), 9_999 + 4 - 2 - 1 + 2);
        for id in (0..10_000).rev() {
            let want = match id {
                4 => 5,
                5 | 7 => 0,
                9_000 => 2,
                _ => id % 3,
            };
            let rows = index.rows_of(&id.to_string());
            assert_eq!(rows.len(), want, "{id}");
            for (row, at) in rows.enumerate() {
                assert_eq!(index.vectors()[2 * at..][..2], [id as f32, row as f32]);
            }
        }
    }
}
