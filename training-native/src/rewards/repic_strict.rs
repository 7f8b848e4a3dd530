//! RePIC's four tasks judged without the faults of [`super::repic_compat`]: the same columns, the same range of rewards.
//!
//! - yes and no are whole words, and an answer that says both is none.
//! - there must be exactly one box; overlap is the usual one.
//! - names are read as the page reads them: on word boundaries, in any case within brackets, by any alias of the column
//!   `concepts`; a name that also stands in a closing tag does not count, whether there are one or several.
//! - a caption must be as long as a share of its references (column `reference`), not 100 characters; without references
//!   or with a share of 0 there is no gate.

use anyhow::Result;
use namelens_engine::concepts::regions::iou;
use namelens_engine::concepts::spelling::{bare, key};
use namelens_engine::personalize::mentions::read;

use super::columns::{self, Concept};
use super::repic_compat::{boxes, method, single, solution_box};
use super::{PerRow, Reward, Row};
use crate::metrics::answers::HIT_IOU;

/// Share of its shortest reference that a caption must have in characters, where nothing else is said.
pub const MIN_SHARE: f64 = 0.5;

/// The reward `repic-strict`, with the gate at `min_share` of the references' length.
pub fn reward(min_share: f64) -> impl Reward {
    PerRow::new("repic-strict", move |row: &Row| score(row, min_share))
}

/// The reward of a row by its `accu_reward_method` and `solution`; an unknown method does not apply.
///
/// # Errors
/// When a column is missing or of the wrong kind.
pub fn score(row: &Row, min_share: f64) -> Result<Option<f32>> {
    let text = &row.completion;
    Ok(match method(row)? {
        "yes_no" => Some(oct(text, &single(row)?)),
        "iou" => Some(vlt(text, solution_box(row)?)),
        "yes_no_name" | "yes_no_name_multi" if !long_enough(row, min_share)? => Some(0.0),
        "yes_no_name" | "yes_no_name_multi" => Some(named(row)?),
        _ => None,
    })
}

/// Whether the answer says the solution's word, and not the other one.
pub fn oct(content: &str, solution: &str) -> f32 {
    let (said, truth) = (only_word(content), only_word(solution));
    f32::from(said.is_some() && said == truth)
}

/// The one of `yes` and `no` that a text says as a whole word.
fn only_word(text: &str) -> Option<bool> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let (mut yes, mut no) = (false, false);
    for word in words {
        yes |= word.eq_ignore_ascii_case("yes");
        no |= word.eq_ignore_ascii_case("no");
    }
    (yes != no).then_some(yes)
}

/// Whether there is one box, and it overlaps the true one by half.
pub fn vlt(content: &str, truth: [f64; 4]) -> f32 {
    let found: Vec<[f64; 4]> = boxes(content).collect();
    let [only] = found.as_slice() else {
        return 0.0;
    };
    let [a, b] = [only, &truth].map(|r| r.map(|edge| edge as f32));
    f32::from(iou(&a, &b) >= HIT_IOU)
}

/// Share of the solution's names that the caption names.
fn named(row: &Row) -> Result<f32> {
    let wanted = columns::texts(row, "solution")?;
    if wanted.is_empty() {
        return Ok(0.0);
    }
    let mut concepts = match row.columns.get("concepts") {
        Some(_) => columns::concepts(row)?,
        None => Vec::new(),
    };
    for name in &wanted {
        // A name that nobody introduced is known by that spelling alone.
        if !concepts.iter().any(|c| key(&c.name) == key(name)) {
            concepts.push(Concept {
                name: name.clone(),
                aliases: Vec::new(),
                info: String::new(),
                hidden: Vec::new(),
            });
        }
    }
    let parser = read(&row.completion, columns::known(&concepts));
    let mentioned: Vec<String> = parser
        .mentions()
        .into_iter()
        .map(|m| key(&m.concept))
        .collect();
    let tags = closing_tags(&row.completion);
    let right = wanted.iter().filter(|name| {
        let name = key(bare(name));
        mentioned.contains(&name) && !tags.contains(&name)
    });
    Ok(right.count() as f32 / wanted.len() as f32)
}

