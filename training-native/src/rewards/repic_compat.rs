//! RePIC's rewards as its released trainer computes them (arXiv 2506.18369), faults included, for comparable runs.
//!
//! The column `accu_reward_method` says which of four rules applies, `iou` where it is missing; an unknown one gives 0.
//! What is strange, and kept:
//! - yes and no are found inside words: "cannot" and "know" are a no, "yesterday" and "eyes" a yes; the first counts.
//! - the first box counts, however many there are; only whole numbers without signs in square brackets, with no space
//!   after the opening one, are a box; an overlap of one pixel in width or height is none.
//! - names must be spelled exactly, brackets included, and may stand inside a word.
//! - the gate of 100 is in characters, though the paper says tokens; what they say does not matter.
//! - a closing tag (`</Anya>`) is punished for one name and not for several.
//!
//! The metric that goes with it is [`crate::metrics::repic_compat`]; it is not the same rule. [`super::repic_strict`] has
//! none of these faults.

use anyhow::{Result, bail};
use serde_json::Value;

use super::{PerRow, Reward, Row, columns};

/// Least characters of a caption that is rewarded at all.
pub const MIN_CONTENT_LEN: usize = 100;
/// Least overlap of a box that is rewarded; the paper once says "greater than", the code is this.
const MIN_IOU: f64 = 0.5;

/// The reward `repic`.
pub fn reward() -> impl Reward {
    PerRow::new("repic", score)
}

/// The reward of a row by its `accu_reward_method` and `solution`.
///
/// # Errors
/// When there is no solution, or it is of the wrong kind.
pub fn score(row: &Row) -> Result<Option<f32>> {
    let text = &row.completion;
    let reward = match method(row)? {
        "yes_no" => oct(text, &single(row)?),
        "iou" => vlt(text, solution_box(row)?),
        "yes_no_name" => ict(text, &single(row)?),
        "yes_no_name_multi" => multi_ict(text, &columns::texts(row, "solution")?),
        _ => 0.0,
    };
    Ok(Some(reward))
}

/// The rule that applies to a row.
pub(crate) fn method(row: &Row) -> Result<&str> {
    Ok(columns::method(row)?.unwrap_or("iou"))
}

/// The one text of the column `solution`.
pub(super) fn single(row: &Row) -> Result<String> {
    match columns::texts(row, "solution")?.as_slice() {
        [one] => Ok(one.clone()),
        other => bail!("column 'solution' has {} texts, not one", other.len()),
    }
}

/// The box of the column `solution`: four numbers, or a text that holds them.
pub(crate) fn solution_box(row: &Row) -> Result<[f64; 4]> {
    let found = match row.columns.get("solution") {
        Some(Value::String(text)) => first_box(text),
        Some(Value::Array(list)) => {
            let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
            numbers.and_then(|n| n.try_into().ok())
        }
        _ => None,
    };
    match found {
        Some(box_) => Ok(box_),
        None => bail!("column 'solution' is no box [x0, y0, x1, y1]"),
    }
}

/// Object consistency: the first `yes` or `no` of both, wherever it stands.
pub fn oct(content: &str, solution: &str) -> f32 {
    let first = |text: &str| {
        let text = text.to_lowercase();
        let found = [("yes", true), ("no", false)];
        let places = found
            .iter()
            .filter_map(|(w, yes)| Some((text.find(w)?, *yes)));
        places.min().map(|(_, yes)| yes)
    };
    let (said, truth) = (first(content), first(solution));
    f32::from(said.is_some() && said == truth)
}

/// Visual localisation: whether the first box overlaps the true one by half.
pub fn vlt(content: &str, truth: [f64; 4]) -> f32 {
    let hit = first_box(content).is_some_and(|found| pixel_iou(found, truth) >= MIN_IOU);
    f32::from(hit)
}

/// Captioning with one name.
pub fn ict(content: &str, solution: &str) -> f32 {
    let closing = solution.replace('<', "</");
    let hacked = solution.starts_with('<') && content.contains(&closing);
    f32::from(long_enough(content) && content.contains(solution) && !hacked)
}

/// Captioning with several names: the share that is there.
pub fn multi_ict(content: &str, solution: &[String]) -> f32 {
    if !long_enough(content) || solution.is_empty() {
        return 0.0;
    }
    let found = solution.iter().filter(|name| content.contains(*name));
    found.count() as f32 / solution.len() as f32
}

fn long_enough(content: &str) -> bool {
    content.chars().count() >= MIN_CONTENT_LEN
}

/// Overlap as the released code reckons it, in pixels: areas half-open, but an intersection of at most one pixel in width
/// or height is none.
pub fn pixel_iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |r: [f64; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    let (left, top) = (a[0].max(b[0]), a[1].max(b[1]));
    let (right, bottom) = (a[2].min(b[2]) - 1.0, a[3].min(b[3]) - 1.0);
    let inner = if left < right && top < bottom {
        (right - left + 1.0) * (bottom - top + 1.0)
    } else {
        0.0
    };
    inner / (area(a) + area(b) - inner).max(1.0)
}

/// The first `[12, 3, 45, 6]` of a text. (Python's `\d` also reads digits of other scripts; these are not read here.)
pub fn first_box(text: &str) -> Option<[f64; 4]> {
    boxes(text).next()
}

