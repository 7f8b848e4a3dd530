//! Whether a base is one that reinforcement learning can improve: what eight samples get right that one does not.
//!
//! A policy is only reinforced in what it sometimes does: with pass@8 near pass@1 (both high or both low) every arm of
//! reinforcement would be the base again, and the comparison would say nothing.

use anyhow::Result;
use burn::module::Module;
use namelens_engine::host::Still;
use playroom::Split;
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::rl::config::GrpoConfig;
use crate::rl::dataset::{Prompts, Source};
use crate::rl::held_out::{bound_names, names};
use crate::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use crate::rl::policy::{Policy, Prepared};
use crate::rl::rollout;

/// Prompts whose photos are held at a time.
const AT_A_TIME: usize = 8;

/// What samples of the base get right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// SHA-256 of the model that was asked; empty where it was not written down.
    #[serde(default)]
    pub base: String,
    /// Prompts.
    pub prompts: u64,
    /// Samples of each.
    pub samples: usize,
    /// Share of samples that name exactly what is there.
    pub names_at_1: f64,
    /// Share of prompts of which some sample does.
    pub names_at_k: f64,
    /// Share of samples in which each of these names also has its thing's look.
    pub binding_at_1: f64,
    /// Share of prompts of which some sample has that.
    pub binding_at_k: f64,
}

impl Passed {
    /// What more samples get right: of names, which rewards judge.
    pub fn gain(&self) -> f64 {
        self.names_at_k - self.names_at_1
    }
}

/// Samples of the base on validation prompts that are like those of training.
///
/// # Errors
/// When a prompt or a completion fails.
pub fn pass(policy: &Policy, plan: &Plan, config: &GrpoConfig) -> Result<Passed> {
    let (kit, plain) = (&policy.kit, policy.vlm.valid());
    let options = PlayroomOptions {
        split: Split::Val,
        seed: plan.data_seed,
        prompts: plan.gate.prompts,
        ..PlayroomOptions::default()
    };
    let prompts = Prompts::new(Source::Playroom(PlayroomPrompts::new(options)), None)?;
    let mut found: Vec<[Vec<bool>; 2]> = Vec::new();
    let serials: Vec<u64> = (0..prompts.len()).collect();
    for (at, serials) in serials.chunks(AT_A_TIME).enumerate() {
        let prepared = serials
            .iter()
            .map(|serial| kit.prepare(&plain, prompts.get(*serial)?))
            .collect::<Result<Vec<Prepared>>>()?;
        let sampling = rollout::sampling(kit, config, at as u64);
        let said = rollout::complete(&plain, &prepared, plan.gate.samples, 0, &sampling, &Still)?;
        for (prepared, completions) in prepared.iter().zip(said) {
            let mut right = [Vec::new(), Vec::new()];
            for completion in completions {
                let row = prepared.prompt.row(&kit.text(&completion.tokens)?, &[]);
                let bound = bound_names(&row)?.unwrap_or_default();
                for (list, counts) in right.iter_mut().zip([names(&row)?, bound]) {
                    list.push(counts.wrong + counts.missed == 0 && counts.correct > 0);
                }
            }
            found.push(right);
        }
    }
    Ok(summary(&found, plan.gate.samples))
}

fn summary(found: &[[Vec<bool>; 2]], samples: usize) -> Passed {
    let share = |of: &dyn Fn(&[Vec<bool>; 2]) -> f64| {
        found.iter().map(of).sum::<f64>() / found.len().max(1) as f64
    };
    let at_1 = |which: usize| {
        share(&|prompt| {
            let right = prompt[which].iter().filter(|right| **right).count();
            right as f64 / prompt[which].len().max(1) as f64
        })
    };
    let at_k = |which: usize| share(&|prompt| f64::from(u8::from(prompt[which].contains(&true))));
    Passed {
        base: String::new(),
        prompts: found.len() as u64,
        samples,
        names_at_1: at_1(0),
        names_at_k: at_k(0),
        binding_at_1: at_1(1),
        binding_at_k: at_k(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_is_a_mean_and_several_need_one() {
        let no = vec![false; 4];
        let once = vec![false, true, false, false];
        let found = summary(&[[once, no.clone()], [no, vec![true; 4]]], 4);
        assert_eq!((found.names_at_1, found.names_at_k), (0.125, 0.5));
        assert_eq!((found.binding_at_1, found.binding_at_k), (0.5, 0.5));
        assert_eq!(found.gain(), 0.375);
    }
}
