//! Completions that are learned from though the policy did not draw them: references, spoiled ones, and the best of the model as it was.
//!
//! They go the way of a rollout with an advantage of 1. Its first pass has a ratio of 1, so the gradient of `-ratio` is that of
//! `-log p`: supervised learning, mean over tokens with `loss_type = "dapo"`, in the same loop, schedule and evaluation.

use anyhow::{Context, Result, ensure};
use namelens_engine::concepts::spelling::bare;
use namelens_engine::host::Host;
use namelens_engine::random::Stream;

use super::buffer::{Generation, Rolled};
use super::completion::CompletionMask;
use super::config::{GrpoConfig, Teacher};
use super::dataset::Prompts;
use super::metrics::{Figure, Metrics};
use super::policy::{Kit, Policy, Prepared};
use super::rollout::{Draw, complete, generate_among, reference, rewarded, sampling};
use crate::rewards::columns::{self, Concept};
use crate::rewards::{Reward, Row};

/// Share of the names that are left out of a spoiled caption, and of the notes that are copied into it.
const SPOILED: f64 = 0.2;
/// Reward from which a drawn completion is good enough to be learned from; the rest is rounding.
const GOOD: f32 = 1.0 - 1e-6;

/// A generation as `config.teacher` has it: drawn by the policy, or one completion of each of the next prompts, of which those that
/// none could be found for do not count in the loss.
///
/// # Errors
/// When a prompt, a completion or a reward fails, a row has no reference, or several ranks would learn from the same ones.
pub fn generate(
    policy: &Policy,
    prompts: &Prompts,
    rewards: &mut [Box<dyn Reward>],
    config: &GrpoConfig,
    draw: Draw<'_>,
    cursor: &mut u64,
) -> Result<Generation> {
    if config.teacher == Teacher::Policy {
        return generate_among(policy, prompts, rewards, config, draw, cursor);
    }
    ensure!(
        draw.ranks.size() == 1,
        "a run that learns from references is one process: start it without mpirun"
    );
    let (number, host) = (draw.number, draw.host);
    let kit = &policy.kit;
    let wanted = config.per_device_train_batch_size * config.generation_steps();
    let serials = *cursor..*cursor + wanted as u64;
    let fresh = serials
        .clone()
        .map(|serial| kit.prepare(&policy.reference, prompts.get(serial)?))
        .collect::<Result<Vec<Prepared>>>()?;
    *cursor = serials.end;
    let (rows, mut metrics) = match config.teacher {
        Teacher::BestOfReference => best(policy, &fresh, rewards, config, number, host)?,
        _ => given(kit, &fresh, serials.start, config)?,
    };
    let tokens: Vec<Vec<u32>> = rows.iter().map(|row| row.tokens.clone()).collect();
    metrics.merge(CompletionMask::new(&tokens, kit.chat.ends(), false).metrics());
    let mut found = Generation {
        prompts: fresh,
        rows,
        metrics,
    };
    reference(policy, &mut found, config)?;
    Ok(found)
}

/// The references of prompts, as they are or spoiled.
fn given(
    kit: &Kit,
    prompts: &[Prepared],
    first: u64,
    config: &GrpoConfig,
) -> Result<(Vec<Rolled>, Metrics)> {
    let mut rows = Vec::with_capacity(prompts.len());
    for (at, prepared) in prompts.iter().enumerate() {
        let row = prepared.prompt.row("", &[]);
        let known = columns::optional_texts(&row, "reference")?.unwrap_or_default();
        let gold = known
            .first()
            .context("a row has no 'reference' to learn from")?;
        let text = match config.teacher {
            Teacher::NoisyGold => {
                let key = [config.seed, first + at as u64, 0x5901];
                spoiled(gold, &row, &mut Stream::keyed(&key))?
            }
            _ => gold.clone(),
        };
        let mut tokens = kit.answer(prepared, &text)?;
        tokens.truncate(config.max_completion_length);
        rows.push(learned(at, tokens, text));
    }
    Ok((rows, Metrics::default()))
}

/// A completion that is learned from.
fn learned(prompt: usize, tokens: Vec<u32>, text: String) -> Rolled {
    let unknown = vec![0.0; tokens.len()];
    Rolled {
        prompt,
        text,
        ended: true,
        counts: true,
        sampled: unknown.clone(),
        tempered: unknown,
        tokens,
        reference: None,
        old: None,
        rewards: Vec::new(),
        advantage: 1.0,
    }
}

