//! Set-F1 that asks whose look is said with a name: a right name beside another thing's kind and colour does not pay.
//!
//! `set-f1` sees names alone; a policy that is paid by it may say anything of the things it names. Here a name counts only where
//! what is said with it is true of its thing ([`crate::metrics::binding`]), and absent concepts cost as they do there.

use anyhow::{Context, Result};

use super::{PerRow, Reward, Row, columns, set_f1};
use crate::metrics::binding::{self, Bound};
use crate::metrics::rates::Counts;

/// The reward `binding-f1`, whose penalty for absent concepts is weighed by `penalty`.
///
/// It reads `bound` (the named things that are in the photo: `id`, which is the bare name, `category`, `colour` and `box_px`) and
/// `concepts` (all that the prompt introduced). Rows that ask for something else (`accu_reward_method`), or whose `bound` is null,
/// are none of its business.
pub fn reward(penalty: f32) -> impl Reward {
    PerRow::new("binding-f1", move |row: &Row| score(row, penalty))
}

/// The reward of a row; `None` where it asks for no names.
///
/// # Errors
/// When a column is missing or of another form.
pub fn score(row: &Row, penalty: f32) -> Result<Option<f32>> {
    if !columns::asks_names(row, "bound")? {
        return Ok(None);
    }
    let known = columns::known(&columns::concepts(row)?);
    let present = bound(row)?.context(
        "there is no column 'bound' with the category, colour and box of each named thing in the photo",
    )?;
    let counts = binding::count(&row.completion, &known, &present);
    let ids: Vec<&str> = present.iter().map(|thing| thing.id.as_str()).collect();
    let f1 = if counts == Counts::default() {
        1.0
    } else {
        counts.f1()
    };
    let fine = penalty * set_f1::irrelevant(&row.completion, &known, &ids);
    Ok(Some(f1 as f32 - fine))
}

/// The column `bound`; `None` where there is none.
///
/// # Errors
/// When it is of another form.
pub fn bound(row: &Row) -> Result<Option<Vec<Bound>>> {
    let Some(value) = row.columns.get("bound").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let list = serde_json::from_value(value.clone());
    list.map(Some).context(
        "column 'bound' is no list of things with \"id\", \"category\", \"colour\" and \"box_px\"",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(text: &str) -> Row {
        let row = json!({
            "completion": text,
            "concepts": ["<Ann>", {"name": "Bo", "aliases": ["Bobo"]}, "Cy", "Di"],
            "bound": [
                {"id": "Ann", "category": "cat", "colour": "red", "box_px": [0.1, 0.2, 0.4, 0.8]},
                {"id": "Bo", "category": "mug", "colour": "blue", "box_px": [0.6, 0.2, 0.9, 0.8]},
            ],
        });
        Row::from_json(row).unwrap()
    }

    #[test]
    fn a_name_pays_with_its_own_look_only() {
        let of = |text: &str| score(&row(text), 1.0).unwrap().unwrap();
        let right = "<Ann>, the red cat, is left of <Bobo>, the blue mug.";
        assert_eq!(of(right), 1.0);
        // One of two looks is another's: one name right, one wrong and missed.
        assert_eq!(of("<Ann>, the red cat, is left of <Bo>, the red cat."), 0.5);
        for text in [
            "<Ann> and <Bo>",
            "<Ann>, the blue mug, and <Bo>, the red cat.",
            "",
        ] {
            assert_eq!(of(text), 0.0, "{text}");
        }
        // What `set-f1` pays in full all the same.
        let glasses = "<Ann>, the red glasses and cyan glasses, and <Bo>, the green glasses";
        let mut named = row(glasses);
        named
            .columns
            .insert("solution".into(), json!(["Ann", "Bo"]));
        assert_eq!(set_f1::score(&named, 1.0).unwrap(), Some(1.0));
        assert_eq!(of(glasses), 0.0);
        // An absent one costs its share, and its name.
        let more = of(&format!("{right} <Cy>, the grey dog."));
        assert!((more - (0.8 - 0.5)).abs() < 1e-6, "{more}");
    }

    #[test]
    fn a_caption_nobody_asked_names_of_is_none_of_its_business() {
        for method in ["looks", "yes_no", "iou"] {
            let mut row = row("A red cat is left of a blue mug.");
            row.columns
                .insert("accu_reward_method".into(), json!(method));
            assert_eq!(score(&row, 1.0).unwrap(), None, "{method}");
        }
        let mut unsaid = row("A red cat.");
        unsaid.columns.insert("bound".into(), json!(null));
        assert_eq!(score(&unsaid, 1.0).unwrap(), None);
    }

    #[test]
    fn rows_without_the_truth_are_refused() {
        let said = |columns: serde_json::Value| {
            let row = Row::from_json(columns).unwrap();
            format!("{:#}", score(&row, 1.0).unwrap_err())
        };
        let lacking = said(json!({"completion": "<Ann>", "concepts": ["Ann"]}));
        assert!(lacking.contains("'bound'"), "{lacking}");
        let odd = said(json!({"completion": "<Ann>", "concepts": ["Ann"], "bound": [{"id": 3}]}));
        assert!(odd.contains("\"category\""), "{odd}");
    }
}
