//! Stage 2: which concepts of the library matter for this photo and question.

use super::caller::Caller;
use crate::Result;
use crate::concepts::retrieval::{self, Mode, Scored};
use crate::concepts::{Library, Reason, Retrieved};
use crate::image::Rgb8;
use crate::personalize::engine::Engine;
use crate::personalize::photo_cache::PhotoCache;
use crate::personalize::types::{Event, Kind, Request, RetrievedView, Stage};

/// The concepts that matter, in the order of retrieval.
pub(super) async fn retrieve(
    engine: &Engine,
    request: &Request,
    question: &str,
    photo: &Rgb8,
    cache: &mut PhotoCache,
    caller: &mut Caller<'_>,
) -> Result<Vec<Retrieved>> {
    let mode = Mode::from(&request.retrieval);
    let found = match &engine.retriever {
        _ if engine.library.is_empty() || mode == Mode::Off => Vec::new(),
        None => without_search(&engine.library, question, mode)?,
        Some(retriever) => {
            caller.progress(Stage::Retrieve, 0, 1);
            let (scan, library) = (&mut cache.scan, &engine.library);
            let mut found = retriever
                .search(photo, scan, question, library, mode, caller.host)
                .await?;
            if matches!(request.kind, Kind::Recognize | Kind::Locate) {
                // Only the thing in question: others would be distractors.
                found.retain(|found| found.reason != Reason::Similar);
            }
            caller.progress(Stage::Retrieve, 1, 1);
            found
        }
    };
    (caller.on_event)(Event::Retrieved {
        concepts: found.iter().map(RetrievedView::from).collect(),
    });
    Ok(found)
}

/// The concepts for a photo that nothing can search: those the question names, or those asked for.
fn without_search(library: &Library, question: &str, mode: Mode) -> Result<Vec<Retrieved>> {
    let scored: Vec<Scored<'_>> = library
        .list()
        .map(|concept| Scored {
            concept,
            windows: Vec::new(),
            whole: None,
        })
        .collect();
    // Nothing is compared, so no similarity reaches the threshold.
    let options = retrieval::Options {
        mode,
        ..retrieval::Options::auto(1.0, 1.0)
    };
    retrieval::retrieve(question, &scored, &options)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::concepts::NewConcept;

    #[test]
    fn without_a_retriever_concepts_are_named_listed_or_all() {
        let mut library = Library::new("");
        for name in ["Miso", "Otto"] {
            let new = NewConcept {
                name: name.into(),
                ..NewConcept::default()
            };
            library.add(new, 0).unwrap();
        }
        let choose = |question: &str, mode| -> Vec<(String, Reason)> {
            let found = without_search(&library, question, mode).unwrap();
            assert!(found.iter().all(|f| f.box_.is_none() && f.score == 0.0));
            found.into_iter().map(|f| (f.name, f.reason)).collect()
        };
        assert!(choose("What is this?", Mode::Auto).is_empty());
        let named = choose("Where is otto?", Mode::Auto);
        assert_eq!(named, [("Otto".to_owned(), Reason::Named)]);
        assert_eq!(choose("What is this?", Mode::All).len(), 2);
        let id = library.list().next().unwrap().id.clone();
        let listed = choose("What is this?", Mode::Explicit(vec![id]));
        assert_eq!(listed, [("Miso".to_owned(), Reason::Listed)]);
        let unknown = Mode::Explicit(vec!["nobody".into()]);
        assert_eq!(
            without_search(&library, "", unknown).unwrap_err().code(),
            "concept"
        );
    }
}
