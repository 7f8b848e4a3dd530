//! What a model shows on held-out photos: greedy captions, with as many absent concepts in the prompt as there are named things.

use anyhow::Result;
use burn::module::Module;
use namelens_engine::host::Still;
use playroom::{Split, Task};

use super::record::{Conditions, Shown, Tallies};
use crate::rl::dataset::{Prompts, Source};
use crate::rl::held_out::{bound_names, names};
use crate::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use crate::rl::policy::{Policy, Prepared};
use crate::rl::prompt::Prompt;
use crate::rl::rollout;

/// Prompts whose photos are held at a time.
const AT_A_TIME: usize = 16;
/// Seed of held-out photos; another one than that of any data.
const SEED: u64 = 0x4e1d;

/// Held-out photos with so many named things, and as many absent ones in the prompt, of which a caption is asked for.
fn photos_of(split: Split, condition: usize, count: u64) -> PlayroomPrompts {
    PlayroomPrompts::new(PlayroomOptions {
        split,
        seed: SEED ^ ((condition as u64) << 32),
        prompts: count,
        present: condition..=condition,
        tasks: vec![Task::Caption],
        ..PlayroomOptions::default()
    })
}

/// Held-out captions of `policy`, `photos` a condition.
///
/// # Errors
/// When a prompt or a completion fails.
pub fn measure(
    policy: &Policy,
    split: Split,
    conditions: &[usize],
    photos: u64,
    max_tokens: usize,
) -> Result<Conditions> {
    let mut all = Conditions::new();
    for &condition in conditions {
        let prompts = Source::Playroom(photos_of(split, condition, photos));
        let prompts = Prompts::new(prompts, None)?;
        all.insert(condition, captions(policy, &prompts, max_tokens)?);
    }
    Ok(all)
}

fn captions(policy: &Policy, prompts: &Prompts, max_tokens: usize) -> Result<Shown> {
    let (kit, plain) = (&policy.kit, policy.vlm.valid());
    let options = rollout::greedy(kit, max_tokens);
    let mut shown = Shown::default();
    let mut tokens = 0;
    let serials: Vec<u64> = (0..prompts.len()).collect();
    for serials in serials.chunks(AT_A_TIME) {
        let prepared = serials
            .iter()
            .map(|serial| kit.prepare(&plain, prompts.get(*serial)?))
            .collect::<Result<Vec<Prepared>>>()?;
        let said = rollout::complete(&plain, &prepared, 1, 0, &options, &Still)?;
        for (prepared, completion) in prepared.iter().zip(said.iter().flatten()) {
            let text = kit.text(&completion.tokens)?;
            tokens += completion.tokens.len();
            shown.add(&prepared.prompt, &text)?;
        }
    }
    shown.mean_length = tokens as f64 / prompts.len() as f64;
    Ok(shown)
}

impl Shown {
    /// Judges the caption of one photo.
    fn add(&mut self, prompt: &Prompt, text: &str) -> Result<()> {
        let row = prompt.row(text, &[]);
        let Self {
            strict: Tallies(strict),
            binding: Tallies(binding),
            ..
        } = self;
        strict.push(names(&row)?);
        binding.extend(bound_names(&row)?);
        Ok(())
    }
}

/// The rule that names everything given, each name with the look of its reference; no model is asked.
///
/// # Errors
/// When a prompt fails.
pub fn name_all(split: Split, conditions: &[usize], photos: u64) -> Result<Conditions> {
    let mut all = Conditions::new();
    for &condition in conditions {
        let prompts = photos_of(split, condition, photos);
        let mut shown = Shown::default();
        for index in 0..prompts.len() {
            let text = crate::evaluate::name_all(&prompts.sample(index)?);
            shown.add(&prompts.get(index)?, &text)?;
        }
        all.insert(condition, shown);
    }
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::metrics::rates::Counts;

    #[test]
    fn the_rule_names_all_binds_what_is_there_and_is_wrong_of_the_rest() {
        let shown = name_all(Split::Val, &[1, 2, 4], 6).unwrap();
        for (condition, shown) in &shown {
            let each = Counts {
                correct: *condition,
                wrong: *condition,
                missed: 0,
            };
            assert_eq!(shown.strict.0, vec![each; 6]);
            assert_eq!(shown.binding.0, vec![each; 6]);
        }
    }
}
