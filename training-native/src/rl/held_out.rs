//! What a policy can do on held-out prompts, by metrics that are not its reward: strict names, and answers that can be checked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use burn::module::Module;
use namelens_engine::concepts::spelling::bare;
use namelens_engine::host::Host;
use namelens_engine::personalize::mentions::KnownName;

use super::dataset::Prompts;
use super::playroom_prompts::LOOKS;
use super::policy::Policy;
use super::rollout;
use crate::metrics::binding;
use crate::metrics::rates::Counts;
use crate::metrics::strict;
use crate::rewards::{Reward, Row, binding_f1, columns, repic_compat, repic_strict, score_all};

/// Prompts whose photos are encoded at a time.
const AT_A_TIME: usize = 16;

/// Figures by name, all under `eval/`.
pub type Figures = BTreeMap<String, f64>;

/// The figure that chooses the best checkpoint.
pub const PRIMARY: &str = "eval/score";

/// What a policy said, and figures of it.
#[derive(Debug)]
pub struct HeldOut {
    /// The figures.
    pub figures: Figures,
    /// A row a prompt.
    pub rows: Vec<Row>,
}

/// Names in captions and answers to questions of so many prompts.
#[derive(Debug, Default)]
struct Tally {
    captions: Vec<Counts>,
    /// The same captions, where a name is right with a look or a box that is its thing's.
    bound: Vec<Counts>,
    exact: usize,
    answers: Vec<f64>,
    /// Words for what things look like: said, and to be said.
    looks: [usize; 2],
    tokens: usize,
    cut: usize,
    rows: Vec<Row>,
}

/// Completes the first `count` of `prompts` greedily and measures what was said; `rewards` are measured too, to be compared.
///
/// `eval/binding_f1` asks besides whether what is said with a name is its thing's ([`binding`]); `eval/f1` is strict: every name that is wrong or invented counts against it. `eval/answers` is the share of other questions
/// that were answered rightly, `eval/looks` the share of the words for what things look like that captions without names have.
/// `eval/score` is the mean of those there are. What a row asks for is what its reward takes it to ask for; a row that asks for
/// something else (a letter, a number) has none of these figures.
///
/// # Errors
/// When a prompt, a completion or a reward fails, or a row lacks or garbles what it says is asked.
pub fn evaluate(
    policy: &Policy,
    prompts: &Prompts,
    count: u64,
    rewards: &mut [Box<dyn Reward>],
    max_tokens: usize,
    host: &dyn Host,
) -> Result<HeldOut> {
    let plain = policy.vlm.valid();
    let kit = &policy.kit;
    let options = rollout::greedy(kit, max_tokens);
    let mut tally = Tally::default();
    let serials: Vec<u64> = (0..count.min(prompts.len())).collect();
    for serials in serials.chunks(AT_A_TIME) {
        let prepared = serials
            .iter()
            .map(|serial| kit.prepare(&plain, prompts.get(*serial)?))
            .collect::<Result<Vec<_>>>()?;
        let said = rollout::complete(&plain, &prepared, 1, 0, &options, host)?;
        for (prepared, said) in prepared.iter().zip(said) {
            for completion in said {
                let text = kit.text(&completion.tokens)?;
                tally.tokens += completion.tokens.len();
                tally.cut += usize::from(!completion.ended);
                tally.add(prepared.prompt.row(&text, &completion.tokens))?;
            }
        }
    }
    let (table, _) = score_all(rewards, &tally.rows)?;
    let mut figures = tally.figures();
    for (at, reward) in rewards.iter().enumerate() {
        let given: Vec<f64> = table
            .iter()
            .filter_map(|row| row[at].map(f64::from))
            .collect();
        if !given.is_empty() {
            let mean = given.iter().sum::<f64>() / given.len() as f64;
            figures.insert(format!("eval/rewards/{}/mean", reward.name()), mean);
        }
    }
    let rows = tally.rows;
    Ok(HeldOut { figures, rows })
}

