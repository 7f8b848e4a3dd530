//! The results as tables and a plot: everything RESULTS.md shows is made here, of the files of results alone.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, ensure};

use super::arm::RULE;
use super::compare::{difference, holm, interval};
use super::gate::Passed;
use super::plan::{BASE, Plan};
use super::record::{Record, Shown};
use super::schedule::{chosen_rate, of_arm};
use crate::metrics::rates::{Counts, Estimate};
use crate::plots::{self, Bar};

/// Seed of all resampling.
const SEED: u64 = 1;
/// Name of the part of the page that is written.
pub const PART: &str = "experiment";

/// Which photos of a condition are looked at.
type Pick = fn(&Shown) -> &[Counts];

fn binding(shown: &Shown) -> &[Counts] {
    &shown.binding.0
}

fn strict(shown: &Shown) -> &[Counts] {
    &shown.strict.0
}

/// One arm under every seed, as far as it was measured on a split.
fn seeds<'a>(
    records: &[&'a Record],
    split: &str,
    condition: usize,
    pick: Pick,
) -> Vec<&'a [Counts]> {
    let of = |record: &&'a Record| Some(pick(record.splits.get(split)?.get(&condition)?));
    records.iter().filter_map(of).collect()
}

/// The split that is reported: test once the base and both sides of the primary comparison were measured on it, else validation.
pub fn split(plan: &Plan, records: &[Record]) -> &'static str {
    let primary = plan.contrasts.iter().filter(|contrast| contrast.primary);
    let sides = primary.flat_map(|contrast| [contrast.better.as_str(), contrast.than.as_str()]);
    let tested = |name: &str| {
        let own = of_arm(plan, name, records);
        !own.is_empty() && own.iter().all(|r| r.splits.contains_key("test"))
    };
    match sides.chain([BASE]).all(tested) {
        true => "test",
        false => "val",
    }
}

/// The records without those of arms that were not measured whole on a split; and these arms, with how many of their seeds were.
fn whole(plan: &Plan, records: &[Record], split: &str) -> (Vec<Record>, Vec<String>) {
    let (mut found, mut missing) = (records.to_vec(), Vec::new());
    for name in names(plan) {
        let own = of_arm(plan, &name, records);
        let measured = own.iter().filter(|r| r.splits.contains_key(split)).count();
        if measured < own.len() {
            found.retain(|record| record.arm != name);
            let label = label(plan, &name);
            missing.push(format!("{label} ({measured} of {} seeds)", own.len()));
        }
    }
    (found, missing)
}

/// The rule, the base, and the arms.
fn names(plan: &Plan) -> Vec<String> {
    let fixed = [RULE, BASE].map(str::to_owned);
    let arms = plan.arms.iter().map(|arm| arm.name.clone());
    fixed.into_iter().chain(arms).collect()
}

fn label(plan: &Plan, name: &str) -> String {
    match name {
        RULE => "rule: every given name, with its reference's look".to_owned(),
        BASE => "base".to_owned(),
        _ => plan
            .arm(name)
            .map_or_else(|_| name.to_owned(), |arm| arm.label.clone()),
    }
}

/// All tables, as Markdown.
///
/// # Errors
/// When there are no results.
pub fn tables(plan: &Plan, records: &[Record], gate: Option<&Passed>) -> Result<String> {
    ensure!(!records.is_empty(), "there are no results yet");
    let split = split(plan, records);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let photos = match split {
        "test" => plan.photos.test,
        _ => plan.photos.val,
    };
    let _ = writeln!(
        text,
        "Figures are of the split `{split}`, {photos} photos a condition; base SHA-256 `{}...`.\n",
        records[0].base.get(..12).unwrap_or(&records[0].base)
    );
    if let Some(gate) = gate {
        let _ = writeln!(
            text,
            "The base before anything is learned, on {} validation prompts like those of training: names exactly right in {:.3} of \
             the samples and in {:.3} of the prompts at {} samples (gain {:.3}, at least {:.2} was asked for); with the right looks {:.3} and {:.3}.\n",
            gate.prompts,
            gate.names_at_1,
            gate.names_at_k,
            gate.samples,
            gate.gain(),
            plan.gate.least,
            gate.binding_at_1,
            gate.binding_at_k
        );
    }
    let (measured, missing) = whole(plan, records, split);
    if !missing.is_empty() {
        let missing = missing.join("; ");
        let _ = writeln!(text, "Not measured on it yet, and left out: {missing}.\n");
    }
    text += &figures(plan, &measured, split);
    text += &contrasts(plan, &measured, split);
    text += &sweeps(plan, records);
    text += &compute(plan, &measured);
    Ok(text)
}

