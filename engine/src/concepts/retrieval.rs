//! Which concepts matter for this photo and question: a pure function of similarity scores.
//!
//! Names in the question come first and always count. Then regions of the photo: each concept
//! claims at most one window, each region belongs to at most one concept, and only similarities
//! over a calibrated threshold count, so that nothing is returned when nothing is there.

use std::collections::HashSet;

use super::record::{Concept, shown};
use super::regions::{Candidate, SAME_REGION, iou, settled};
use super::spelling::{Case, find_names};
use crate::{Error, Result};

/// A concept with its similarities to the photo.
#[derive(Debug, Clone)]
pub struct Scored<'a> {
    /// The concept.
    pub concept: &'a Concept,
    /// Similarities to windows; in any order.
    pub windows: Vec<Candidate>,
    /// Similarity to the photo as a whole, if it was measured.
    pub whole: Option<f32>,
}

/// Which concepts are considered at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Mode {
    /// Named in the question or similar to a region.
    #[default]
    Auto,
    /// Every concept of the library.
    All,
    /// Exactly these ids, in this order.
    Explicit(Vec<String>),
    /// None.
    Off,
}

/// The numbers retrieval works with.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Which concepts are considered.
    pub mode: Mode,
    /// Least similarity of a window, from -1 to 1; see [`super::calibrate`].
    pub threshold: f32,
    /// Least similarity of the whole photo. Windows are the best of many, so this one differs.
    pub whole_threshold: f32,
    /// Most concepts found by similarity.
    pub top_k: usize,
    /// Windows that overlap by more than this intersection over union are one region.
    pub max_iou: f32,
}

impl Options {
    /// Automatic retrieval of at most four concepts.
    pub fn auto(threshold: f32, whole_threshold: f32) -> Self {
        Self {
            mode: Mode::Auto,
            threshold,
            whole_threshold,
            top_k: 4,
            max_iou: SAME_REGION,
        }
    }

    fn check(&self) -> Result<()> {
        let bad = |option: &str, range: &str| {
            Err(Error::Option {
                option: option.into(),
                problem: range.into(),
            })
        };
        if !(-1.0..=1.0).contains(&self.threshold) || !(-1.0..=1.0).contains(&self.whole_threshold)
        {
            return bad("threshold", "must be a cosine similarity, -1 to 1");
        }
        if !(0.0..=1.0).contains(&self.max_iou) {
            return bad("max_iou", "must be from 0 to 1");
        }
        Ok(())
    }
}

/// Why a concept was retrieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its name or an alias is in the question.
    Named,
    /// A region of the photo, or the whole of it, is similar.
    Similar,
    /// The caller listed it.
    Listed,
    /// The caller asked for all.
    All,
}

/// A retrieved concept.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieved {
    /// Its id.
    pub id: String,
    /// Its name at this moment.
    pub name: String,
    /// Its similarity to the region, or its best if it claimed none; 0 if none was measured.
    pub score: f32,
    /// What the score was compared with.
    pub threshold: f32,
    /// Why it is here.
    pub reason: Reason,
    /// How sure it is that the thing is there, 0 to 1; `None` where only similarities are known.
    pub confidence: Option<f32>,
    /// The region it claimed, `[x0, y0, x1, y1]` as fractions; `None` if no window passed.
    pub box_: Option<[f32; 4]>,
    /// Where more of the kind are, each as like it as what can be said to be there: two of one mug look the same.
    pub more_boxes: Vec<[f32; 4]>,
}

/// From this confidence on a thing is said to be there.
pub const SURE: f32 = 0.8;
/// From this confidence on a thing is perhaps there.
pub const PERHAPS: f32 = 0.4;

impl Retrieved {
    /// Whether it is there, surely or perhaps.
    pub fn is_found(&self) -> bool {
        match self.confidence {
            Some(confidence) => confidence >= PERHAPS,
            None => self.score >= self.threshold,
        }
    }

    /// Whether it can be said to be there.
    pub fn is_sure(&self) -> bool {
        match self.confidence {
            Some(confidence) => confidence >= SURE,
            None => self.score >= self.threshold,
        }
    }
}

/// The concepts for this photo and question: named ones in question order, then by similarity.
///
/// # Errors
/// [`Error::Option`] for a number out of range, [`Error::Concept`] for a listed id not in `scored`.
pub fn retrieve(
    question: &str,
    scored: &[Scored<'_>],
    options: &Options,
) -> Result<Vec<Retrieved>> {
    options.check()?;
    match &options.mode {
        Mode::Off => Ok(Vec::new()),
        Mode::Auto => Ok(auto(question, scored, options)),
        Mode::All => Ok(chosen(
            &(0..scored.len()).collect::<Vec<_>>(),
            scored,
            options,
            Reason::All,
        )),
        Mode::Explicit(ids) => {
            let mut list: Vec<usize> = Vec::with_capacity(ids.len());
            for id in ids {
                let missing = || Error::Concept {
                    concept: shown(id, id),
                    problem: "there is no concept with this id; list them for their ids".into(),
                };
                let at = scored
                    .iter()
                    .position(|s| s.concept.id == *id)
                    .ok_or_else(missing)?;
                if !list.contains(&at) {
                    list.push(at);
                }
            }
            Ok(chosen(&list, scored, options, Reason::Listed))
        }
    }
}

/// Positions in `concepts` of those named in the question, in question order.
pub fn named<'a>(question: &str, concepts: impl IntoIterator<Item = &'a Concept>) -> Vec<usize> {
    let names = concepts
        .into_iter()
        .enumerate()
        .flat_map(|(at, c)| c.names().map(move |name| (at, name)));
    let mut order: Vec<usize> = Vec::new();
    for (_, at) in find_names(question, Case::Ignore, names) {
        if !order.contains(&at) {
            order.push(at);
        }
    }
    order
}

