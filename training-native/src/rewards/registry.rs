//! Every reward by name.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::covip::{Covip, WordJudge};
use super::external::External;
use super::preferthinker::{PreferThinker, SameWords};
use super::{Reward, binding_f1, info, repic_compat, repic_strict, set_f1};
use crate::near_miss;

/// Names, the columns each reads, and what it rewards.
pub const REWARDS: &[(&str, &str, &str)] = &[
    (
        "repic",
        "accu_reward_method, solution",
        "RePIC's four tasks as released, faults included",
    ),
    (
        "repic-strict",
        "accu_reward_method, solution [, concepts, reference]",
        "the same without them",
    ),
    (
        "set-f1",
        "solution, concepts",
        "F1 of the names, less the share of absent concepts that are named",
    ),
    (
        "binding-f1",
        "bound, concepts",
        "the same of names whose look or box, said with them, is their thing's",
    ),
    (
        "covip",
        "questions [, judged]",
        "what can be answered from the caption alone, less what should not be",
    ),
    (
        "attribute-leak",
        "concepts",
        "minus the phrases of the notes that this photo does not show",
    ),
    (
        "copied-info",
        "concepts",
        "minus the share of the notes that is copied",
    ),
    (
        "preferthinker",
        "liked, disliked, solution",
        "predicted profiles, format and choice",
    ),
];

/// How a process is named: `exec:python3 reward.py`.
pub const PROCESS: &str = "exec:";

/// What rewards can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardOptions {
    /// `repic-strict`: share of its reference's length that a caption must have; 0 is off.
    pub min_share: f64,
    /// `set-f1` and `binding-f1`: weight of absent concepts that are named.
    pub penalty: f32,
    /// `exec:`: how long a batch may take.
    pub timeout: Duration,
}

impl Default for RewardOptions {
    fn default() -> Self {
        Self {
            min_share: repic_strict::MIN_SHARE,
            penalty: 1.0,
            timeout: Duration::from_secs(60),
        }
    }
}

/// The reward of that name.
///
/// # Errors
/// When there is none (the near miss is named), or its process cannot be started.
pub fn build(name: &str, options: &RewardOptions) -> Result<Box<dyn Reward>> {
    if let Some(command) = name.strip_prefix(PROCESS) {
        ensure!(
            !command.trim().is_empty(),
            "'{name}' names no command; write {PROCESS}COMMAND"
        );
        return Ok(Box::new(External::start(command.trim(), options.timeout)?));
    }
    Ok(match name {
        "repic" => Box::new(repic_compat::reward()),
        "repic-strict" => Box::new(repic_strict::reward(options.min_share)),
        "set-f1" => Box::new(set_f1::reward(options.penalty)),
        "binding-f1" => Box::new(binding_f1::reward(options.penalty)),
        "covip" => Box::new(Covip { judge: WordJudge }),
        "attribute-leak" => Box::new(info::attribute_leak()),
        "copied-info" => Box::new(info::copied_info()),
        "preferthinker" => Box::new(PreferThinker {
            similarity: SameWords,
        }),
        _ => {
            let known: Vec<&str> = REWARDS.iter().map(|(name, ..)| *name).collect();
            bail!(
                "{} (or {PROCESS}COMMAND)",
                near_miss::unknown("reward", name, &known)
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_reward_of_that_name() {
        for (name, ..) in REWARDS {
            assert_eq!(
                build(name, &RewardOptions::default()).unwrap().name(),
                *name
            );
        }
        let said = |name: &str| match build(name, &RewardOptions::default()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(said("repik").contains("did you mean 'repic'"));
        assert!(said("set_f1").contains("did you mean 'set-f1'"));
        assert!(said("exec:").contains("COMMAND"));
    }
}
