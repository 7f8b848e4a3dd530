//! Which runs are due, from the plan and the results there are: sweeps of learning rates first, then the other seeds at the best rate.

use anyhow::Result;

use super::plan::{Arm, Plan};
use super::record::Record;

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The arm.
    pub arm: String,
    /// Learning rate.
    pub learning_rate: f64,
    /// Seed.
    pub seed: u64,
    /// The run whose model it starts from; the base where there is none.
    pub start: Option<String>,
}

impl Run {
    /// Its name in files.
    pub fn key(&self) -> String {
        Record::key(&self.arm, self.learning_rate, self.seed)
    }
}

/// The learning rate of an arm that is best on validation, once all were tried with seed 1; of equals the lowest.
pub fn chosen_rate(plan: &Plan, arm: &Arm, records: &[Record]) -> Option<f64> {
    let mut best: Option<(f64, f64)> = None;
    for &rate in &arm.learning_rates {
        let found = find(records, &arm.name, rate, 1)?;
        let score = found.binding("val", plan.primary_condition())?;
        if best.is_none_or(|(_, most)| score > most) {
            best = Some((rate, score));
        }
    }
    best.map(|(rate, _)| rate)
}

/// The record of a run.
pub fn find<'a>(records: &'a [Record], arm: &str, rate: f64, seed: u64) -> Option<&'a Record> {
    let key = Record::key(arm, rate, seed);
    let of = |r: &&Record| Record::key(&r.arm, r.learning_rate, r.seed) == key;
    records.iter().find(of)
}

/// The runs that can be begun now, in the order of the plan; what is finished is not among them, what waits for a sweep or for the arm
/// it starts from neither. `arms` restricts them where it names any.
///
/// # Errors
/// When an arm starts from one that is not in the plan.
pub fn due(plan: &Plan, records: &[Record], arms: &[String]) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for arm in &plan.arms {
        if !arms.is_empty() && !arms.contains(&arm.name) {
            continue;
        }
        let rate = chosen_rate(plan, arm, records);
        let wanted: Vec<(f64, u64)> = match rate {
            None => arm.learning_rates.iter().map(|&rate| (rate, 1)).collect(),
            Some(rate) => (2..=plan.seeds).map(|seed| (rate, seed)).collect(),
        };
        for (learning_rate, seed) in wanted {
            if find(records, &arm.name, learning_rate, seed).is_some() {
                continue;
            }
            let start = match &arm.start {
                None => None,
                Some(name) => {
                    let earlier = plan.arm(name)?;
                    let rate = chosen_rate(plan, earlier, records);
                    let before = rate.and_then(|rate| find(records, name, rate, seed));
                    let Some(before) = before else { continue };
                    Some(Record::key(name, before.learning_rate, seed))
                }
            };
            runs.push(Run {
                arm: arm.name.clone(),
                learning_rate,
                seed,
                start,
            });
        }
    }
    Ok(runs)
}

/// The records that count for an arm: all seeds at its chosen rate, or the one record of the base.
pub fn of_arm<'a>(plan: &Plan, arm: &str, records: &'a [Record]) -> Vec<&'a Record> {
    let Ok(known) = plan.arm(arm) else {
        return records.iter().filter(|r| r.arm == arm).collect();
    };
    let Some(rate) = chosen_rate(plan, known, records) else {
        return Vec::new();
    };
    (1..=plan.seeds)
        .filter_map(|seed| find(records, arm, rate, seed))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::plan::PLAN;
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn sweeps_come_first_then_seeds_and_what_is_finished_is_not_run_again() {
        let plan = Plan::parse(PLAN).unwrap();
        let only = ["sft-gold".to_owned(), "sft-then-rl".to_owned()];
        let mut records = Vec::new();
        let keys = |records: &[Record]| -> Vec<String> {
            let runs = due(&plan, records, &only).unwrap();
            runs.iter().map(Run::key).collect()
        };
        let rates = plan.arm("sft-gold").unwrap().learning_rates.clone();
        assert_eq!(
            keys(&records).len(),
            rates.len(),
            "the sweep; nothing starts from it yet"
        );
        for (at, rate) in rates.iter().enumerate() {
            // The second rate is the best, and the third as good.
            let right = [1, 2, 2][at.min(2)];
            records.push(record("sft-gold", *rate, 1, &[[right, 0, 0], [0, 0, 2]]));
        }
        let (gold, then) = (
            plan.arm("sft-gold").unwrap(),
            plan.arm("sft-then-rl").unwrap(),
        );
        assert_eq!(chosen_rate(&plan, gold, &records), Some(rates[1]));
        let now = due(&plan, &records, &only).unwrap();
        let seeds: Vec<u64> = now
            .iter()
            .filter(|r| r.arm == "sft-gold")
            .map(|r| r.seed)
            .collect();
        assert_eq!(seeds, (2..=plan.seeds).collect::<Vec<_>>());
        let next: Vec<&Run> = now.iter().filter(|r| r.arm == "sft-then-rl").collect();
        assert_eq!(next.len(), then.learning_rates.len());
        let start = Record::key("sft-gold", rates[1], 1);
        assert!(next.iter().all(|run| run.start.as_ref() == Some(&start)));
        records.push(record("sft-gold", rates[1], 2, &[[1, 0, 0]]));
        assert!(!keys(&records).contains(&Record::key("sft-gold", rates[1], 2)));
        assert_eq!(of_arm(&plan, "sft-gold", &records).len(), 2);
    }
}
