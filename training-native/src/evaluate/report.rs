//! From recorded answers to the figures of a report.

use serde::{Deserialize, Serialize};

use super::record::{Answers, Captioned, Record};
use crate::metrics::answers::{Located, YesNo, boxes, recognition};
use crate::metrics::rates::{Counts, Estimate};
use crate::metrics::{bootstrap, repic_compat, strict};

/// All figures of one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the split.
    pub split: String,
    /// SHA-256 of what the split holds.
    pub split_digest: String,
    /// Seed of the photos.
    pub seed: u64,
    /// SHA-256 of the model's files.
    pub model: String,
    /// One a row, in the order they were asked.
    pub rows: Vec<RowReport>,
}

/// The figures of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowReport {
    /// Its name.
    pub row: String,
    /// Photos asked about.
    pub photos: usize,
    /// Questions asked.
    pub questions: usize,
    /// Mean time of a question, milliseconds.
    pub ms_per_question: f64,
    /// The main one first.
    pub figures: Vec<Figure>,
}

/// One figure with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it says.
    pub name: String,
    /// Value and interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// How many things it is the mean of.
    pub of: usize,
    /// What these are: captions, questions, boxes, names or words.
    pub unit: String,
}

impl RowReport {
    /// The figure of this name.
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// The figures of a row's records; intervals that resample photos do so with `seed`.
pub fn row(name: &str, records: &[Record], seed: u64) -> RowReport {
    let questions = records.iter().map(Record::questions).sum::<usize>();
    let ms: u64 = records.iter().map(|record| record.ms).sum();
    RowReport {
        row: name.to_owned(),
        photos: records.len(),
        questions,
        ms_per_question: ms as f64 / questions.max(1) as f64,
        figures: figures(name, records, seed),
    }
}

fn figure(name: &str, estimate: Estimate, of: usize, unit: &str) -> Figure {
    Figure {
        name: name.to_owned(),
        estimate,
        of,
        unit: unit.to_owned(),
    }
}

fn figures(name: &str, records: &[Record], seed: u64) -> Vec<Figure> {
    let mut captions: Vec<&Captioned> = Vec::new();
    let (mut yes_no, mut located) = (Vec::<Vec<YesNo>>::new(), Vec::<Vec<Located>>::new());
    let (mut refused, mut answered, mut exact) = (Vec::new(), Vec::new(), Vec::new());
    let mut words = Vec::new();
    for record in records {
        match &record.answers {
            Answers::Caption(captioned) => captions.push(captioned),
            Answers::YesNo(answers) => yes_no.push(answers.clone()),
            Answers::Boxes(answers) => located.push(answers.clone()),
            Answers::Refusal { right, .. } => refused.push((usize::from(*right), 1)),
            Answers::Answer {
                text,
                expected,
                refused,
            } => {
                answered.push((usize::from(!refused), 1));
                exact.push((usize::from(text == expected), 1));
            }
            Answers::Words { found, total } => words.push((*found, *total)),
        }
    }
    let rate = |items: &[(usize, usize)]| bootstrap::rate(items, seed);
    let mut figures = Vec::new();
    if !captions.is_empty() {
        figures.extend(caption_figures(name, &captions, seed));
    }
    if !yes_no.is_empty() {
        let found = recognition(&yes_no, seed);
        let of = |truth| yes_no.iter().flatten().filter(|(_, t)| *t == truth).count();
        let (here, absent) = (of(true), of(false));
        figures.extend([
            figure(
                "balanced accuracy",
                found.balanced_accuracy,
                here + absent,
                "questions",
            ),
            figure("yes when it is there", found.positive, here, "questions"),
            figure("no when it is not", found.negative, absent, "questions"),
        ]);
    }
    if !located.is_empty() {
        figures.extend(box_figures("", &located, seed));
    }
    if !refused.is_empty() {
        figures.push(figure(
            "refused rightly",
            rate(&refused),
            refused.len(),
            "questions",
        ));
    }
    if !answered.is_empty() {
        let of = answered.len();
        figures.extend([
            figure("answered", rate(&answered), of, "questions"),
            figure("word for word right", rate(&exact), of, "questions"),
        ]);
    }
    if !words.is_empty() {
        let of = words.iter().map(|(_, total)| total).sum();
        figures.push(figure("words found", rate(&words), of, "words"));
    }
    figures
}

fn caption_figures(name: &str, captions: &[&Captioned], seed: u64) -> Vec<Figure> {
    let counts: Vec<Counts> = captions.iter().map(|c| c.names).collect();
    let report = strict::report(&counts, seed);
    let of = captions.len();
    let mut figures = vec![
        figure("strict F1", report.f1, of, "captions"),
        figure("precision", report.precision, of, "captions"),
        figure("recall", report.recall, of, "captions"),
    ];
    let bound: Option<Vec<Counts>> = captions.iter().map(|c| c.bound).collect();
    if let Some(bound) = bound {
        figures.push(figure(
            "binding F1",
            strict::report(&bound, seed).f1,
            of,
            "captions",
        ));
    }
    // RePIC's script for two concepts minds case, those for one and four do not.
    let case = match name.starts_with("caption/2/") {
        true => repic_compat::Case::Sensitive,
        false => repic_compat::Case::Lower,
    };
    let rows: Vec<repic_compat::Row> = captions.iter().map(|c| c.repic.clone()).collect();
    let slots = repic_compat::slots(&rows, case);
    let compat = bootstrap::estimate(&slots, seed, |sample| {
        let slots: Vec<repic_compat::Slot> = sample.iter().copied().flatten().copied().collect();
        repic_compat::judge(&slots).f1
    });
    figures.push(figure("RePIC F1", compat, of, "captions"));
    let part = |of: fn(&Captioned) -> usize| -> (Estimate, usize) {
        let items: Vec<(usize, usize)> = captions
            .iter()
            .map(|c| (of(c), c.names.correct + c.names.missed))
            .collect();
        let names = items.iter().map(|(_, names)| names).sum();
        (bootstrap::rate(&items, seed), names)
    };
    for (name, (estimate, names)) in [
        ("lost in retrieval", part(|c| c.lost_in_retrieval)),
        ("lost in generation", part(|c| c.lost_in_generation)),
    ] {
        figures.push(figure(name, estimate, names, "names"));
    }
    let strays: Vec<(usize, usize)> = captions
        .iter()
        .map(|c| (usize::from(c.retrieved_wrongly > 0), 1))
        .collect();
    let strays = bootstrap::rate(&strays, seed);
    figures.push(figure(
        "with a concept handed over wrongly",
        strays,
        of,
        "captions",
    ));
    let of = |pick: fn(&Captioned) -> &Vec<Located>| -> Vec<Vec<Located>> {
        captions.iter().map(|c| pick(c).clone()).collect()
    };
    figures.extend(box_figures("names: ", &of(|c| &c.mention_boxes), seed));
    figures.extend(box_figures("regions: ", &of(|c| &c.regions), seed));
    figures
}

fn box_figures(prefix: &str, photos: &[Vec<Located>], seed: u64) -> Vec<Figure> {
    let of = photos.iter().map(Vec::len).sum();
    let found = boxes(photos, seed);
    let without: Vec<(usize, usize)> = photos
        .iter()
        .filter(|answers| !answers.is_empty())
        .map(|answers| {
            let none = answers.iter().filter(|(answer, _)| answer.is_none());
            (none.count(), answers.len())
        })
        .collect();
    let named = |name: &str, estimate| figure(&format!("{prefix}{name}"), estimate, of, "boxes");
    vec![
        named("IoU >= 0.5", found.hits),
        named("mean IoU", found.mean_iou),
        named("without a box", bootstrap::rate(&without, seed)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(answers: Vec<Answers>) -> Vec<Record> {
        answers
            .into_iter()
            .enumerate()
            .map(|(photo, answers)| Record {
                photo: photo as u64,
                ms: 40,
                answers,
            })
            .collect()
    }

    #[test]
    fn every_figure_says_what_it_is_the_mean_of() {
        let truth = [0.0, 0.0, 0.5, 0.5];
        let answers = |right: usize| Answers::Boxes(vec![(Some(truth), truth); right]);
        let report = row(
            "locate",
            &records(vec![
                answers(1),
                answers(3),
                Answers::Boxes(vec![(None, truth)]),
            ]),
            1,
        );
        assert_eq!((report.photos, report.questions), (3, 5));
        assert!((report.ms_per_question - 24.0).abs() < 1e-9);
        let hits = report
            .figure("IoU >= 0.5")
            .map(|f| (f.estimate.value, f.of));
        assert_eq!(hits, Some((0.8, 5)));
        let none = report.figure("without a box").map(|f| f.estimate.value);
        assert_eq!(none, Some(0.2));
    }

    #[test]
    fn captions_are_judged_by_both_metrics_and_say_where_names_were_lost() {
        let caption = |text: &str, correct, missed| {
            Answers::Caption(Captioned {
                names: Counts {
                    correct,
                    wrong: 0,
                    missed,
                },
                repic: repic_compat::Row {
                    caption: text.into(),
                    expected: vec!["<Anya>".into(), "<Bond>".into()],
                },
                lost_in_generation: missed,
                ..Captioned::default()
            })
        };
        let report = row(
            "caption/2/skip",
            &records(vec![
                caption("<Anya> and <Bond>.", 2, 0),
                caption("<anya> runs", 1, 1),
            ]),
            1,
        );
        let value = |name: &str| report.figure(name).map(|f| (f.estimate.value, f.of));
        assert_eq!(value("recall"), Some((0.75, 2)));
        assert_eq!(value("lost in generation"), Some((0.25, 4)));
        // One answer was kept before it was measured: then the row has no such figure.
        assert_eq!(value("binding F1"), None);
        let bound = |correct, missed| {
            let mut record = caption("", 1, 1);
            if let Answers::Caption(captioned) = &mut record {
                captioned.bound = Some(Counts {
                    correct,
                    wrong: missed,
                    missed,
                });
            }
            record
        };
        let measured = row(
            "caption/2/unaided-all",
            &records(vec![bound(2, 0), bound(1, 1)]),
            1,
        );
        let found = measured
            .figure("binding F1")
            .map(|f| (f.estimate.value, f.of));
        assert_eq!(found, Some((0.75, 2)));
        // RePIC's script for two concepts minds case: two of four slots.
        assert!(value("RePIC F1").is_some_and(|(f1, _)| (f1 - 2.0 / 3.0).abs() < 1e-9));
    }
}