fn shown(estimate: Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    format!("{value:.3} [{low:.3}, {high:.3}]")
}

/// One line an arm.
fn figures(plan: &Plan, records: &[Record], split: &str) -> String {
    let mut text = String::from("| arm | seeds |");
    for n in &plan.conditions {
        let _ = write!(text, " binding F1, {n} + {n} |");
    }
    let last = plan.primary_condition();
    let _ = writeln!(text, " strict F1, {last} + {last} | tokens |");
    let _ = writeln!(
        text,
        "|---|---|{}---|---|",
        "---|".repeat(plan.conditions.len())
    );
    for name in names(plan) {
        let own = of_arm(plan, &name, records);
        if own.is_empty() {
            continue;
        }
        let _ = write!(text, "| {} | {} |", label(plan, &name), own.len());
        for &condition in &plan.conditions {
            let found = seeds(&own, split, condition, binding);
            let _ = write!(text, " {} |", shown(interval(&found, SEED)));
        }
        let found = seeds(&own, split, last, strict);
        let lengths = own
            .iter()
            .filter_map(|r| Some(r.splits.get(split)?.get(&last)?.mean_length));
        let lengths: Vec<f64> = lengths.collect();
        let mean = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        let _ = writeln!(text, " {} | {mean:.1} |", shown(interval(&found, SEED)));
    }
    text + "\n"
}

/// The comparisons that were said before, each at the primary condition.
fn contrasts(plan: &Plan, records: &[Record], split: &str) -> String {
    let condition = plan.primary_condition();
    let mut found = Vec::new();
    for contrast in &plan.contrasts {
        let [better, than] = [&contrast.better, &contrast.than].map(|name| {
            let own = of_arm(plan, name, records);
            seeds(&own, split, condition, binding)
        });
        if !better.is_empty() && !than.is_empty() {
            found.push((contrast, difference(&better, &than, SEED)));
        }
    }
    if found.is_empty() {
        return String::new();
    }
    let secondary: Vec<f64> = found
        .iter()
        .filter(|(contrast, _)| !contrast.primary)
        .map(|(_, difference)| difference.p)
        .collect();
    let mut corrected = holm(&secondary).into_iter();
    let mut text = format!(
        "| binding F1, {condition} + {condition}: difference | | p | p after Holm |\n|---|---|---|---|\n"
    );
    for (contrast, difference) in &found {
        let held = match contrast.primary {
            true => "primary".to_owned(),
            false => corrected
                .next()
                .map_or_else(String::new, |p| format!("{p:.4}")),
        };
        let Estimate { value, low, high } = difference.estimate;
        let _ = writeln!(
            text,
            "| {} less {} | {value:+.3} [{low:+.3}, {high:+.3}] | {:.4} | {held} |",
            label(plan, &contrast.better),
            label(plan, &contrast.than),
            difference.p
        );
    }
    text + "\n"
}

/// What each learning rate gave on validation.
fn sweeps(plan: &Plan, records: &[Record]) -> String {
    let condition = plan.primary_condition();
    let mut text = format!(
        "| learning rates, validation, seed 1: binding F1, {condition} + {condition} | tried | chosen |\n|---|---|---|\n"
    );
    let mut any = false;
    for arm in &plan.arms {
        let tried: Vec<String> = arm
            .learning_rates
            .iter()
            .filter_map(|&rate| {
                let record = super::schedule::find(records, &arm.name, rate, 1)?;
                Some(format!(
                    "{rate:e}: {:.3}",
                    record.binding("val", condition)?
                ))
            })
            .collect();
        if tried.is_empty() {
            continue;
        }
        any = true;
        let chosen = chosen_rate(plan, arm, records)
            .map_or_else(|| "not all tried".to_owned(), |rate| format!("{rate:e}"));
        let _ = writeln!(text, "| {} | {} | {chosen} |", arm.label, tried.join(", "));
    }
    if any { text + "\n" } else { String::new() }
}