impl Tally {
    fn add(&mut self, row: Row) -> Result<()> {
        match asked(&row)? {
            Asked::Answer => {
                let right = repic_strict::score(&row, 0.0)?;
                self.answers.extend(right.map(f64::from));
            }
            Asked::Looks => {
                let (found, total) = looks(&row)?;
                self.looks[0] += found;
                self.looks[1] += total;
            }
            Asked::Names => {
                let counts = names(&row)?;
                self.exact += usize::from(counts.wrong + counts.missed == 0);
                self.captions.push(counts);
                self.bound.extend(bound_names(&row)?);
            }
            Asked::Other => (),
        }
        self.rows.push(row);
        Ok(())
    }

    fn figures(&self) -> Figures {
        let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
        let mut figures = Figures::new();
        let mut put = |name: &str, value: f64| figures.insert(format!("eval/{name}"), value);
        let mut scores = Vec::new();
        if !self.captions.is_empty() {
            let counts: Counts = self.captions.iter().sum();
            put("f1", counts.f1());
            put("precision", counts.precision());
            put("recall", counts.recall());
            put("exact", share(self.exact, self.captions.len()));
            scores.push(counts.f1());
        }
        if !self.bound.is_empty() {
            put("binding_f1", self.bound.iter().sum::<Counts>().f1());
        }
        if !self.answers.is_empty() {
            let right = self.answers.iter().sum::<f64>() / self.answers.len() as f64;
            put("answers", right);
            scores.push(right);
        }
        let [found, total] = self.looks;
        if total > 0 {
            put("looks", share(found, total));
            scores.push(share(found, total));
        }
        if !scores.is_empty() {
            put("score", scores.iter().sum::<f64>() / scores.len() as f64);
        }
        put("mean_length", share(self.tokens, self.rows.len()));
        put("clipped_ratio", share(self.cut, self.rows.len()));
        figures
    }
}

/// What a row asks for.
enum Asked {
    /// Yes or no, or a box.
    Answer,
    /// A caption that says what things look like.
    Looks,
    /// A caption with names.
    Names,
    /// What nothing here can judge.
    Other,
}

/// What a row asks for, as rewards take it.
///
/// # Errors
/// When its method is no word.
fn asked(row: &Row) -> Result<Asked> {
    let said = columns::method(row)?;
    let has_looks = row.columns.contains_key(LOOKS) && !columns::is_null(row, LOOKS);
    Ok(match repic_compat::method(row)? {
        LOOKS => Asked::Looks,
        // Nobody else's rows have such a column.
        _ if said.is_none() && has_looks => Asked::Looks,
        "yes_no" => Asked::Answer,
        // Rows that do not say what they ask for are boxes to RePIC's rewards and names to `set-f1`; others' may be anything.
        "iou" if said.is_some() || repic_compat::solution_box(row).is_ok() => Asked::Answer,
        "iou" if introduces_solution(row) => Asked::Names,
        method if columns::NAMED.contains(&method) => Asked::Names,
        _ => Asked::Other,
    })
}

/// Whether the solution is names, each of which the prompt introduced.
fn introduces_solution(row: &Row) -> bool {
    let read = (columns::texts(row, "solution"), columns::concepts(row));
    let (Ok(present), Ok(concepts)) = read else {
        return false;
    };
    let known = columns::known(&concepts);
    present
        .iter()
        .all(|name| columns::called(&known, name).is_some())
}

/// Words of the column `looks` that a caption has, and how many there are.
fn looks(row: &Row) -> Result<(usize, usize)> {
    let text = row.completion.to_lowercase();
    // Whole words: "red" is not in "tired".
    let said: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let wanted = columns::texts(row, "looks")?;
    let found = wanted.iter().filter(|word| said.contains(word.as_str()));
    Ok((found.count(), wanted.len()))
}