/// Keys of what stands in `</...>`.
fn closing_tags(text: &str) -> Vec<String> {
    let pieces = text.split("</").skip(1);
    let inner = pieces.filter_map(|piece| piece.split_once('>'));
    inner.map(|(name, _)| key(name)).collect()
}

fn long_enough(row: &Row, min_share: f64) -> Result<bool> {
    let references = columns::optional_texts(row, "reference")?.unwrap_or_default();
    let length = |text: &str| text.chars().count() as f64;
    let shortest = references.iter().map(|r| length(r)).reduce(f64::min);
    Ok(shortest.is_none_or(|shortest| length(&row.completion) >= min_share * shortest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caption(text: &str, solution: serde_json::Value) -> f32 {
        let row = json!({
            "completion": text,
            "accu_reward_method": "yes_no_name_multi",
            "solution": solution,
            "concepts": [{"name": "<Anya>", "aliases": ["Anya-chan"]}, "<Bond>"],
        });
        score(&Row::from_json(row).unwrap(), MIN_SHARE)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn words_inside_words_are_no_answers() {
        for (content, truth, want) in [
            ("Yes.", "yes", 1.0),
            ("**NO**", "no", 1.0),
            ("I cannot say", "no", 0.0),
            ("I know it is", "no", 0.0),
            ("Yesterday", "yes", 0.0),
            ("yes yes", "yes", 1.0),
            ("yes no", "yes", 0.0),
            ("no, yes", "no", 0.0),
            ("", "no", 0.0),
        ] {
            assert_eq!(oct(content, truth), want, "{content} / {truth}");
        }
    }

    #[test]
    fn one_box_and_no_lucky_first() {
        let truth = [10.0, 10.0, 110.0, 60.0];
        assert_eq!(vlt("[10, 10, 110, 60]", truth), 1.0);
        assert_eq!(vlt("[10,10,110,60] or [1,2,3,4]", truth), 0.0);
        assert_eq!(
            vlt("[0, 0, 1000, 1000]", truth),
            0.0,
            "a box around everything"
        );
        assert_eq!(
            vlt("[0,0,1,1]", [0.0, 0.0, 1.0, 1.0]),
            1.0,
            "one pixel is a box"
        );
        assert_eq!(vlt("[60, 60, 10, 10]", truth), 0.0);
    }

    #[test]
    fn names_count_as_the_page_reads_them() {
        let both = json!(["<Anya>", "<Bond>"]);
        assert_eq!(caption("**<Anya>**'s dog Bond sleeps", both.clone()), 1.0);
        assert_eq!(caption("<anya-chan> waves", both.clone()), 0.5);
        assert_eq!(caption("Anyarella and Vagabond", both.clone()), 0.0);
        assert_eq!(
            caption("<Anya> sits</Anya> with <Bond>", both.clone()),
            0.5,
            "a closing tag"
        );
        assert_eq!(caption("<Anya>", json!("Anya")), 1.0);
        assert_eq!(caption("<Anya>", json!([])), 0.0);
    }

    #[test]
    fn the_gate_follows_the_references() {
        let gate = |text: &str, reference: serde_json::Value, share: f64| {
            let row = json!({"completion": text, "accu_reward_method": "yes_no_name", "solution": "<Bo>", "reference": reference});
            score(&Row::from_json(row).unwrap(), share)
                .unwrap()
                .unwrap()
        };
        let reference = json!([
            "<Bo> sits on the red mat.",
            "<Bo> is a red teapot with a star, on a mat."
        ]);
        assert_eq!(gate("<Bo> sits here now", reference.clone(), 0.5), 1.0);
        assert_eq!(gate("<Bo>", reference.clone(), 0.5), 0.0);
        assert_eq!(gate("<Bo>", reference, 0.0), 1.0, "off");
        assert_eq!(
            gate("<Bo>", json!(null), 0.5),
            1.0,
            "nothing to compare with"
        );
    }
}
