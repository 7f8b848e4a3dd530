//! Set-F1 of names with a penalty for concepts that are not in the photo: naming everything that was given never pays.
//!
//! `F1(named, present) - penalty * named absent ones / absent ones`: the first term is CoViP's reward for what is
//! recognised, the second the share of the distractors that were used. With both sets empty the reward is 1.

use anyhow::{Context, Result};
use namelens_engine::concepts::spelling::bare;
use namelens_engine::personalize::mentions::{KnownName, read};

use super::columns;
use super::{PerRow, Reward, Row};
use crate::metrics::{rates::ratio, strict};

/// The reward `set-f1`, whose penalty is weighed by `penalty`.
///
/// It reads `solution` (the names that are in the photo, perhaps none) and `concepts` (all that the prompt introduced). Rows that
/// ask for something else (`accu_reward_method`), or whose solution is null, are none of its business.
pub fn reward(penalty: f32) -> impl Reward {
    PerRow::new("set-f1", move |row: &Row| score(row, penalty))
}

/// The reward of a row; `None` where it asks for no names.
///
/// # Errors
/// When a column is missing, or the solution has a name that the prompt did not introduce.
pub fn score(row: &Row, penalty: f32) -> Result<Option<f32>> {
    if !columns::asks_names(row, "solution")? {
        return Ok(None);
    }
    let known = columns::known(&columns::concepts(row)?);
    let present = columns::texts(row, "solution")?;
    let mut expected: Vec<&str> = Vec::with_capacity(present.len());
    for name in &present {
        let found = columns::called(&known, name)
            .with_context(|| format!("'{name}' of 'solution' is none of 'concepts'"))?;
        expected.push(&found.id);
    }
    let counts = strict::count(&row.completion, &known, &expected);
    let f1 = if counts.correct + counts.wrong + counts.missed == 0 {
        1.0
    } else {
        counts.f1()
    };
    let fine = penalty * irrelevant(&row.completion, &known, &expected);
    Ok(Some(f1 as f32 - fine))
}

/// Share of the concepts that are not in the photo which the completion names all the same.
pub(super) fn irrelevant(completion: &str, known: &[KnownName], present: &[&str]) -> f32 {
    let absent: Vec<_> = known
        .iter()
        .filter(|k| !present.contains(&k.id.as_str()))
        .collect();
    let parser = read(completion, known.iter().cloned());
    let mentions = parser.mentions();
    let used = absent
        .iter()
        .filter(|k| mentions.iter().any(|m| m.concept == bare(&k.id)));
    ratio(used.count(), absent.len()) as f32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str, present: &[&str], penalty: f32) -> f32 {
        let row = json!({
            "completion": text,
            "solution": present,
            "concepts": ["<A>", {"name": "B", "aliases": ["Bee"]}, "C", "D"],
        });
        score(&Row::from_json(row).unwrap(), penalty)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn golden_f1() {
        // {A, B, C} named where {A, B} are present.
        assert!((of("<A> <B> <C>", &["A", "B"], 0.0) - 0.8).abs() < 1e-6);
        assert_eq!(of("<C> and <D>", &["A", "B"], 0.0), 0.0);
        assert_eq!(of("a mat", &[], 0.0), 1.0);
        assert_eq!(of("<Bee>", &["<B>"], 1.0), 1.0);
    }

    #[test]
    fn naming_everything_does_not_pay() {
        let all = "<A>, <B>, <C> and <D>";
        for present in [&["A"][..], &["A", "B"], &["A", "B", "C"]] {
            assert!(
                of(all, present, 1.0) < of("<A>", present, 1.0),
                "{present:?}"
            );
            assert!(of(all, present, 1.0) <= 0.0, "{present:?}");
        }
        assert_eq!(of(all, &["A", "B", "C", "D"], 1.0), 1.0, "all are there");
        assert_eq!(of(all, &[], 1.0), -1.0);
        assert_eq!(
            of("<Zorro>", &[], 1.0),
            0.0,
            "an invented name costs its F1"
        );
    }

    #[test]
    fn rows_that_ask_for_something_else_are_none_of_its_business() {
        let of = |row: serde_json::Value| score(&Row::from_json(row).unwrap(), 1.0);
        for (method, solution) in [
            ("looks", json!(null)),
            ("yes_no", json!("Yes")),
            ("iou", json!("[1, 2, 3, 4]")),
        ] {
            let row = json!({"completion": "<A>", "accu_reward_method": method, "solution": solution, "concepts": ["A"]});
            assert_eq!(of(row).unwrap(), None, "{method}");
        }
        let unsaid = json!({"completion": "<A>", "solution": null, "concepts": ["A"]});
        assert_eq!(of(unsaid).unwrap(), None);
        // One that asks for names has to say which.
        let garbled = json!({"completion": "<A>", "accu_reward_method": "yes_no_name", "solution": null, "concepts": ["A"]});
        assert!(of(garbled).unwrap_err().to_string().contains("null"));
        let lacking = of(json!({"completion": "<A>", "concepts": ["A"]}));
        assert!(lacking.unwrap_err().to_string().contains("no column"));
    }

    #[test]
    fn a_solution_must_be_one_of_the_concepts() {
        let row = json!({"completion": "", "solution": ["X"], "concepts": ["A"]});
        let said = score(&Row::from_json(row).unwrap(), 1.0)
            .unwrap_err()
            .to_string();
        assert!(said.contains("'X'"), "{said}");
    }
}