/// Every box of a text, in order.
pub(super) fn boxes(text: &str) -> impl Iterator<Item = [f64; 4]> {
    text.match_indices('[').filter_map(|(at, _)| {
        let (inner, _) = text[at + 1..].split_once(']')?;
        // White space may stand around commas, but not beside the brackets.
        if inner.trim() != inner {
            return None;
        }
        let numbers = inner.split(',').map(|n| {
            let n = n.trim();
            let plain = !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| n.parse::<f64>().ok()).flatten()
        });
        numbers.collect::<Option<Vec<f64>>>()?.try_into().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A caption of that many characters which holds `names`.
    fn caption(names: &str, characters: usize) -> String {
        let filler = "a".repeat(characters - names.chars().count() - 1);
        format!("{names} {filler}")
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn golden_object_consistency() {
        for (content, truth, want) in [
            ("Yes.", "yes", 1.0),
            ("NO", "no", 1.0),
            ("I cannot say yes", "yes", 0.0),
            ("I cannot say yes", "no", 1.0),
            ("Yesterday", "yes", 1.0),
            ("I know it is", "no", 1.0),
            ("eyes", "yes", 1.0),
            ("maybe", "yes", 0.0),
            ("", "no", 0.0),
            ("no, yes", "yes", 0.0),
        ] {
            assert_eq!(oct(content, truth), want, "{content} / {truth}");
        }
    }

    #[test]
    fn golden_captions_of_one() {
        let long = caption("<Anya>", 100);
        assert_eq!(ict(&caption("<Anya>", 99), "<Anya>"), 0.0);
        assert_eq!(ict(&long, "<Anya>"), 1.0);
        assert_eq!(ict(&format!("{long} </Anya>"), "<Anya>"), 0.0);
        assert_eq!(ict(&long.to_lowercase(), "<Anya>"), 0.0);
        assert_eq!(
            ict(&caption("Anya", 120), "<Anya>"),
            0.0,
            "brackets removed"
        );
        assert_eq!(
            ict(&format!("{long} </Anya>"), "Anya"),
            1.0,
            "only a bracketed solution is guarded"
        );
        assert_eq!(ict(&"é".repeat(99), "é"), 0.0, "characters, not bytes");
    }

    #[test]
    fn golden_captions_of_several() {
        let only = caption("<Anya>", 120);
        assert_eq!(multi_ict(&only, &names(&["<Anya>", "<Bond>"])), 0.5);
        assert_eq!(
            multi_ict(&format!("{only} <Bond>"), &names(&["<Anya>", "<Bond>"])),
            1.0
        );
        // A third in f32.
        assert!(
            (multi_ict(&only, &names(&["<Anya>", "<Bond>", "<Bluey>"])) - 1.0 / 3.0).abs() < 1e-6
        );
        assert_eq!(
            multi_ict("<Anya> <Bond>", &names(&["<Anya>", "<Bond>"])),
            0.0
        );
        assert_eq!(
            multi_ict(&format!("{only} </Anya>"), &names(&["<Anya>"])),
            1.0
        );
        assert_eq!(multi_ict(&only, &[]), 0.0);
    }

    #[test]
    fn golden_overlaps() {
        let ten = [0.0, 0.0, 10.0, 10.0];
        for (a, b, want) in [
            (ten, ten, 1.0),
            (ten, [5.0, 0.0, 15.0, 10.0], 1.0 / 3.0),
            (ten, [0.0, 0.0, 10.0, 5.0], 0.5),
            ([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], 0.0),
            ([0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0], 1.0),
            (ten, [20.0, 20.0, 30.0, 30.0], 0.0),
        ] {
            assert!((pixel_iou(a, b) - want).abs() < 1e-12, "{a:?} {b:?}");
        }
        for (bottom, iou, reward) in [(61, 0.51, 1.0), (60, 0.5, 1.0), (59, 0.49, 0.0)] {
            let found = [10.0, 10.0, 110.0, f64::from(bottom)];
            let truth = [10.0, 10.0, 110.0, 110.0];
            assert!((pixel_iou(found, truth) - iou).abs() < 1e-12);
            assert_eq!(vlt(&format!("[10, 10, 110, {bottom}]"), truth), reward);
        }
    }

    #[test]
    fn golden_boxes() {
        let truth = [10.0, 10.0, 110.0, 60.0];
        for (content, want) in [
            ("{\"bbox_2d\": [10, 10, 110, 60], \"label\": \"cup\"}", 1.0),
            ("[10.0, 10, 110, 60]", 0.0),
            ("(10,10,110,60)", 0.0),
            ("[-1,10,110,60]", 0.0),
            ("[1,2,3,4] then [10,10,110,60]", 0.0),
            ("[10 ,10,110,60]", 1.0),
            ("[ 10,10,110,60]", 0.0),
            ("[[10, 10, 110, 60]]", 1.0),
            ("[10,10,110,60", 0.0),
        ] {
            assert_eq!(vlt(content, truth), want, "{content}");
        }
    }

    #[test]
    fn rows_choose_their_rule() {
        let row = |json: Value| Row::from_json(json).unwrap();
        let json = serde_json::json!({"completion": "yes", "accu_reward_method": "yes_no", "solution": "yes"});
        assert_eq!(score(&row(json)).unwrap(), Some(1.0));
        let json = serde_json::json!({"completion": "[0,0,9,9]", "solution": [0, 0, 9, 9]});
        assert_eq!(
            score(&row(json)).unwrap(),
            Some(1.0),
            "boxes are the default"
        );
        let json =
            serde_json::json!({"completion": "x", "accu_reward_method": "new", "solution": 3});
        assert_eq!(score(&row(json)).unwrap(), Some(0.0), "an unknown rule");
        let json = serde_json::json!({"completion": "x", "accu_reward_method": "yes_no"});
        assert!(
            score(&row(json))
                .unwrap_err()
                .to_string()
                .contains("solution")
        );
    }
}