/// What a run of each arm took.
fn compute(plan: &Plan, records: &[Record]) -> String {
    let mut text = String::from(
        "| a run, on average | steps | tokens drawn | tokens learned from | completions learned from | minutes | ended early |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut any = false;
    for arm in &plan.arms {
        let own = of_arm(plan, &arm.name, records);
        if own.is_empty() {
            continue;
        }
        any = true;
        let mean = |of: fn(&Record) -> f64| {
            own.iter().map(|record| of(record)).sum::<f64>() / own.len() as f64
        };
        let stopped = own.iter().filter(|record| record.stopped.is_some()).count();
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {stopped} of {} |",
            arm.label,
            mean(|r| r.compute.steps as f64),
            mean(|r| r.compute.drawn_tokens as f64),
            mean(|r| r.compute.learned_tokens as f64),
            mean(|r| r.compute.learned_completions as f64),
            mean(|r| r.compute.seconds / 60.0),
            own.len()
        );
    }
    if any { text } else { String::new() }
}

/// Draws the primary figure of each arm.
///
/// # Errors
/// When nothing was measured or the file cannot be written.
pub fn plot(plan: &Plan, records: &[Record], path: &Path) -> Result<()> {
    let (split, condition) = (split(plan, records), plan.primary_condition());
    let (measured, _) = whole(plan, records, split);
    let bars = names(plan).into_iter().filter_map(|name| {
        let own = of_arm(plan, &name, &measured);
        let found = seeds(&own, split, condition, binding);
        (!found.is_empty()).then(|| Bar {
            name,
            estimate: interval(&found, SEED),
            aim: None,
        })
    });
    let bars: Vec<Bar> = bars.collect();
    let title =
        format!("Binding F1, {condition} named things and {condition} absent, split {split}");
    plots::bars(path, &title, &bars)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::plan::PLAN;
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn tables_are_of_the_records_and_of_test_only_once_the_primary_comparison_has_it() {
        let plan = Plan::parse(PLAN).unwrap();
        assert!(tables(&plan, &[], None).is_err());
        let mut records = vec![record(BASE, 0.0, 0, &[[1, 1, 3], [1, 1, 3]])];
        for arm in ["sft-gold", "rl-strict"] {
            let right = if arm == "rl-strict" { 4 } else { 2 };
            for (at, rate) in plan.arm(arm).unwrap().learning_rates.iter().enumerate() {
                let photos = [[right - at.min(1), 0, 4 - right], [right, 0, 4 - right]];
                records.push(record(arm, *rate, 1, &photos));
            }
        }
        let text = tables(&plan, &records, None).unwrap();
        assert!(text.contains("split `test`"), "{text}");
        assert!(
            text.contains("| RL, set-F1 less irrelevant names | 1 | 1.000"),
            "{text}"
        );
        // 2 of 4 names and nothing wrong: 4 / (4 + 2).
        assert!(
            text.contains("| SFT on gold captions | 1 | 0.667"),
            "{text}"
        );
        assert!(
            text.contains("less SFT on gold captions | +0.333"),
            "{text}"
        );
        assert!(text.contains("| primary |"), "{text}");
        // An arm that was not asked yet does not take the others back to validation.
        for rate in &plan.arm("rl-repic").unwrap().learning_rates {
            let mut waits = record("rl-repic", *rate, 1, &[[1, 1, 3], [1, 1, 3]]);
            waits.splits.remove("test");
            records.push(waits);
        }
        let text = tables(&plan, &records, None).unwrap();
        let left_out = "left out: RL, RePIC's reward (recall) (0 of 1 seeds).";
        assert!(
            text.contains("split `test`") && text.contains(left_out),
            "{text}"
        );
        assert!(
            !text.contains("| RL, RePIC's reward (recall) | 1 |"),
            "{text}"
        );
        records[0].splits.remove("test");
        assert!(
            tables(&plan, &records, None)
                .unwrap()
                .contains("split `val`")
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        plot(&plan, &records, &path).unwrap();
        assert!(path.exists());
    }
}
