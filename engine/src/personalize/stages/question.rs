//! Stage 0: the question a request puts to the model, checked before any work is done.

use crate::concepts::Library;
use crate::personalize::sanitize;
use crate::personalize::types::{Kind, Request};
use crate::{Error, Result};

/// What the model is asked.
///
/// # Errors
/// [`Error::Option`] when the request needs a question or a concept and has none, or when its concept could be either of two.
pub(super) fn question(request: &Request, library: &Library) -> Result<String> {
    let asked = request
        .question
        .as_deref()
        .map(str::trim)
        .filter(|question| !question.is_empty());
    let about = || name(request, library);
    Ok(match request.kind {
        Kind::Caption => asked
            .unwrap_or("Give a personalized caption of this image.")
            .to_owned(),
        Kind::Ask => asked
            .ok_or_else(|| Error::Option {
                option: "question".into(),
                problem: "is empty; ask something".into(),
            })?
            .to_owned(),
        Kind::Recognize => format!("Is <{}> in the image?", about()?),
        Kind::Locate => format!("Where is <{}>?", about()?),
    })
}

/// Refuses what only a photo can answer.
///
/// # Errors
/// [`Error::Option`] for everything but a question.
pub(super) fn check_without_photo(request: &Request) -> Result<()> {
    match request.kind {
        Kind::Ask => Ok(()),
        _ => Err(Error::Option {
            option: "photo".into(),
            problem: "is needed; without one only a question can be answered".into(),
        }),
    }
}

/// The name of the thing a request is about, as it was typed.
pub(super) fn asked_name<'a>(request: &'a Request, library: &'a Library) -> Option<&'a str> {
    let wanted = request.concept.as_deref()?;
    let known = library
        .get(wanted)
        .or_else(|| library.find_by_name_or_alias(wanted));
    // A name nobody introduced is a fair question; the model says that it does not know it.
    Some(known.map_or(wanted, |concept| concept.name.as_str()))
}

/// The name to ask for, as a prompt writes it.
fn name(request: &Request, library: &Library) -> Result<String> {
    check_one(request.concept.as_deref().unwrap_or_default(), library)?;
    match asked_name(request, library) {
        Some(name) if !name.is_empty() => Ok(sanitize::name(name)),
        _ => Err(Error::Option {
            option: "concept".into(),
            problem: "is needed: the id or name of the thing to look for".into(),
        }),
    }
}

/// Refuses what is the id of one thing and a name of another: a thing that was renamed keeps its id.
fn check_one(wanted: &str, library: &Library) -> Result<()> {
    match (library.get(wanted), library.find_by_name_or_alias(wanted)) {
        (Some(by_id), Some(by_name)) if by_id.id != by_name.id => Err(Error::Option {
            option: "concept".into(),
            problem: format!(
                "`{wanted}` is the id of `{}` and a name of `{}`; ask by the name of the one or by the id of the other, `{}`",
                by_id.name, by_name.name, by_name.id
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::concepts::{ConceptPatch, NewConcept};

    #[test]
    fn a_request_without_what_it_needs_says_what_to_give() {
        let library = Library::new("");
        let asked = |request: Request| question(&request, &library);
        let caption = asked(Request::new(Kind::Caption)).unwrap();
        assert_eq!(caption, "Give a personalized caption of this image.");
        for kind in [Kind::Ask, Kind::Recognize, Kind::Locate] {
            let blank = Request {
                question: Some("  ".into()),
                ..Request::new(kind)
            };
            assert_eq!(asked(blank).unwrap_err().code(), "option", "{kind:?}");
        }
        let stranger = Request {
            concept: Some("Zorro".into()),
            ..Request::new(Kind::Locate)
        };
        assert_eq!(asked(stranger).unwrap(), "Where is <Zorro>?");
    }

    #[test]
    fn a_thing_that_was_renamed_is_not_taken_for_the_one_that_has_its_name_now() {
        let mut library = Library::new("");
        let named = |name: &str| NewConcept {
            name: name.into(),
            ..NewConcept::default()
        };
        let id = library.add(named("miso"), 0).unwrap();
        let rename = ConceptPatch {
            name: Some("Max".into()),
            ..ConceptPatch::default()
        };
        library.edit(&id, rename, 1).unwrap();
        let other = library.add(named("Miso"), 2).unwrap();
        let asked = |concept: &str| {
            let request = Request {
                concept: Some(concept.into()),
                ..Request::new(Kind::Recognize)
            };
            question(&request, &library)
        };
        let refused = asked("miso").unwrap_err();
        assert_eq!(refused.code(), "option");
        assert!(
            refused.to_string().contains("`Max` and a name of `Miso`"),
            "{refused}"
        );
        for concept in ["Miso", "Max", other.as_str()] {
            let name = if concept == "Max" { "Max" } else { "Miso" };
            assert_eq!(
                asked(concept).unwrap(),
                format!("Is <{name}> in the image?")
            );
        }
    }
}
