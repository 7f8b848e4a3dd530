//! Which concepts are told of whatever they score: those a question names, and those that a caller lists.

use crate::concepts::retrieval::{self, Mode};
use crate::concepts::{Concept, FlatIndex, Library};

/// Rows of an index, ascending, of the concepts whose similarities are told whatever they are.
pub(super) fn wanted_rows(
    question: &str,
    library: &Library,
    index: &FlatIndex,
    mode: &Mode,
) -> Vec<usize> {
    let mut rows: Vec<usize> = match mode {
        Mode::Off => Vec::new(),
        Mode::All => (0..index.len()).collect(),
        Mode::Explicit(ids) => ids.iter().flat_map(|id| index.rows_of(id)).collect(),
        Mode::Auto => {
            let concepts: Vec<&Concept> = library.list().collect();
            let named = retrieval::named(question, concepts.iter().copied());
            let rows = named.iter().flat_map(|&at| index.rows_of(&concepts[at].id));
            rows.collect()
        }
    };
    rows.sort_unstable();
    rows.dedup();
    rows
}
