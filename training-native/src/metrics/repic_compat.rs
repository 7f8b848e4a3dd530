//! The caption metric of RePIC's evaluation scripts, artefacts included, for comparable figures.
//!
//! A name is found only as a whole white-space token: possessives (`<Anya>'s`), markdown and names
//! of several words are missed, and a false name costs nothing when all right ones are there. See
//! [`super::strict`] for the metric without these faults.

use std::collections::BTreeSet;

/// Stripped from both ends of a token. No `<`, `>` nor `*`.
const PUNCTUATION: &[char] = &[
    '.', ',', '!', '?', ';', ':', '(', ')', '[', ']', '{', '}', '"', '\'', '-',
];

/// Whether the script lower-cases: those for one and four concepts do, the one for two does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// As the script for two concepts.
    Sensitive,
    /// As the scripts for one and four concepts.
    Lower,
}

/// One caption and the keys (`<anya>` or `anya`) of the concepts in its photo.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// The generated text.
    pub caption: String,
    /// What it should name.
    pub expected: Vec<String>,
}

/// What became of one expected concept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// It is named.
    Named,
    /// It is not, but a concept that is not in the photo is.
    Miss,
    /// Neither.
    None,
}

/// The figures of a result file.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Report {
    /// Named among the slots that are not [`Slot::None`].
    pub precision: f64,
    /// Named among all slots.
    pub recall: f64,
    /// Their harmonic mean; 0 if undefined.
    pub f1: f64,
}

/// The slots of each row; the pool of names is every expected concept of `rows`.
pub fn slots(rows: &[Row], case: Case) -> Vec<Vec<Slot>> {
    let key = |text: &str| {
        let key = text
            .strip_prefix('<')
            .and_then(|t| t.strip_suffix('>'))
            .unwrap_or(text);
        fold(key, case)
    };
    let pool: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| row.expected.iter().map(|k| key(k)))
        .collect();
    rows.iter()
        .map(|row| {
            let text = fold(&row.caption.replace("</s>", ""), case);
            let tokens: BTreeSet<&str> = text
                .split_whitespace()
                .map(|t| t.trim_matches(PUNCTUATION))
                .collect();
            let present =
                |k: &str| tokens.contains(k) || tokens.contains(format!("<{k}>").as_str());
            let expected: Vec<String> = row.expected.iter().map(|k| key(k)).collect();
            let strayed = pool.iter().any(|k| !expected.contains(k) && present(k));
            let slot = |k: &String| match (present(k), strayed) {
                (true, _) => Slot::Named,
                (false, true) => Slot::Miss,
                (false, false) => Slot::None,
            };
            expected.iter().map(slot).collect()
        })
        .collect()
}

/// Precision, recall and F1 over all slots.
pub fn report(rows: &[Row], case: Case) -> Report {
    judge(&slots(rows, case).concat())
}

/// Precision, recall and F1 of `slots`.
pub fn judge(slots: &[Slot]) -> Report {
    let count = |keep: fn(Slot) -> bool| slots.iter().filter(|s| keep(**s)).count();
    let named = count(|s| s == Slot::Named);
    let precision = super::rates::ratio(named, count(|s| s != Slot::None));
    let recall = super::rates::ratio(named, slots.len());
    let f1 = if named == 0 {
        0.0
    } else {
        2.0 * precision * recall / (precision + recall)
    };
    Report {
        precision,
        recall,
        f1,
    }
}

fn fold(text: &str, case: Case) -> String {
    match case {
        Case::Sensitive => text.to_owned(),
        Case::Lower => text.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::Slot::{Miss, Named, None};
    use super::*;

    fn row(caption: &str, expected: &[&str]) -> Row {
        Row {
            caption: caption.into(),
            expected: expected.iter().map(|k| (*k).to_owned()).collect(),
        }
    }

    /// What the released script for two concepts says about these captions.
    const GOLDEN: [(&str, [Slot; 2]); 9] = [
        ("<Anya> and <Bond> walk.", [Named, Named]),
        ("Anya walks with a dog.", [Named, None]),
        ("anya and bond", [None, None]),
        ("<Anya>'s dog <Bond>.", [None, Named]),
        ("Bluey plays", [Miss, Miss]),
        ("Bluey plays with <Anya>", [Named, Miss]),
        ("A child and dog", [None, None]),
        ("**<Anya>** runs", [None, None]),
        ("(<Anya>), \"Bond\"!", [Named, Named]),
    ];

    fn golden_rows() -> Vec<Row> {
        GOLDEN
            .iter()
            .map(|(caption, _)| row(caption, &["<Anya>", "<Bond>"]))
            .collect()
    }

    #[test]
    fn golden_slots() {
        // Bluey joins the pool through a row of its own.
        let mut rows = golden_rows();
        rows.push(row("", &["<Bluey>"]));
        for (got, (caption, want)) in slots(&rows, Case::Sensitive).iter().zip(GOLDEN) {
            assert_eq!(got, &want, "{caption}");
        }
        assert_eq!(
            slots(&rows, Case::Lower)[2],
            [Named, Named],
            "the script for four concepts ignores case"
        );
    }

    #[test]
    fn golden_figures() {
        let mut rows = golden_rows();
        rows.push(row("", &["<Bluey>"]));
        let nine = judge(&slots(&rows, Case::Sensitive)[..9].concat());
        assert!((nine.precision - 0.7).abs() < 1e-12);
        assert!((nine.recall - 7.0 / 18.0).abs() < 1e-12);
        assert!((nine.f1 - 0.5).abs() < 1e-12);
        let all = report(&rows, Case::Sensitive);
        assert!(
            (all.recall - 7.0 / 19.0).abs() < 1e-12,
            "Bluey's own slot is empty"
        );
    }

    #[test]
    fn known_artefacts() {
        let rows = [
            row("<black widow> and black widow</s>", &["<black widow>"]),
            row("<Anya>, <Bond>", &["Anya"]),
            row("", &["Bond"]),
        ];
        let got = slots(&rows, Case::Lower);
        assert_eq!(got[0], [None], "a name with a space can never match");
        assert_eq!(
            got[1],
            [Named],
            "a false name costs nothing when the right ones are there"
        );
        assert_eq!(
            slots(&[row("I see Anya</s>", &["Anya"])], Case::Sensitive)[0],
            [Named]
        );
        let report = report(&[], Case::Lower);
        assert_eq!(
            (report.precision, report.recall, report.f1),
            (0.0, 0.0, 0.0)
        );
    }
}