fn auto(question: &str, scored: &[Scored<'_>], options: &Options) -> Vec<Retrieved> {
    let named = named(question, scored.iter().map(|s| s.concept));
    let claims = assign(
        scored,
        options,
        |at, similar| named.contains(&at) || similar < options.top_k,
        |at| !named.contains(&at),
    );
    let mut found: Vec<Retrieved> = named
        .iter()
        .map(|&at| {
            retrieved(
                &scored[at],
                options,
                Reason::Named,
                claims.iter().find(|(c, _)| *c == at).map(|(_, w)| *w),
            )
        })
        .collect();
    if claims.is_empty() {
        found.extend(
            whole_photo(scored, options)
                .filter(|(at, _)| !named.contains(at))
                .map(|(_, r)| r),
        );
    } else {
        let similar = claims.iter().filter(|(at, _)| !named.contains(at));
        found.extend(
            similar.map(|(at, w)| retrieved(&scored[*at], options, Reason::Similar, Some(*w))),
        );
    }
    found
}

fn chosen(
    list: &[usize],
    scored: &[Scored<'_>],
    options: &Options,
    reason: Reason,
) -> Vec<Retrieved> {
    let listed: HashSet<usize> = list.iter().copied().collect();
    let claims = assign(scored, options, |at, _| listed.contains(&at), |_| false);
    let window = |at: usize| claims.iter().find(|(c, _)| *c == at).map(|(_, w)| *w);
    list.iter()
        .map(|&at| retrieved(&scored[at], options, reason, window(at)))
        .collect()
}

/// Greedy assignment, best similarity first: one window a concept, one concept a region.
///
/// `may(concept, counted)` says whether a concept may still claim; `counts` which claims are counted.
fn assign(
    scored: &[Scored<'_>],
    options: &Options,
    may: impl Fn(usize, usize) -> bool,
    counts: impl Fn(usize) -> bool,
) -> Vec<(usize, Candidate)> {
    let mut pairs: Vec<(usize, Candidate)> = scored
        .iter()
        .enumerate()
        .flat_map(|(at, s)| {
            s.windows
                .iter()
                .filter(|w| w.score >= options.threshold)
                .map(move |w| (at, *w))
        })
        .collect();
    // Stable: ties keep library order, then window order.
    pairs.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut claims: Vec<(usize, Candidate)> = Vec::new();
    let mut counted = 0;
    for (at, window) in pairs {
        if claims.iter().any(|(c, _)| *c == at) || !may(at, counted) {
            continue;
        }
        let place = settled(&window, &scored[at].windows, options.max_iou);
        let free = |taken: &[f32; 4]| iou(taken, &place) <= options.max_iou;
        if claims.iter().all(|(_, taken)| free(&taken.box_)) {
            counted += usize::from(counts(at));
            let score = window.score;
            claims.push((at, Candidate { box_: place, score }));
        }
    }
    claims
}

/// The one concept the photo as a whole resembles most, if it passes. It has no box: the
/// similarity says that the thing is there, not where.
fn whole_photo(scored: &[Scored<'_>], options: &Options) -> Option<(usize, Retrieved)> {
    if options.top_k == 0 {
        return None;
    }
    let passing = scored.iter().enumerate().filter_map(|(at, s)| {
        let score = s.whole.filter(|score| *score >= options.whole_threshold)?;
        Some((at, score))
    });
    // `rev` because `max_by` takes the last of equals and ties go to library order.
    let (at, score) = passing.rev().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let concept = scored[at].concept;
    let found = Retrieved {
        id: concept.id.clone(),
        name: concept.name.clone(),
        score,
        threshold: options.whole_threshold,
        reason: Reason::Similar,
        confidence: None,
        box_: None,
        more_boxes: Vec::new(),
    };
    Some((at, found))
}

fn retrieved(
    scored: &Scored<'_>,
    options: &Options,
    reason: Reason,
    window: Option<Candidate>,
) -> Retrieved {
    let best = scored
        .windows
        .iter()
        .map(|w| w.score)
        .filter(|s| s.is_finite())
        .max_by(f32::total_cmp);
    let whole = scored.whole.filter(|s| s.is_finite());
    Retrieved {
        id: scored.concept.id.clone(),
        name: scored.concept.name.clone(),
        score: window.map(|w| w.score).or(best).or(whole).unwrap_or(0.0),
        threshold: options.threshold,
        reason,
        confidence: None,
        box_: window.map(|w| w.box_),
        more_boxes: Vec::new(),
    }
}

#[cfg(test)]
#[path = "retrieval_tests.rs"]
mod tests;