/// Names that are right with what is said with them, wrong and missed; `None` where the row does not say what is true of things.
///
/// # Errors
/// When a column is of the wrong kind.
pub fn bound_names(row: &Row) -> Result<Option<Counts>> {
    let Some(present) = binding_f1::bound(row)? else {
        return Ok(None);
    };
    let known = columns::known(&columns::concepts(row)?);
    Ok(Some(binding::count(&row.completion, &known, &present)))
}

/// Names that are right, wrong and missed: of all `concepts` of the row, or of its solution alone where it has no such column.
///
/// # Errors
/// When a column is of the wrong kind.
pub fn names(row: &Row) -> Result<Counts> {
    let present = columns::texts(row, "solution")?;
    let mut known = match row.columns.contains_key("concepts") {
        true => columns::known(&columns::concepts(row)?),
        false => Vec::new(),
    };
    let mut expected = Vec::with_capacity(present.len());
    for name in &present {
        let found = columns::called(&known, name);
        let id = found.map_or_else(|| bare(name).to_owned(), |k| k.id.clone());
        if found.is_none() {
            known.push(KnownName {
                id: id.clone(),
                spellings: vec![id.clone()],
            });
        }
        expected.push(id);
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    Ok(strict::count(&row.completion, &known, &expected))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(completion: &str, columns: Value) -> Row {
        let mut row = columns;
        row["completion"] = json!(completion);
        Row::from_json(row).unwrap()
    }

    #[test]
    fn every_false_name_costs_and_answers_count_apart() {
        let captions = json!({"solution": ["<A>"], "concepts": ["<A>", "<B>"], "accu_reward_method": "yes_no_name"});
        let mut tally = Tally::default();
        tally.add(row("<A> sits.", captions.clone())).unwrap();
        tally.add(row("<A> and <B> sit.", captions)).unwrap();
        let figures = tally.figures();
        assert!((figures["eval/precision"] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((figures["eval/recall"], figures["eval/exact"]), (1.0, 0.5));
        assert_eq!(figures["eval/score"], figures["eval/f1"]);
        let asked = json!({"solution": "Yes", "accu_reward_method": "yes_no"});
        tally.add(row("No.", asked)).unwrap();
        let both = tally.figures();
        assert!((both["eval/score"] - both["eval/f1"] / 2.0).abs() < 1e-12);
        assert_eq!(Tally::default().figures().get(PRIMARY), None);
    }

    #[test]
    fn a_row_is_judged_by_the_task_that_its_reward_takes_it_for() {
        let of = |completion: &str, columns: Value| {
            let mut tally = Tally::default();
            tally.add(row(completion, columns)).unwrap();
            tally.figures()
        };
        // Boxes as VLM-R1 has them, without a word on what they are.
        for solution in [json!("[10, 10, 110, 60]"), json!([10, 10, 110, 60])] {
            let figures = of("[10, 10, 110, 60]", json!({"solution": solution}));
            assert_eq!((figures["eval/answers"], figures["eval/score"]), (1.0, 1.0));
            assert!(!figures.contains_key("eval/f1"));
        }
        // Names as `set-f1` reads them.
        let names = json!({"solution": ["<A>"], "concepts": ["<A>", "<B>"]});
        assert_eq!(of("<A> sits.", names)["eval/f1"], 1.0);
        // A letter, a number, numbers: nobody here knows what is right.
        for columns in [
            json!({"solution": "A", "liked": "x"}),
            json!({"solution": "A", "concepts": ["<B>"]}),
            json!({"solution": 3}),
            json!({"solution": [0.5, 2], "concepts": ["<A>"]}),
            json!({"solution": null, "concepts": ["<A>"]}),
            json!({"solution": "<A>", "accu_reward_method": "exact"}),
            json!({}),
        ] {
            let figures = of("<A> A 3", columns.clone());
            assert_eq!(figures.get(PRIMARY), None, "{columns}");
        }
        // What says that names are asked for says which.
        let garbled = json!({"solution": 3, "accu_reward_method": "yes_no_name"});
        assert!(Tally::default().add(row("<A>", garbled)).is_err());
    }
}
