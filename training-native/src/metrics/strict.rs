//! The strict caption metric: who is named, by name or alias, and every false name counts.
//!
//! Names are read as the page reads them (see `namelens_engine::personalize::mentions`): spans, so
//! possessives, markdown and names of several words count; a name that is in the caption but not
//! in the photo is wrong even when all the right ones are there, and so is an invented one.

use std::collections::BTreeSet;

use namelens_engine::personalize::mentions::{KnownName, read};
use serde::Serialize;

use super::bootstrap;
use super::rates::{Counts, Estimate};

/// Compares one caption with the ids that should be named.
///
/// `known` are all concepts that could be named: those in the prompt, and any other a false name
/// may hit. A bracketed name that is none of them is wrong as well.
pub fn count(caption: &str, known: &[KnownName], expected: &[&str]) -> Counts {
    let parser = read(caption, known.iter().cloned());
    let named: BTreeSet<String> = parser.mentions().into_iter().map(|m| m.concept).collect();
    let invented: BTreeSet<&str> = parser.unknown_names().collect();
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    let correct = expected.iter().filter(|id| named.contains(**id)).count();
    Counts {
        correct,
        wrong: named.len() - correct + invented.len(),
        missed: expected.len() - correct,
    }
}

/// Micro-averaged figures of many captions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Report {
    /// How many captions.
    pub captions: usize,
    /// The sums behind the figures.
    pub counts: Counts,
    /// Correct among the named.
    pub precision: Estimate,
    /// Correct among the expected.
    pub recall: Estimate,
    /// Their harmonic mean.
    pub f1: Estimate,
}

/// Sums the captions; the intervals resample captions with `seed`.
pub fn report(captions: &[Counts], seed: u64) -> Report {
    let of = |figure: fn(&Counts) -> f64| {
        bootstrap::estimate(captions, seed, |sample| {
            figure(&sample.iter().copied().sum::<Counts>())
        })
    };
    Report {
        captions: captions.len(),
        counts: captions.iter().sum(),
        precision: of(Counts::precision),
        recall: of(Counts::recall),
        f1: of(Counts::f1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<KnownName> {
        [
            ("anya", &["Anya", "<anya-chan>"][..]),
            ("bond", &["Bond"]),
            ("bluey", &["Bluey"]),
            ("widow", &["Black Widow"]),
        ]
        .map(|(id, names)| KnownName {
            id: id.into(),
            spellings: names.iter().map(|n| (*n).to_owned()).collect(),
        })
        .to_vec()
    }

    fn counts(caption: &str, expected: &[&str]) -> (usize, usize, usize) {
        let c = count(caption, &known(), expected);
        (c.correct, c.wrong, c.missed)
    }

    #[test]
    fn spans_count_and_false_names_cost() {
        let both = ["anya", "bond"];
        for (caption, want) in [
            ("<Anya> and <Bond> walk.", (2, 0, 0)),
            ("Anya walks with a dog.", (1, 0, 1)),
            ("<Anya>'s dog <Bond>.", (2, 0, 0)),
            ("**<Anya>** runs", (1, 0, 1)),
            ("(<Anya>), \"Bond\"!", (2, 0, 0)),
            ("<anya-chan> and <BOND>", (2, 0, 0)),
            ("Bluey plays", (0, 1, 2)),
            ("<Anya>, <Bond> and <Bluey>", (2, 1, 0)),
            ("<Anya>, <Bond>, <Zorro> and <Zorro>", (2, 1, 0)),
            ("<Anya> <Anya> <Anya>", (1, 0, 1)),
            ("A child and dog", (0, 0, 2)),
            ("", (0, 0, 2)),
        ] {
            assert_eq!(counts(caption, &both), want, "{caption}");
        }
        assert_eq!(counts("<Black Widow> jumps", &["widow"]), (1, 0, 0));
        assert_eq!(counts("<Anya> sleeps", &[]), (0, 1, 0), "nobody was there");
    }

    #[test]
    fn reports_sum_before_they_divide() {
        let captions = [
            Counts {
                correct: 4,
                wrong: 0,
                missed: 0,
            },
            Counts {
                correct: 0,
                wrong: 1,
                missed: 1,
            },
        ];
        let report = report(&captions, 3);
        assert_eq!((report.captions, report.counts.correct), (2, 4));
        assert!((report.f1.value - 0.8).abs() < 1e-12);
        assert!(report.f1.low <= report.f1.value && report.f1.value <= report.f1.high);
    }
}
