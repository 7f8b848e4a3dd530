//! Which concepts matter for a question, of those that may be in a photo: named ones first, then what is there.

use super::feature_sighting::{SAME_PLACE, Sighting, overlap};
use crate::concepts::retrieval::{self, Mode, PERHAPS};
use crate::concepts::{Concept, Library, Reason, Retrieved};
use crate::{Error, Result};

/// Most things found without being named.
const MOST: usize = 8;

/// The concepts of a photo: those the question names or the caller lists, in that order, then those that are there, surest first.
///
/// # Errors
/// [`Error::Concept`] for a listed id that is not in the library.
pub(super) fn choose(
    question: &str,
    library: &Library,
    mode: &Mode,
    sightings: &[Sighting],
) -> Result<Vec<Retrieved>> {
    let concepts: Vec<&Concept> = library.list().collect();
    let (asked, reason): (Vec<&Concept>, Reason) = match mode {
        Mode::Off => return Ok(Vec::new()),
        Mode::All => (concepts, Reason::All),
        Mode::Explicit(ids) => (listed(library, ids)?, Reason::Listed),
        Mode::Auto => {
            let named = retrieval::named(question, concepts.iter().copied());
            (
                named.into_iter().map(|at| concepts[at]).collect(),
                Reason::Named,
            )
        }
    };
    let sighting = |id: &str| sightings.iter().find(|sighting| sighting.concept == id);
    let mut out: Vec<Retrieved> = asked
        .into_iter()
        .map(|concept| retrieved(concept, sighting(&concept.id), reason))
        .collect();
    if *mode != Mode::Auto {
        return Ok(out);
    }
    let mut taken: Vec<[f32; 4]> = out.iter().filter_map(|found| found.box_).collect();
    let named = out.len();
    // Best first, so that of rivals for one place the likelier one has it.
    for sighting in sightings {
        let known = out.iter_mut().find(|found| found.id == sighting.concept);
        let is_free = taken
            .iter()
            .all(|box_| overlap(box_, &sighting.box_) <= SAME_PLACE);
        let Some(concept) = library.get(&sighting.concept) else {
            continue;
        };
        let found = retrieved(concept, Some(sighting), Reason::Similar);
        if let Some(known) = known {
            // Another one: said only where it is sure, since the thing itself was found already.
            if is_free && found.is_sure() && known.box_.is_some() {
                known.more_boxes.extend(found.box_);
                taken.extend(found.box_);
            }
            continue;
        }
        if !is_free || !found.is_found() || out.len() - named >= MOST {
            continue;
        }
        taken.extend(found.box_);
        out.push(found);
    }
    Ok(out)
}

fn listed<'a>(library: &'a Library, ids: &[String]) -> Result<Vec<&'a Concept>> {
    let mut listed: Vec<&Concept> = Vec::with_capacity(ids.len());
    for id in ids {
        let concept = library.get(id).ok_or_else(|| Error::Concept {
            concept: id.clone(),
            problem: "there is no concept with this id; list them for their ids".into(),
        })?;
        if !listed.iter().any(|known| known.id == concept.id) {
            listed.push(concept);
        }
    }
    Ok(listed)
}

fn retrieved(concept: &Concept, sighting: Option<&Sighting>, reason: Reason) -> Retrieved {
    let confidence = sighting.and_then(|s| s.confidence).unwrap_or(0.0);
    Retrieved {
        id: concept.id.clone(),
        name: concept.name.clone(),
        score: sighting.map_or(0.0, |sighting| sighting.score),
        threshold: PERHAPS,
        reason,
        confidence: Some(confidence),
        box_: sighting.filter(|_| confidence >= PERHAPS).map(|s| s.box_),
        more_boxes: Vec::new(),
    }
}
