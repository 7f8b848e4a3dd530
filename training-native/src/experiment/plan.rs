//! What the experiment consists of: data, arms, learning rates, seeds and the comparisons that are made, as one TOML file.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::rl::config::GrpoConfig;
use crate::rl::settings;

/// The plan that RESULTS.md is about.
pub const PLAN: &str = include_str!("../../experiment.toml");

/// The whole experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Prompts that every arm may learn from.
    pub prompts: u64,
    /// Seed of these prompts.
    pub data_seed: u64,
    /// Seeds of an arm, from 1.
    pub seeds: u64,
    /// Numbers of named things in held-out photos; as many concepts are absent. The last is the primary condition.
    pub conditions: Vec<usize>,
    /// Held-out photos a condition, of the validation and of the test split.
    pub photos: Photos,
    /// What must be true of the base before anything is learned.
    pub gate: Gate,
    /// Settings that all arms share.
    pub settings: Map<String, Value>,
    /// The arms, in the order they are run.
    #[serde(rename = "arm")]
    pub arms: Vec<Arm>,
    /// The comparisons, said before the test split is looked at. Exactly one is primary.
    #[serde(rename = "contrast")]
    pub contrasts: Vec<Contrast>,
}

/// How many photos a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Photos {
    /// Of the validation split: chooses learning rates.
    pub val: u64,
    /// Of the test split, which is measured once.
    pub test: u64,
}

/// What must be true of the base.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Validation prompts.
    pub prompts: u64,
    /// Completions of each.
    pub samples: usize,
    /// Least pass@samples - pass@1.
    pub least: f64,
}

/// One way to learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name in files.
    pub name: String,
    /// What it is, in words.
    pub label: String,
    /// The arm whose model it starts from, of the same seed; the base where there is none.
    #[serde(default)]
    pub start: Option<String>,
    /// Optimiser steps.
    pub steps: u64,
    /// Learning rates that are tried with seed 1 on validation; the best is used for all seeds.
    pub learning_rates: Vec<f64>,
    /// Its own settings.
    pub settings: Map<String, Value>,
}

/// A comparison of two arms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// The arm that is expected to be better.
    pub better: String,
    /// The other one, or `base`.
    pub than: String,
    /// Whether it is the one that decides.
    #[serde(default)]
    pub primary: bool,
}

/// The name of the model that everything starts from.
pub const BASE: &str = "base";

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// When it is no TOML, has an unknown key, names an arm that is not there or comes later, or a setting makes no sense.
    pub fn parse(text: &str) -> Result<Self> {
        let plan: Self = toml::from_str(text).context("the plan cannot be read")?;
        ensure!(plan.seeds > 0, "seeds must be at least 1");
        ensure!(
            !plan.conditions.is_empty() && plan.conditions.iter().all(|n| (1..=4).contains(n)),
            "conditions are numbers of named things, 1 to 4"
        );
        for (at, arm) in plan.arms.iter().enumerate() {
            let earlier = &plan.arms[..at];
            ensure!(
                arm.name != BASE && earlier.iter().all(|other| other.name != arm.name),
                "there are two arms called {}",
                arm.name
            );
            ensure!(
                !arm.learning_rates.is_empty(),
                "arm {} has no learning rate",
                arm.name
            );
            if let Some(start) = &arm.start {
                let earlier = earlier.iter().any(|other| other.name == *start);
                ensure!(
                    earlier,
                    "arm {} starts from {start}, which is no earlier arm",
                    arm.name
                );
            }
            let config = plan.config(arm, arm.learning_rates[0], 1)?;
            config
                .validate()
                .with_context(|| format!("arm {}", arm.name))?;
            ensure!(
                !config.use_peft,
                "arm {} has use_peft, but what an arm learns is measured, and started from, as a whole model",
                arm.name
            );
        }
        for contrast in &plan.contrasts {
            for name in [&contrast.better, &contrast.than] {
                let known = name == BASE || plan.arms.iter().any(|arm| arm.name == *name);
                ensure!(known, "a contrast names {name}, which is no arm");
            }
        }
        let primary = plan.contrasts.iter().filter(|c| c.primary).count();
        ensure!(primary == 1, "{primary} contrasts are primary, not one");
        Ok(plan)
    }

    /// The settings of a run.
    ///
    /// # Errors
    /// When a setting is unknown or of another kind.
    pub fn config(&self, arm: &Arm, learning_rate: f64, seed: u64) -> Result<GrpoConfig> {
        let mut all = self.settings.clone();
        all.extend(arm.settings.clone());
        all.insert("learning_rate".into(), learning_rate.into());
        all.insert("seed".into(), seed.into());
        settings::with(&GrpoConfig::default(), &all).with_context(|| format!("arm {}", arm.name))
    }

    /// The arm of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn arm(&self, name: &str) -> Result<&Arm> {
        let found = self.arms.iter().find(|arm| arm.name == name);
        found.with_context(|| format!("the plan has no arm '{name}'"))
    }

    /// The number of named things that decides.
    pub fn primary_condition(&self) -> usize {
        self.conditions.last().copied().unwrap_or(4)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::rl::config::Teacher;

    #[test]
    fn the_plan_can_be_run_and_all_arms_see_the_same_prompts() {
        let plan = Plan::parse(PLAN).unwrap();
        assert!(plan.seeds >= 5, "fewer arms, never fewer seeds");
        for arm in &plan.arms {
            let config = plan.config(arm, arm.learning_rates[0], 3).unwrap();
            assert_eq!(config.seed, 3);
            let rows = config.per_device_train_batch_size * config.generation_steps();
            let prompts = match config.teacher {
                Teacher::Policy => rows / config.num_generations,
                _ => rows,
            };
            // Whole passes over the same prompts.
            assert_eq!(arm.steps * prompts as u64 % plan.prompts, 0, "{}", arm.name);
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let broken = |from: &str, to: &str| {
            let text = PLAN.replacen(from, to, 1);
            assert_ne!(text, PLAN, "{from} is not in the plan");
            format!("{:#}", Plan::parse(&text).unwrap_err())
        };
        assert!(broken("num_generations", "num_generation").contains("did you mean"));
        assert!(broken("primary = true", "primary = false").contains("primary"));
        assert!(broken("start = \"sft-gold\"", "start = \"sft-silver\"").contains("sft-silver"));
        assert!(broken("teacher = \"gold\"", "teacher = \"gild\"").contains("did you mean 'gold'"));
    }
}