/// The best completion of each prompt among those the model as it was draws, where it is good.
fn best(
    policy: &Policy,
    prompts: &[Prepared],
    rewards: &mut [Box<dyn Reward>],
    config: &GrpoConfig,
    number: u64,
    host: &dyn Host,
) -> Result<(Vec<Rolled>, Metrics)> {
    let kit = &policy.kit;
    let options = sampling(kit, config, number);
    let samples = config.num_generations;
    let said = complete(&policy.reference, prompts, samples, 0, &options, host)?;
    let (drawn, mut metrics) = rewarded(kit, prompts, said, rewards, config)?;
    let worth = |row: &Rolled| row.rewards.first().copied().flatten();
    let mut rows = Vec::with_capacity(prompts.len());
    let mut good = 0;
    for own in drawn.chunk_by(|a, b| a.prompt == b.prompt) {
        // The first of those that are worth as much, so that it is a fair draw among them.
        let mut best = &own[0];
        for row in own {
            if worth(row) > worth(best) {
                best = row;
            }
        }
        let counts = best.ended && worth(best).is_some_and(|reward| reward >= GOOD);
        good += usize::from(counts);
        rows.push(Rolled {
            counts,
            advantage: 1.0,
            ..best.clone()
        });
    }
    let tokens: usize = drawn.iter().map(|row| row.tokens.len()).sum();
    let share = good as f64 / rows.len().max(1) as f64;
    metrics.add("teacher/good_prompts", Figure::mean([share]));
    metrics.add("teacher/drawn_tokens", Figure::Sum(tokens as f64));
    Ok((rows, metrics))
}

/// `gold` without some of its names, and with some of the notes on what it names.
///
/// # Errors
/// When a column is of the wrong kind.
pub fn spoiled(gold: &str, row: &Row, stream: &mut Stream) -> Result<String> {
    let concepts = columns::concepts(row)?;
    let mut text = gold.to_owned();
    for name in columns::texts(row, "solution")? {
        if stream.uniform() < SPOILED {
            text = without(&text, bare(&name));
        }
        let known = concepts.iter().find(|c| bare(&c.name) == bare(&name));
        let info = known.map_or("", |concept: &Concept| concept.info.trim());
        if stream.uniform() < SPOILED && !info.is_empty() {
            text = format!("{text} {info}");
        }
    }
    Ok(text)
}

/// A caption in which a thing keeps its look and loses its name: "<A>, the red cat, sits" becomes "The red cat sits".
fn without(text: &str, name: &str) -> String {
    let marked = format!("<{name}>");
    let Some((before, behind)) = text.split_once(&marked) else {
        return text.to_owned();
    };
    let left = match behind.strip_prefix(", ") {
        // The comma behind the look goes with the name.
        Some(look) => format!("{before}{}", look.replacen(',', "", 1)),
        None => format!("{before}somebody{behind}"),
    };
    let mut letters = left.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_goes_and_its_look_stays() {
        let text = "<Ann>, the red cat, is sitting left of <Bo>, the blue mug, on the beach.";
        assert_eq!(
            without(text, "Ann"),
            "The red cat is sitting left of <Bo>, the blue mug, on the beach."
        );
        assert_eq!(
            without(text, "Bo"),
            "<Ann>, the red cat, is sitting left of the blue mug on the beach."
        );
        assert_eq!(without("<Ann> sits.", "Ann"), "Somebody sits.");
        assert_eq!(without(text, "Cy"), text);
    }

    #[test]
    fn a_fifth_of_names_goes_and_a_fifth_of_notes_comes() {
        let row = Row::from_json(json!({
            "completion": "",
            "solution": ["<Ann>", "<Bo>"],
            "concepts": [{"name": "<Ann>", "info": "Loves jam."}, {"name": "<Bo>", "info": "Is three."}, "<Cy>"],
        }))
        .unwrap();
        let gold = "<Ann>, the red cat, is left of <Bo>, the blue mug.";
        let (mut lost, mut copied, mut same) = (0, 0, 0);
        let all = 2000;
        for n in 0..all {
            let text = spoiled(gold, &row, &mut Stream::keyed(&[n])).unwrap();
            let again = spoiled(gold, &row, &mut Stream::keyed(&[n])).unwrap();
            assert_eq!(text, again);
            lost += ["<Ann>", "<Bo>"]
                .iter()
                .filter(|name| !text.contains(*name))
                .count();
            copied += ["Loves jam.", "Is three."]
                .iter()
                .filter(|info| text.contains(*info))
                .count();
            same += usize::from(text == gold);
        }
        // Of 4,000 draws: a standard deviation is 25.
        assert!((700..900).contains(&lost), "{lost}");
        assert!((700..900).contains(&copied), "{copied}");
        // 0.8 to the fourth, of 2,000.
        assert!((700..940).contains(&same), "{same}");
    }
}
