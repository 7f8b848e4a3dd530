//! The flat embedding index: every embedding of the library in one block of memory.
//!
//! Rows follow the order of the library (concept, photo, embedding), so that an index kept up to
//! date change by change is equal, bit for bit, to one built from nothing.

use std::ops::Range;

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
    dim: usize,
    rows: Vec<Row>,
    vectors: Vec<f32>,
}

impl FlatIndex {
    /// An empty index for the encoder with this digest.
    pub fn new(encoder: impl Into<String>) -> Self {
        Self {
            encoder: encoder.into(),
            ..Self::default()
        }
    }

    /// An index of `concepts`, built from nothing.
    pub fn build<'a>(
        encoder: impl Into<String>,
        concepts: impl IntoIterator<Item = &'a Concept>,
    ) -> Self {
        let mut index = Self::new(encoder);
        for concept in concepts {
            index.put(concept, index.len());
        }
        index
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

    /// The embeddings, `[rows, dim]`, row-major, unit length.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// The rows of one concept.
    pub fn rows_of(&self, concept: &str) -> Range<usize> {
        let start = self
            .rows
            .iter()
            .position(|row| row.concept == concept)
            .unwrap_or(self.rows.len());
        let count = self
            .rows
            .iter()
            .skip(start)
            .take_while(|row| row.concept == concept)
            .count();
        start..start + count
    }

    /// How many rows `concept` has in an index of this encoder.
    pub(super) fn count(&self, concept: &Concept) -> usize {
        self.embeddings(concept).count()
    }

    /// Inserts the rows of `concept`, which has none yet, before row `at`.
    pub(super) fn put(&mut self, concept: &Concept, at: usize) {
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
        if let Some(first) = vectors.first() {
            self.dim = first.len();
        }
        let start = at * self.dim;
        self.rows.splice(at..at, rows);
        self.vectors.splice(start..start, vectors.concat());
    }

    /// Removes the rows of the concept and says where they were.
    pub(super) fn take(&mut self, concept: &str) -> Range<usize> {
        let range = self.rows_of(concept);
        self.rows.drain(range.clone());
        self.vectors
            .drain(range.start * self.dim..range.end * self.dim);
        if self.rows.is_empty() {
            self.dim = 0;
        }
        range
    }

    fn embeddings<'a>(
        &self,
        concept: &'a Concept,
    ) -> impl Iterator<Item = (usize, usize, &'a [f32])> + use<'a> {
        let encoder = self.encoder.clone();
        concept
            .references
            .iter()
            .enumerate()
            .filter(move |(_, reference)| reference.encoder == encoder)
            .flat_map(|(r, reference)| {
                reference
                    .embeddings
                    .iter()
                    .enumerate()
                    .map(move |(e, v)| (r, e, v.as_slice()))
            })
    }
}
